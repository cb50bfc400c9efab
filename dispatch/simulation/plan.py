"""What a seed stands for: who takes part, what goes wrong and when, and under which rules.

Everybody draws from a chance of their own, named by seed and number, so that whoever is left out changes nothing of
what the others intend: a failure is shrunk by leaving out.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

from dispatch.core.policy import (
    EscalationPolicy,
    Flag,
    Flags,
    OfferPolicy,
    OnExpiry,
    Policy,
    ReassignmentPolicy,
    SearchPolicy,
    scaled,
)
from dispatch.simulation.faults import KINDS, NEVER_JOINS, WITH_TORN_ABORT, Fault, draw

HABITS = (
    "duplicates", "late", "conflicts", "cancels", "early", "refuses", "ignores", "answers_late", "answers_twice",
    "loses_network", "breaks", "goes_home", "gives_up", "fails", "steals", "completes_twice", "far", "crowd",
)  # fmt: skip
"""What people may do besides what they should."""


@dataclass(frozen=True, slots=True)
class Options:
    """Bounds of what a seed draws."""

    orders: tuple[int, int] = (2, 4)
    drivers: tuple[int, int] = (2, 4)
    admins: tuple[int, int] = (0, 4)
    workers: tuple[int, int] = (1, 2)
    partitions: int = 2
    kinds: tuple[str, ...] = KINDS
    """Faults that may be drawn."""
    each: int = 3
    """Faults of a kind that is on, at most."""
    policy: Policy | None = None
    """Instead of what is drawn; as it is, not scaled."""
    flags: Flags | None = None
    speed: float = 0
    """Of the city's life; 0: drawn."""
    safety_s: tuple[int, int] = (30, 100)
    """Virtual seconds in which things go wrong."""
    liveness_s: int = 900
    """Virtual seconds after them in which everything must end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    orders: tuple[int, ...]
    drivers: tuple[int, ...]
    admins: tuple[int, ...]
    faults: tuple[Fault, ...]
    habits: frozenset[str]
    workers: int
    partitions: int
    batch_limit: int
    speed: float
    policy: Policy
    flags: Flags
    safety_ms: int
    liveness_ms: int
    skews_ms: dict[int, int] = field(default_factory=dict)


def plan(seed: int, options: Options) -> Plan:
    """What this seed stands for."""
    chance = Random(f"{seed} plan")
    workers = chance.randint(*options.workers)
    safety_ms = chance.randint(*options.safety_s) * 1000
    speed = options.speed or chance.choice((5.0, 10.0, 20.0))
    on_expiry: OnExpiry = chance.choice(("auto_assign", "next_driver", "auto_assign_after_n"))
    auto_cancel, most = chance.random() < 0.1, chance.choice((1, 3))
    policy = options.policy or drawn_policy(speed, on_expiry, most, auto_cancel)
    off = [chance.random() < share for share in (0.15, 0.1, 0.1, 0.1)]
    flags = options.flags or Flags(
        driver_offers=Flag(enabled=not off[0]),
        reassignment=Flag(enabled=not off[1]),
        escalation=Flag(enabled=not off[2]),
        availability_states=Flag(enabled=not off[3]),
    )
    kinds = [kind for kind in options.kinds if kind != NEVER_JOINS and chance.random() < 0.4]
    if "torn_abort" in kinds:
        kinds = [kind for kind in kinds if kind in WITH_TORN_ABORT]
    faults = [draw(kind, chance, workers, safety_ms) for kind in kinds for _ in range(chance.randint(1, options.each))]
    alone = Random(f"{seed} {NEVER_JOINS}")
    if NEVER_JOINS in options.kinds and "torn_abort" not in kinds and alone.random() < 0.2:
        faults.append(draw(NEVER_JOINS, alone, workers, safety_ms))
    skewed = "clock" in options.kinds and chance.random() < 0.3
    return Plan(
        seed=seed,
        orders=tuple(range(chance.randint(*options.orders))),
        drivers=tuple(range(chance.randint(*options.drivers))),
        admins=tuple(range(chance.randint(*options.admins))),
        faults=tuple(sorted(faults, key=lambda fault: (fault.at_ms, fault.kind, fault))),
        habits=frozenset(habit for habit in HABITS if chance.random() < 0.4),
        workers=workers,
        partitions=options.partitions,
        batch_limit=chance.choice((1, 2, 5, 2_000, 2_000)),
        speed=speed,
        policy=policy,
        flags=flags,
        safety_ms=safety_ms,
        liveness_ms=options.liveness_s * 1000,
        skews_ms={slot: chance.randint(-1_500, 1_500) if skewed else 0 for slot in range(workers)},
    )


@lru_cache(64)
def drawn_policy(speed: float, on_expiry: OnExpiry, most: int, auto_cancel: bool) -> Policy:
    """The policy of a city that lives so fast."""
    whole = Policy(
        offer=OfferPolicy(on_expiry=on_expiry),
        reassignment=ReassignmentPolicy(max_attempts=most),
        escalation=EscalationPolicy(auto_cancel=auto_cancel),
        search=SearchPolicy(retry_first_s=20, retry_max_s=120),
    )
    return scaled(whole, speed)
