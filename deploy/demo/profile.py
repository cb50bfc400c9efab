"""How a robo-driver behaves: chances, drawn from a seed, so that a run can be had again."""

import random
from dataclasses import dataclass
from typing import Literal

Answer = Literal["accept", "refuse", "ignore"]
REFUSALS = ("too_far", "no_time", "bad_area", "vehicle", "earning", "other")
VEHICLES = ("bicycle", "scooter", "motorbike", "car")


@dataclass(frozen=True, slots=True)
class Profile:
    """Chances, 0..1, and times in city seconds (divided by the speed when lived)."""

    refuses: float = 0.12
    ignores: float = 0.05
    gives_up: float = 0.03
    takes_break: float = 0.04
    loses_network: float = 0.02
    answers_after_s: tuple[float, float] = (2, 20)
    handling_s: tuple[float, float] = (20, 90)
    network_gone_s: tuple[float, float] = (60, 900)
    break_s: tuple[float, float] = (300, 900)


CALM = Profile(refuses=0, ignores=0, gives_up=0, takes_break=0, loses_network=0, answers_after_s=(0, 0))
"""Takes everything at once: for benches."""


class Character:
    """One driver's dice."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self._dice = random.Random(seed)
        self._profile = profile
        self.vehicle = self._dice.choice(VEHICLES)
        self.rating = round(self._dice.uniform(3.5, 5), 2)

    def answer(self) -> Answer:
        """What comes of an offer."""
        draw = self._dice.random()
        if draw < self._profile.refuses:
            return "refuse"
        return "ignore" if draw < self._profile.refuses + self._profile.ignores else "accept"

    def refusal(self) -> str:
        """A reason for refusing."""
        return self._dice.choice(REFUSALS)

    def gives_up(self) -> bool:
        """Whether an assignment is given up on the way to the store."""
        return self._dice.random() < self._profile.gives_up

    def takes_break(self) -> bool:
        """Whether a break follows a delivery."""
        return self._dice.random() < self._profile.takes_break

    def loses_network(self) -> bool:
        """Whether the network goes after a delivery or on the way."""
        return self._dice.random() < self._profile.loses_network

    def thinking_s(self) -> float:
        """Time until an offer is answered."""
        return self._dice.uniform(*self._profile.answers_after_s)

    def handling_s(self) -> float:
        """Time at a door."""
        return self._dice.uniform(*self._profile.handling_s)

    def network_gone_s(self) -> float:
        """How long the network stays away."""
        return self._dice.uniform(*self._profile.network_gone_s)

    def break_s(self) -> float:
        """How long a break lasts."""
        return self._dice.uniform(*self._profile.break_s)
