"""The dashboards: what operations watch, what the engine does, the money, the zones."""

from deploy.grafana.form import Dashboard, Panel, Query, Row, Variable
from deploy.prometheus.expressions import ACCEPTED, ANSWERED, FLAGS_ON, REJECTED, quantile, share, total

HOUR, WINDOW = "1h", "$__rate_interval"


def quantiles(histogram: str, labels: str = "", window: str = "10m") -> tuple[Query, ...]:
    """p50, p95 and p99."""
    return tuple(Query(quantile(part, histogram, window, labels), f"p{part * 100:g}") for part in (0.5, 0.95, 0.99))


def by(label: str, counter: str, window: str = HOUR) -> tuple[Query, ...]:
    """So many in the window for each value of a label."""
    return (Query(f"sum by ({label}) (increase({counter}[{window}]))", f"{{{{{label}}}}}"),)


def a_second(counter: str, legend: str, label: str = "") -> Query:
    """Of all processes together, or by a label."""
    grouped = f" by ({label})" if label else ""
    return Query(f"sum{grouped} (rate({counter}[{WINDOW}]))", legend)


def one(expr: str, legend: str = "") -> tuple[Query, ...]:
    """A single expression."""
    return (Query(expr, legend),)


NOW = Row("Now", (
    Panel("In the queue", "Orders in the queue of unassigned ones.", "short",
          one(total("baton_unassigned_orders", "zone, level")), "stat", 4, 50),
    Panel("Waiting over 5 min", "Orders that have waited for a driver for more than five minutes.", "short",
          one(total("baton_unassigned_over_5_minutes", "zone")), "stat", 4, 10),
    Panel("For people", "Deliveries that people must look at.", "short",
          one("max(baton_manual_reviews_open)"), "stat", 4, 1),
    Panel("Acceptance", "Accepted of the offers of the last hour that were not withdrawn.", "percentunit",
          one(share(ACCEPTED, ANSWERED, HOUR)), "stat", 4, 0.7, True),
    Panel("First attempt", "Deliveries of the last hour that the first driver asked took.", "percentunit",
          one(share('baton_first_attempts_total{outcome="taken"}', "baton_first_attempts_total", HOUR)), "stat", 4),
    Panel("Escalations overdue", "Orders that should have been escalated more than 10 s ago.", "short",
          one("max(baton_escalations_overdue)"), "stat", 4, 1),
))  # fmt: skip
OFFERS = Row("Offers", (
    Panel("Acceptance and refusal", "Shares of the last hour's offers; the line is the alert's.", "percentunit",
          (Query(share(ACCEPTED, ANSWERED, HOUR), "accepted"), Query(share(REJECTED, ANSWERED, HOUR), "refused")),
          limit=0.7, low=True),
    Panel("Offers by outcome", "What came of the offers of an hour.", "short",
          by("outcome", "baton_offers_ended_total")),
    Panel("Why offers are refused", "Refusals of an hour by the driver's reason.", "short",
          by("reason", "baton_offer_rejections_total")),
    Panel("Ready to first offer", "Where the first search led to it; without its commit.", "s",
          quantiles("baton_first_offer_seconds", '{search="first"}'), limit=0.5),
    Panel("Answers of drivers", "How long drivers take to accept or refuse.", "s",
          quantiles("baton_offer_response_seconds", window=HOUR)),
    Panel("Ready to assigned", "To the first assignment.", "s", quantiles("baton_assignment_seconds", window=HOUR)),
))  # fmt: skip
UNASSIGNED = Row("Nobody found, and lost again", (
    Panel("Queue by level", "Orders in the queue by escalation level.", "short",
          (Query("sum by (level) (max by (zone, level) (baton_unassigned_orders))", "level {{level}}"),), limit=50),
    Panel("Why nobody is found", "Searches in vain of an hour.", "short", by("why", "baton_searches_in_vain_total")),
    Panel("Escalations", "By level and by whom, an hour.", "short",
          one("sum by (level, by) (increase(baton_escalations_total[1h]))", "level {{level}}, {{by}}")),
    Panel("Reassignments", "Assignments that ended before the pickup, an hour, by reason.", "short",
          by("reason", "baton_reassignments_total")),
    Panel("What came of them", "Deliveries that lost their driver, an hour.", "short",
          by("outcome", "baton_reassignments_ended_total")),
    Panel("Reassigned after", "From losing a driver to having the next.", "s",
          quantiles("baton_reassignment_seconds", window=HOUR)),
))  # fmt: skip
DELIVERIES = Row("Deliveries and drivers", (
    Panel("Ended", "Deliveries that ended in an hour, by how.", "short", by("outcome", "baton_deliveries_ended_total")),
    Panel("Cancelled by whom", "Cancellations of an hour.", "short", by("by", "baton_cancellations_total")),
    Panel("Ready to handed over", "Of the deliveries of an hour.", "s",
          quantiles("baton_delivery_seconds", window=HOUR)),
    Panel("Drivers", "By availability.", "short",
          one("max by (availability) (baton_drivers)", "{{availability}}")),
    Panel("Drivers lost", "Times in an hour that nothing was heard of a driver for too long.", "short",
          one("sum(increase(baton_drivers_lost_total[1h]))", "lost")),
    Panel("Breaks", "How breaks ended in an hour, and those overdue.", "short",
          (*by("how", "baton_breaks_ended_total"), Query("max(baton_breaks_overdue)", "overdue"))),
))  # fmt: skip
ARRIVALS = Row("Arrivals", (
    Panel("Within the band", "Arrivals within what the assignment foretold, of an hour; four of five should be.",
          "percentunit",
          one('sum by (at) (increase(baton_eta_arrivals_total{band="within"}[1h]))'
              ' / (sum by (at) (increase(baton_eta_arrivals_total{band!="none"}[1h])) > 0)', "{{at}}")),
    Panel("Error", "How far arrivals were from the middle of the band.", "s",
          tuple(Query(f"histogram_quantile({part}, sum by (le, at) (rate(baton_eta_error_seconds_bucket[1h])))",
                      f"p{part * 100:g} {{{{at}}}}") for part in (0.5, 0.95))),
    Panel("Stale", "Arrivals last reckoned more than 30 s ago, and all that are tracked.", "short",
          (Query("sum(baton_eta_stale_deliveries)", "stale"),
           Query("sum(baton_eta_deliveries_under_way)", "tracked"))),
))  # fmt: skip
OPERATIONS = Dashboard(
    "baton-operations", "Baton: operations", "What operations watch: the queue, offers, deliveries, drivers, arrivals.",
    (NOW, OFFERS, UNASSIGNED, DELIVERIES, ARRIVALS),
)  # fmt: skip

DECIDING = Row("Deciding", (
    Panel("Decisions", "Commands and timers decided.", "cps", (a_second("baton_decisions_total", "decisions"),)),
    Panel("Age of the oldest record", "From its stamp to the commit: no decision took longer.", "s",
          quantiles("baton_decision_seconds", window="5m"), limit=2),
    Panel("Transactions", "From begin to committed.", "s", quantiles("baton_transaction_seconds", window="5m")),
    Panel("Records in a transaction", "Median and p99.", "short",
          tuple(Query(quantile(part, "baton_batch_records", "5m"), f"p{part * 100:g}") for part in (0.5, 0.99))),
    Panel("Aborted or without an answer", "Transactions tried again, and commits settled from the log.", "cps",
          (a_second("baton_transaction_aborts_total", "aborted"),
           a_second("baton_transaction_unknown_total", "without an answer"))),
    Panel("Restore", "How long the last restore of each worker took.", "s",
          one("max by (process) (baton_restore_seconds)", "{{process}}")),
    Panel("Partitions and aggregates", "Held by each worker.", "short",
          (Query("sum by (process) (baton_partitions_owned)", "{{process}} partitions"),
           Query("sum by (process) (baton_aggregates)", "{{process}} aggregates"))),
    Panel("Candidate lookups", "By the index that answered.", "cps",
          (a_second("baton_candidate_lookups_total", "{{source}}", "source"),)),
    Panel("Routing", "Calls for the routing engine by what became of them.", "cps",
          (a_second("baton_routing_calls_total", "{{outcome}}", "outcome"),)),
))  # fmt: skip
FOLLOWING = Row("Following", (
    Panel("Lag in records", "Of each consumer, over its partitions.", "short",
          one("sum by (consumer) (baton_consumer_lag_records)", "{{consumer}}")),
    Panel("Lag in seconds", "How long ago, at least, the end was where the consumer is.", "s",
          one("max by (consumer) (baton_consumer_lag_seconds)", "{{consumer}}"), limit=60),
    Panel("Audit lag", "From an event's moment to its row.", "s",
          quantiles("baton_audit_lag_seconds", window="5m"), limit=1),
    Panel("Dead letters", "Set aside by workers, and open.", "short",
          (Query("sum(increase(baton_dead_letters_total[1h]))", "set aside in an hour"),
           Query("max(baton_dead_letters_open)", "open"))),
    Panel("Errors of the streams", "By kind.", "cps", (a_second("baton_stream_errors_total", "{{kind}}", "kind"),)),
    Panel("Pings", "By what became of them.", "cps", (a_second("baton_pings_total", "{{outcome}}", "outcome"),)),
))  # fmt: skip
DOORS = Row("The gateway", (
    Panel("Requests", "By status.", "cps", (a_second("baton_gateway_requests_total", "{{status}}", "status"),)),
    Panel("Time of requests", "Streams do not count.", "s",
          quantiles("baton_gateway_request_seconds", window="5m"), limit=2),
    Panel("In flight", "Requests that wait for their answer.", "short",
          one("sum by (process) (baton_gateway_requests_in_flight)", "{{process}}")),
    Panel("Sockets open", "WebSockets by gateway.", "short",
          one("sum by (process) (baton_gateway_sockets_open)", "{{process}}")),
    Panel("Sockets ended", "By how, in ten minutes.", "short", by("how", "baton_sockets_ended_total", "10m")),
    Panel("Told", "Notices and webhooks by outcome.", "cps",
          (a_second("baton_notices_total", "notice {{outcome}}", "outcome"),
           a_second("baton_webhook_attempts_total", "webhook {{outcome}}", "outcome"))),
))  # fmt: skip
RULES = Row("Rules in force", (
    Panel("Flags that are on", "1: on. Those that are off at first are left out.", "none",
          one(FLAGS_ON, "{{flag}}"), width=12),
    Panel("Policy", "Version in force in each process; they agree within seconds.", "none",
          one("max by (process) (baton_policy_version)", "{{process}}"), width=12),
))  # fmt: skip
ENGINE = Dashboard(
    "baton-engine", "Baton: the engine", "Decisions, transactions, lag, the gateway, the rules in force.",
    (DECIDING, FOLLOWING, DOORS, RULES),
)  # fmt: skip

_MINE = '{zone=~"$zone",currency=~"$currency"}'
REVENUE = f"sum by (currency) (increase(baton_revenue_minor_total{_MINE}[{HOUR}]))"
COST = f"sum by (currency) (increase(baton_cost_minor_total{_MINE}[{HOUR}]))"
SETTLED = f"sum by (currency) (increase(baton_deliveries_settled_total{_MINE}[{HOUR}]))"
MONEY = Dashboard(
    "baton-money", "Baton: money", "What settled deliveries brought and cost. Amounts are minor units of the currency.",
    (
        Row("All zones chosen", (
            Panel("Revenue, cost, net", "Of the deliveries settled in an hour, in minor units.", "none",
                  (Query(REVENUE, "revenue {{currency}}"), Query(COST, "cost {{currency}}"),
                   Query(f"{REVENUE} - {COST}", "net {{currency}}")), width=12),
            Panel("Margin", "Net of revenue, of the deliveries settled in an hour.", "percentunit",
                  one(f"({REVENUE} - {COST}) / ({REVENUE} > 0)", "{{currency}}"), width=12),
            Panel("Cost by part", "In minor units, an hour.", "none",
                  one(f"sum by (part, currency) (increase(baton_cost_minor_total{_MINE}[{HOUR}]))",
                      "{{part}} {{currency}}")),
            Panel("Cost of a delivery", "Mean of those settled in an hour, in minor units.", "none",
                  one(f"{COST} / ({SETTLED} > 0)", "{{currency}}")),
            Panel("Settled", "Deliveries settled in an hour.", "short", one(SETTLED, "{{currency}}")),
        )),
        Row("By zone", (
            Panel("Net by zone", "Of the deliveries settled in the time shown, in minor units.", "none",
                  one(f"sum by (zone, currency) (increase(baton_revenue_minor_total{_MINE}[$__range]))"
                      f" - sum by (zone, currency) (increase(baton_cost_minor_total{_MINE}[$__range]))",
                      "{{zone}} {{currency}}"), "bargauge", 12),
            Panel("Margin by zone", "Net of revenue, of the deliveries settled in the time shown.", "percentunit",
                  one(f"1 - sum by (zone, currency) (increase(baton_cost_minor_total{_MINE}[$__range]))"
                      f" / (sum by (zone, currency) (increase(baton_revenue_minor_total{_MINE}[$__range])) > 0)",
                      "{{zone}} {{currency}}"), "bargauge", 12, 0, True),
        )),
    ),
    (Variable("zone", "baton_revenue_minor_total"), Variable("currency", "baton_revenue_minor_total")),
)  # fmt: skip

_ZONE = '{zone=~"$zone"}'
ZONES = Dashboard(
    "baton-zones", "Baton: zones", "How each zone is doing: drivers, searches, waits, pressure.",
    (
        Row("Waiting", (
            Panel("Wait for a driver, median", "Of the deliveries that lately found one.", "s",
                  one('max by (zone) (baton_zone_wait_seconds{zone=~"$zone",percentile="50"})', "{{zone}}")),
            Panel("Wait for a driver, p95", "Of the deliveries that lately found one.", "s",
                  one('max by (zone) (baton_zone_wait_seconds{zone=~"$zone",percentile="95"})', "{{zone}}")),
            Panel("Longest open search", "How long the longest of those that wait has waited.", "s",
                  one(f"max by (zone) (baton_zone_oldest_search_seconds{_ZONE})", "{{zone}}"), limit=300),
            Panel("Open searches", "Deliveries that wait for a driver.", "short",
                  one(f"max by (zone) (baton_zone_open_searches{_ZONE})", "{{zone}}")),
            Panel("Pressure", "Open searches for each available driver.", "short",
                  one(f"max by (zone) (baton_zone_pressure{_ZONE})", "{{zone}}")),
            Panel("Queue", "Orders in the queue of unassigned ones.", "short",
                  one(f"sum by (zone) (max by (zone, level) (baton_unassigned_orders{_ZONE}))", "{{zone}}")),
        )),
        Row("Drivers", (
            Panel("Available", "Drivers who are free, where they were last seen.", "short",
                  one('max by (zone) (baton_zone_drivers{zone=~"$zone",state="available"})', "{{zone}}")),
            Panel("Online against wanted", "Available, busy or on a break, less the zone's minimum.", "short",
                  one('sum by (zone) (max by (zone, state)'
                      ' (baton_zone_drivers{zone=~"$zone",state=~"available|busy|on_break"}))'
                      f" - max by (zone) (baton_zone_drivers_wanted{_ZONE})", "{{zone}}"), limit=0, low=True),
            Panel("Understaffed", "1: the zone's alert is on.", "none",
                  one(f"max by (zone) (baton_zone_understaffed{_ZONE})", "{{zone}}"), limit=1),
            Panel("By state", "All drivers of the zones chosen.", "short",
                  one(f"sum by (state) (max by (zone, state) (baton_zone_drivers{_ZONE}))", "{{state}}"), width=24),
        )),
    ),
    (Variable("zone", "baton_zone_open_searches"),),
)  # fmt: skip

DASHBOARDS: tuple[Dashboard, ...] = (OPERATIONS, ENGINE, MONEY, ZONES)
