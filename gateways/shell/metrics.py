"""The gateway's own metrics. Labels are doors as the table has them, never what a client sent."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("baton_gateway_requests_total", "Requests answered.", ["door", "method", "status"])
SECONDS = Histogram(
    "baton_gateway_request_seconds", "From the request's head to its answer's end.", ["door"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)  # fmt: skip
IN_FLIGHT = Gauge("baton_gateway_requests_in_flight", "Requests that wait for their answer.")
SOCKETS = Gauge("baton_gateway_sockets_open", "WebSockets that are open.")
LIMITED = Counter("baton_gateway_rate_limited_total", "Requests refused for coming too often.", ["rate"])
LOCAL_LIMITS = Counter("baton_gateway_local_limits_total", "Requests counted by this instance alone: Valkey was away.")
REPLAYED = Counter("baton_gateway_answers_replayed_total", "Answers given again for an Idempotency-Key.")
UNKEPT = Counter("baton_gateway_answers_unkept_total", "Keyed requests whose answer could not be kept: Postgres away.")
UNCLEANED = Counter("baton_gateway_answers_uncleaned_total", "Times that old answers could not be taken away.")
