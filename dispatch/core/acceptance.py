"""The chance that a driver accepts an offer: a logistic model, scored from plain coefficients with no library.

chance = 1 / (1 + exp(-(intercept + sum of coefficient times (value - mean) / scale))), over FEATURES, all of which are
what a search knows of a candidate: what the model is trained on is what it is asked with.
"""

from math import exp, fsum
from typing import Annotated, Protocol

import msgspec

from dispatch.contract.records.shared import Vehicle

FEATURES = (
    "travel_min", "distance_km", "orders", "rating_stars", "rating_unknown", "acceptance_rate", "rate_unknown",
    "waited_h", "on_bicycle",
)  # fmt: skip
"""In this order in every model and every row."""
MODEL_NAME = "acceptance"
_LONGEST_WAIT_H = 2.0
"""Longer is as long as this; who never had an assignment waited as long."""
_STEEPEST = 30.0
_LARGEST = 1e6
"""Of what a model may hold: with more, a sum may come to no number, and no search would be answered any more."""
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Seen(Protocol):
    """What is known of a candidate, when it is asked for and when it is learned from."""

    @property
    def distance_m(self) -> int: ...
    @property
    def orders(self) -> int: ...
    @property
    def rating(self) -> float: ...
    @property
    def vehicle(self) -> Vehicle: ...


class AcceptanceModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Coefficients as published. `features` must be FEATURES: a model of another release is not asked."""

    version: int = 0
    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[Positive, ...]
    coefficients: tuple[float, ...]
    """Of the values less their mean, divided by their scale."""
    intercept: float
    trained_offers: int
    """How many offers it was learned from."""
    base_rate: Annotated[float, msgspec.Meta(ge=0, le=1)]
    """Share of those that were accepted."""
    forced: bool = False
    """Published although it did not earn it."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming what does not fit; msgspec makes a ValidationError of it."""
        if self.features != FEATURES:
            raise ValueError(f"the model asks for {', '.join(self.features)}; this version knows {', '.join(FEATURES)}")
        sizes = {len(self.means), len(self.scales), len(self.coefficients)}
        if sizes != {len(FEATURES)}:
            raise ValueError(f"{len(FEATURES)} means, scales and coefficients are wanted, seen were {sorted(sizes)}")
        numbers = (*self.means, *self.scales, *self.coefficients, self.intercept)
        wild = [number for number in numbers if not abs(number) <= _LARGEST]
        if wild or min(self.scales) < 1 / _LARGEST:
            raise ValueError(f"a number of the model is {wild[0] if wild else min(self.scales)}: out of all proportion")


def row_of(seen: Seen, travel_s: float, waited_s: float | None, rate: float | None) -> tuple[float, ...]:
    """The values of FEATURES for a candidate.

    `waited_s` since the last assignment, None: never had one; `rate` of the offers accepted before, None: not known.
    """
    waited_h = _LONGEST_WAIT_H if waited_s is None else min(_LONGEST_WAIT_H, max(0.0, waited_s) / 3600)
    return (
        travel_s / 60,
        seen.distance_m / 1000,
        float(seen.orders),
        max(0.0, seen.rating),
        0.0 if seen.rating > 0 else 1.0,
        rate if rate is not None else 0.0,
        0.0 if rate is not None else 1.0,
        waited_h,
        1.0 if seen.vehicle == "bicycle" else 0.0,
    )


def chance(model: AcceptanceModel, row: tuple[float, ...]) -> float:
    """0..1: how likely it is that the offer is accepted."""
    parts = (
        coefficient * (value - mean) / scale
        for coefficient, value, mean, scale in zip(model.coefficients, row, model.means, model.scales, strict=True)
    )
    odds = model.intercept + fsum(parts)
    return 1 / (1 + exp(-max(-_STEEPEST, min(_STEEPEST, odds))))
