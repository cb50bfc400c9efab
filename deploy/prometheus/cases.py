"""What promtool tries each alert with: a value a minute, just above and just below the threshold, and too few.

`10+2x60` counts from 10 by 2 a minute for an hour; `0x60` stands still. A histogram of two bounds is enough: where all
observations lie under the lower one the quantile does too.
"""

from collections.abc import Mapping
from itertools import chain

from deploy.prometheus.alert import Case

FIRES, QUIET = True, False


def grows(a_minute: float, minutes: int = 180) -> str:
    """A counter."""
    return f"0+{a_minute:g}x{minutes}"


def stays(value: float, minutes: int = 180) -> str:
    """A gauge."""
    return f"{value:g}x{minutes}"


def offers(accepted: float, rejected: float = 0, expired: float = 0) -> dict[str, str]:
    """Offers by what came of them, a minute; as many withdrawn, which say nothing."""
    name = "baton_offers_ended_total"
    rates = {"accepted": accepted, "rejected": rejected, "expired": expired, "withdrawn": accepted}
    return {f'{name}{{outcome="{outcome}"}}': grows(rate) for outcome, rate in rates.items()}


def histogram(name: str, a_minute: float, beyond: float, bounds: tuple[str, str], labels: str = "") -> dict[str, str]:
    """So many observations a minute of which a share lies between the bounds, the rest under the lower."""
    lower, upper = bounds
    more = f"{labels}," if labels else ""
    under = a_minute * (1 - beyond)
    return {
        f'{name}_bucket{{{more}le="{lower}"}}': grows(under),
        f'{name}_bucket{{{more}le="{upper}"}}': grows(a_minute),
        f'{name}_bucket{{{more}le="+Inf"}}': grows(a_minute),
        f"{name}_count{{{labels}}}" if labels else f"{name}_count": grows(a_minute),
    }


def slow(name: str, alert: str, bounds: tuple[str, str], at: str, labels: str = "") -> tuple[Case, ...]:
    """A p99 above the lower bound, one just below, and one above of too few."""
    return (
        Case(alert, "2% lie beyond the threshold", histogram(name, 60, 0.02, bounds, labels), at, FIRES),
        Case(alert, "0.9% lie beyond it", histogram(name, 60, 0.009, bounds, labels), at, QUIET),
        Case(alert, "of a few in the window all do", histogram(name, 0.5, 1, bounds, labels), at, QUIET),
        Case(alert, "nothing was ever seen", {"up": "1x180"}, at, QUIET),
    )


def held(alert: str, above: Mapping[str, str], below: Mapping[str, str], at: str) -> tuple[Case, ...]:
    """A gauge above its threshold, one that is just not, and no data."""
    return (
        Case(alert, "above the threshold", above, at, FIRES),
        Case(alert, "at the threshold", below, at, QUIET),
        Case(alert, "nothing is known", {"up": "1x180"}, at, QUIET),
    )


def queue(a: float, b: float) -> dict[str, str]:
    """Two zones as two projectors tell them: they are not added up twice."""
    name = "baton_unassigned_orders"
    return {
        f'{name}{{zone="harbour",level="0",instance="{which}"}}': stays(a) for which in ("one", "other")
    } | {f'{name}{{zone="hill",level="2",instance="one"}}': stays(b)}  # fmt: skip


def waiting(a: float, b: float) -> dict[str, str]:
    """The same of those that wait long."""
    name = "baton_unassigned_over_5_minutes"
    return {f'{name}{{zone="harbour",instance="{which}"}}': stays(a) for which in ("one", "other")} | {
        f'{name}{{zone="hill",instance="one"}}': stays(b)
    }


def deadlines(kept: float, missed: float) -> dict[str, str]:
    """Deadlines of escalation, a minute."""
    name = "baton_escalation_deadlines_total"
    return {f'{name}{{result="kept"}}': grows(kept), f'{name}{{result="missed"}}': grows(missed)}


def reassigned(assigned: float, review: float, ended: float = 0) -> dict[str, str]:
    """What became of deliveries that lost their driver, a minute."""
    name = "baton_reassignments_ended_total"
    return {
        f'{name}{{outcome="assigned"}}': grows(assigned), f'{name}{{outcome="manual_review"}}': grows(review),
        f'{name}{{outcome="ended"}}': grows(ended),
    }  # fmt: skip


def routing(answered: float, late: float, alone: float = 0) -> dict[str, str]:
    """Calls for the routing engine, a minute."""
    name = "baton_routing_calls_total"
    return {
        f'{name}{{outcome="answered"}}': grows(answered), f'{name}{{outcome="late"}}': grows(late),
        f'{name}{{outcome="left_alone"}}': grows(alone), f'{name}{{outcome="failed"}}': grows(0),
    }  # fmt: skip


def sockets(open_: float, left: float, lost: float) -> dict[str, str]:
    """Sockets that are open, and how others ended, a minute."""
    name = "baton_sockets_ended_total"
    return {
        "baton_gateway_sockets_open": stays(open_), f'{name}{{how="left"}}': grows(left),
        f'{name}{{how="lost"}}': grows(lost), f'{name}{{how="dropped"}}': grows(0),
    }  # fmt: skip


def flags(**values: str) -> dict[str, str]:
    """Flags as two processes show them."""
    name = "feature_flags_enabled"
    return {
        f'{name}{{flag="{flag}",instance="{which}"}}': shown
        for flag, shown in values.items()
        for which in ("one", "other")
    }


ON, OFF = stays(1), stays(0)
OVERDUE = "baton_escalations_overdue"
FALLS = {
    'baton_offers_ended_total{outcome="accepted"}': "0+9x60 540+7x60", 'baton_offers_ended_total{outcome="rejected"}':
    "0+1x60 60+3x60",
}  # fmt: skip
FALLS_LITTLE = {
    'baton_offers_ended_total{outcome="accepted"}': "0+9x60 540+7.4x60",
    'baton_offers_ended_total{outcome="rejected"}': "0+1x60 60+2.6x60",
}
BEGINS = {'baton_offers_ended_total{outcome="accepted"}': "0x60 0+1x60",
          'baton_offers_ended_total{outcome="rejected"}': "0x60 0+9x60"}  # fmt: skip

CASES: tuple[Case, ...] = tuple(
    chain(
        slow("baton_first_offer_seconds", "OffersSlow", ("0.5", "0.75"), "30m", 'search="first"'),
        (
            Case("OffersSlow", "who had to wait for a driver is no slow offer",
                 histogram("baton_first_offer_seconds", 60, 1, ("0.5", "60"), 'search="later"'), "30m", QUIET),
            Case("AcceptanceLow", "69% of 60 an hour", offers(0.69, 0.11, 0.2), "90m", FIRES),
            Case("AcceptanceLow", "71%", offers(0.71, 0.09, 0.2), "90m", QUIET),
            Case("AcceptanceLow", "of 24 an hour one in ten", offers(0.04, 0, 0.36), "90m", QUIET),
            Case("AcceptanceLow", "no offers at all", offers(0), "90m", QUIET),
            Case("AcceptanceFalling", "from 90% to 70%", FALLS, "2h", FIRES),
            Case("AcceptanceFalling", "from 90% to 74%", FALLS_LITTLE, "2h", QUIET),
            Case("AcceptanceFalling", "nothing to compare with", BEGINS, "2h", QUIET),
            Case("RejectionsHigh", "21%", offers(0.79, 0.21), "90m", FIRES),
            Case("RejectionsHigh", "19%; silence is no refusal", offers(0.5, 0.19, 0.31), "90m", QUIET),
            Case("RejectionsHigh", "of 24 an hour all", offers(0, 0.4), "90m", QUIET),
            Case("EscalationsMissed", "6% of 60 an hour", deadlines(0.94, 0.06), "90m", FIRES),
            Case("EscalationsMissed", "4%", deadlines(0.96, 0.04), "90m", QUIET),
            Case("EscalationsMissed", "of six an hour one", deadlines(0.08, 0.02), "90m", QUIET),
        ),
        held("EscalationOverdue", {OVERDUE: stays(1)}, {OVERDUE: stays(0)}, "5m"),
        held("QueueLong", queue(31, 20), queue(30, 20), "5m"),
        held("UnassignedLong", waiting(6, 5), waiting(5, 5), "5m"),
        (
            Case("ReassignmentsFailing", "88% of 60 an hour found another", reassigned(0.88, 0.12), "90m", FIRES),
            Case("ReassignmentsFailing", "92%, and many were cancelled", reassigned(0.92, 0.08, 3), "90m", QUIET),
            Case("ReassignmentsFailing", "of six an hour half", reassigned(0.05, 0.05), "90m", QUIET),
        ),
        slow("baton_gateway_request_seconds", "RequestsSlow", ("2", "2.5"), "30m", 'door="/v2/orders"'),
        slow("baton_decision_seconds", "DecisionsSlow", ("2", "5"), "30m"),
        slow("baton_audit_lag_seconds", "AuditBehind", ("1", "2"), "30m"),
        (
            Case("RoutingFailing", "1.2% of 600 in ten minutes", routing(59.28, 0.5, 0.22), "30m", FIRES),
            Case("RoutingFailing", "0.9%", routing(59.46, 0.54), "30m", QUIET),
            Case("RoutingFailing", "of 50 in ten minutes all", routing(0, 5), "30m", QUIET),
            Case("RoutingFailing", "no engine is asked", routing(0, 0), "30m", QUIET),
            Case("EtaStale", "11 of 100",
                 {"baton_eta_stale_deliveries": stays(11), "baton_eta_deliveries_under_way": stays(100)}, "5m", FIRES),
            Case("EtaStale", "10 of 100",
                 {"baton_eta_stale_deliveries": stays(10), "baton_eta_deliveries_under_way": stays(100)}, "5m", QUIET),
            Case("EtaStale", "2 of 3",
                 {"baton_eta_stale_deliveries": stays(2), "baton_eta_deliveries_under_way": stays(3)}, "5m", QUIET),
            Case("EtaStale", "for a moment",
                 {"baton_eta_stale_deliveries": "0 0 0 0 0 20 0 0 0",
                  "baton_eta_deliveries_under_way": stays(30)}, "5m", QUIET),
            Case("SocketsDropping", "12 of 100 in ten minutes", sockets(84, 0.4, 1.2), "30m", FIRES),
            Case("SocketsDropping", "9 of 100", sockets(90, 0.1, 0.9), "30m", QUIET),
            Case("SocketsDropping", "many leave", sockets(50, 30, 1), "30m", QUIET),
            Case("SocketsDropping", "6 of 10", sockets(4, 0, 0.6), "30m", QUIET),
            Case("FlagOff", "for 61 minutes", flags(driver_offers=OFF, escalation=ON), "61m", FIRES,
                 {"flag": "driver_offers"}),
            Case("FlagOff", "for 59 minutes", flags(driver_offers=OFF, escalation=ON), "59m", QUIET),
            Case("FlagOff", "on again meanwhile", flags(driver_offers="0x50 1 0x60"), "100m", QUIET),
            Case("FlagOff", "one that is off unless somebody wants it", flags(acceptance_ranking=OFF), "90m", QUIET),
            Case("SeveralFlagsOff", "two of three", flags(driver_offers=OFF, escalation=OFF, reassignment=ON), "10m",
                 FIRES),
            Case("SeveralFlagsOff", "one, and the one that is off at first",
                 flags(driver_offers=OFF, acceptance_ranking=OFF, reassignment=ON), "10m", QUIET),
            Case("BreaksNotEnding", "one is overdue", {"baton_breaks_overdue": stays(1)}, "5m", FIRES),
            Case("BreaksNotEnding", "one ended late", {'baton_breaks_ended_total{how="late"}': "0x20 1x60"}, "25m",
                 FIRES),
            Case("BreaksNotEnding", "one ended late an hour ago", {'baton_breaks_ended_total{how="late"}': "0x20 1x90"},
                 "80m", QUIET),
            Case("BreaksNotEnding", "none", {"baton_breaks_overdue": stays(0),
                 'baton_breaks_ended_total{how="late"}': stays(0)}, "5m", QUIET),
            Case("ConsumerBehind", "61 s", {'baton_consumer_lag_seconds{consumer="projector",topic="t"}': stays(61)},
                 "5m", FIRES, {"consumer": "projector"}),
            Case("ConsumerBehind", "60 s", {'baton_consumer_lag_seconds{consumer="projector",topic="t"}': stays(60)},
                 "5m", QUIET),
            Case("ConsumerBehind", "silent for 61 s", {'baton_consumer_silent_seconds{consumer="eta"}': stays(61)},
                 "5m", FIRES, {"consumer": "eta"}),
            Case("ProcessDown", "one of two", {'up{job="baton",instance="a"}': stays(0),
                 'up{job="baton",instance="b"}': stays(1)}, "5m", FIRES, {"job": "baton", "instance": "a"}),
            Case("ProcessDown", "for a moment", {'up{job="baton",instance="a"}': "1 1 1 1 1 0 1 1"}, "5m", QUIET),
            Case("ProcessDown", "another job's", {'up{job="node"}': stays(0)}, "5m", QUIET),
            Case("StandingUnread", "two minutes ago", {"baton_standing_read_timestamp_seconds": "0x60"}, "10m", FIRES),
            Case("StandingUnread", "not there, though processes are", {'up{job="baton"}': stays(1)}, "10m", FIRES),
            Case("StandingUnread", "every minute anew", {"baton_standing_read_timestamp_seconds": "0+60x60"}, "10m",
                 QUIET),
            Case("StandingUnread", "nothing of Baton runs", {'up{job="node"}': stays(1)}, "10m", QUIET),
            Case("DeadLetters", "one", {"baton_dead_letters_total": "0x10 1x60"}, "12m", FIRES),
            Case("DeadLetters", "one of long ago", {"baton_dead_letters_total": "0x10 1x60"}, "40m", QUIET),
            Case("DeadLetters", "none", {"baton_dead_letters_total": "0x60"}, "40m", QUIET),
        ),
    )
)  # fmt: skip
