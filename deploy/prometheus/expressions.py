"""Pieces of expressions that alerts and dashboards share, so that both speak of the same figure."""

from dispatch.core.policy import Flags

OFF_AT_FIRST = tuple(
    name for name in Flags.__struct_fields__ if not getattr(Flags(), name).enabled
)  # fmt: skip
"""Flags that are off unless somebody switches them on."""
FLAGS_ON = (
    f'max by (flag) (feature_flags_enabled{{flag!~"{"|".join(OFF_AT_FIRST)}"}})' if OFF_AT_FIRST else
    "max by (flag) (feature_flags_enabled)"
)  # fmt: skip
"""Each flag that is on at first: 1 while it is on anywhere."""
ANSWERED = 'baton_offers_ended_total{outcome!="withdrawn"}'
ACCEPTED = 'baton_offers_ended_total{outcome="accepted"}'
REJECTED = 'baton_offers_ended_total{outcome="rejected"}'


def count(series: str, window: str, offset: str = "") -> str:
    """How many in the window, of all processes together."""
    moved = f" offset {offset}" if offset else ""
    return f"sum(increase({series}[{window}]{moved}))"


def share(part: str, whole: str, window: str, offset: str = "") -> str:
    """Which part of the whole, 0..1, in the window; nothing where there is no whole."""
    return f"{count(part, window, offset)} / ({count(whole, window, offset)} > 0)"


def quantile(share_: float, histogram: str, window: str, labels: str = "") -> str:
    """That of a histogram over the window."""
    return f"histogram_quantile({share_:g}, sum by (le) (rate({histogram}_bucket{labels}[{window}])))"


def total(gauge: str, by: str) -> str:
    """The sum of a gauge that every projector shows: the highest of each series, then all together."""
    return f"sum(max by ({by}) ({gauge}))"
