"""The alerts. Each condition on a share also wants so many in the window, for of three one is a third."""

from deploy.prometheus.alert import Alert
from deploy.prometheus.expressions import (
    ACCEPTED,
    ANSWERED,
    FLAGS_ON,
    REJECTED,
    count,
    quantile,
    share,
    total,
)

FIRST = '{search="first"}'
DUE = "baton_escalation_deadlines_total"
MISSED = 'baton_escalation_deadlines_total{result="missed"}'
DECIDED = 'baton_reassignments_ended_total{outcome!="ended"}'
FOUND = 'baton_reassignments_ended_total{outcome="assigned"}'
TRIED = "baton_routing_calls_total"
FAILED = 'baton_routing_calls_total{outcome!="answered"}'
LATE_BREAKS = 'baton_breaks_ended_total{how="late"}'
BAD_ENDS = 'baton_sockets_ended_total{how=~"lost|dropped|fault"}'

ALERTS: tuple[Alert, ...] = (
    Alert(
        "OffersSlow",
        "warning",
        f"{quantile(0.99, 'baton_first_offer_seconds', '10m', FIRST)} > 0.5\n"
        f"and {count('baton_first_offer_seconds_count' + FIRST, '10m')} >= 20",
        "5m",
        "One of a hundred ready orders waits more than 500 ms for its first offer, though somebody is free.",
        "Look at baton_decision_seconds and at the lag of the consumer worker; then at candidate lookups that the first"
        " index did not answer.",
    ),
    Alert(
        "AcceptanceLow",
        "warning",
        f"{share(ACCEPTED, ANSWERED, '1h')} < 0.7\nand {count(ANSWERED, '1h')} >= 30",
        "10m",
        "Drivers accepted less than 70% of the last hour's offers.",
        "See baton_offer_rejections_total by reason and, per zone, who is short of drivers; too_far asks for a smaller"
        " radius, earning for a bonus.",
    ),
    Alert(
        "AcceptanceFalling",
        "warning",
        f"{share(ACCEPTED, ANSWERED, '1h')}\n"
        f"< 0.8 * ({share(ACCEPTED, ANSWERED, '1h', '1h')})\n"
        f"and {count(ANSWERED, '1h')} >= 30 and {count(ANSWERED, '1h', '1h')} >= 30",
        "5m",
        "Acceptance fell by more than a fifth against the hour before.",
        "Something changed: a flag, the policy, the weather. Compare the history of the rules with the time it began.",
    ),
    Alert(
        "RejectionsHigh",
        "warning",
        f"{share(REJECTED, ANSWERED, '1h')} > 0.2\nand {count(ANSWERED, '1h')} >= 30",
        "10m",
        "Drivers refused more than 20% of the last hour's offers.",
        "See baton_offer_rejections_total by reason; one reason that stands out says what to change.",
    ),
    Alert(
        "EscalationsMissed",
        "critical",
        f"{share(MISSED, DUE, '1h')} > 0.05\nand {count(DUE, '1h')} >= 10",
        "2m",
        "More than 5% of the escalations that were due in the last hour came late or never.",
        "Timers do not fire in time. See whether every worker is up and holds partitions, and the lag of worker.",
    ),
    Alert(
        "EscalationOverdue",
        "critical",
        "max(baton_escalations_overdue) > 0",
        "1m",
        "An order has waited beyond its deadline and was not escalated.",
        "Find it in the queue of unassigned orders, oldest first, and escalate it by hand; then look at the worker.",
    ),
    Alert(
        "QueueLong",
        "critical",
        f"{total('baton_unassigned_orders', 'zone, level')} > 50",
        "2m",
        "More than 50 orders are in the queue of unassigned ones.",
        "See which zones; ask drivers to come there, widen the radius for the zone, or set a bonus.",
    ),
    Alert(
        "UnassignedLong",
        "critical",
        f"{total('baton_unassigned_over_5_minutes', 'zone')} > 10",
        "1m",
        "More than 10 orders have waited for a driver for over five minutes.",
        "See which zones; ask drivers to come there, widen the radius for the zone, or set a bonus.",
    ),
    Alert(
        "ReassignmentsFailing",
        "warning",
        f"{share(FOUND, DECIDED, '1h')} < 0.9\nand {count(DECIDED, '1h')} >= 10",
        "5m",
        "Of the deliveries that lost their driver in the last hour less than 90% found another.",
        "The rest wait for people: take the critical ones of the queue first. See baton_reassignments_total by reason.",
    ),
    Alert(
        "RequestsSlow",
        "warning",
        f"{quantile(0.99, 'baton_gateway_request_seconds', '5m')} > 2\n"
        f"and {count('baton_gateway_request_seconds_count', '5m')} >= 50",
        "5m",
        "One of a hundred requests takes more than 2 s.",
        "See which doors, in baton_gateway_request_seconds by door. Commands wait for decisions: DecisionsSlow first.",
    ),
    Alert(
        "DecisionsSlow",
        "critical",
        f"{quantile(0.99, 'baton_decision_seconds', '5m')} > 2\n"
        f"and {count('baton_decision_seconds_count', '5m')} >= 50",
        "2m",
        "A command waits more than 2 s until it is decided.",
        "The workers do not keep up, or Kafka does not answer: see baton_transaction_seconds, aborts, and the lag of"
        " worker. More workers share the partitions.",
    ),
    Alert(
        "AuditBehind",
        "critical",
        f"{quantile(0.99, 'baton_audit_lag_seconds', '5m')} > 1\n"
        f"and {count('baton_audit_lag_seconds_count', '5m')} >= 50",
        "5m",
        "Events reach the audit and the tables more than a second late.",
        "See the lag of the consumer projector: if it grows, Postgres is slow or away. Decisions do not wait for it,"
        " but everything that people look at does.",
    ),
    Alert(
        "RoutingFailing",
        "warning",
        f"{share(FAILED, TRIED, '10m')} > 0.01\nand {count(TRIED, '10m')} >= 100",
        "5m",
        "The routing engine fails or is left alone for more than 1% of the calls.",
        "Travel times are reckoned by distance meanwhile: offers go on with worse ETAs. Look at the routing engine.",
    ),
    Alert(
        "EtaStale",
        "warning",
        "sum(baton_eta_stale_deliveries) > 0.1 * sum(baton_eta_deliveries_under_way)\n"
        "and sum(baton_eta_stale_deliveries) >= 3",
        "1m",
        "Of the deliveries under way more than a tenth have an ETA that is older than 30 s.",
        "Either pings do not come (baton_pings_total) or the process eta does not keep up (lag of the consumer eta).",
    ),
    Alert(
        "SocketsDropping",
        "warning",
        f"{count(BAD_ENDS, '10m')}\n"
        f"/ (sum(baton_gateway_sockets_open) + {count('baton_sockets_ended_total', '10m')} > 0) > 0.1\n"
        f"and sum(baton_gateway_sockets_open) + {count('baton_sockets_ended_total', '10m')} >= 20",
        "5m",
        "More than 10% of the drivers' connections were lost or dropped within ten minutes.",
        "See baton_sockets_ended_total by how: lost is the network or a proxy, dropped are readers too slow, fault is"
        " ours. Offers are told again when the driver connects.",
    ),
    Alert(
        "FlagOff",
        "warning",
        f"{FLAGS_ON} == 0",
        "1h",
        "A feature flag has been off for more than an hour.",
        "Whoever switched it off stands in the history of the flags, with the reason: on again, or silence this.",
    ),
    Alert(
        "SeveralFlagsOff",
        "critical",
        f"count({FLAGS_ON} == 0) >= 2",
        "5m",
        "Several feature flags are off at once.",
        "Dispatching runs with less than it was made for. See the history of the flags for who did it and why.",
    ),
    Alert(
        "BreaksNotEnding",
        "warning",
        f"(max(baton_breaks_overdue) > 0)\nor ({count(LATE_BREAKS, '15m')} > 0.5)",
        "1m",
        "A break did not end by itself when it should have.",
        "Drivers miss offers meanwhile; they can resume by hand. Timers of drivers are late: look at the worker.",
    ),
    Alert(
        "ConsumerBehind",
        "critical",
        "max by (consumer) (baton_consumer_lag_seconds) > 60\n"
        "or max by (consumer) (baton_consumer_silent_seconds) > 60",
        "2m",
        "A consumer has been behind the log, or has not asked for records, for more than a minute.",
        "The label consumer says which. It is stuck or too slow: see its log, and whether what it writes to is up.",
    ),
    Alert(
        "ProcessDown",
        "critical",
        'up{job="baton"} == 0',
        "1m",
        "A process of Baton does not answer.",
        "The supervisor restarts what ends. One that hangs: see its log, then end it. Two workers in other slots take"
        " over its partitions.",
    ),
    Alert(
        "StandingUnread",
        "warning",
        "time() - max(baton_standing_read_timestamp_seconds) > 60\n"
        'or (absent(baton_standing_read_timestamp_seconds) and on () count(up{job="baton"} == 1) > 0)',
        "2m",
        "How things stand cannot be read from the tables: alerts on the queue see nothing.",
        "Postgres is away, or no projector runs. The projector's log says which (standing_unread).",
    ),
    Alert(
        "DeadLetters",
        "warning",
        f"{count('baton_dead_letters_total', '15m')} > 0.5",
        "0m",
        "A worker set a record aside that it could not read or decide.",
        "GET /v2/admin/dead-letters says what and why; retry it once the cause is gone, or drop it.",
    ),
)
