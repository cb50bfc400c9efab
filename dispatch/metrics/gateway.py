"""Requests, sockets and streams. Labels are doors as the table has them, never what a client sent."""

from dispatch.metrics.form import Section

SECTION = Section("The gateway", ("gateway",))
DOOR = "a row of the table of doors, or unknown"

REQUESTS = SECTION.counter(
    "baton_gateway_requests_total", "Requests answered.",
    {"door": DOOR, "method": "the request's, or other", "status": "the answer's"},
)  # fmt: skip
SECONDS = SECTION.histogram(
    "baton_gateway_request_seconds", "From the request's head to its answer's end; streams do not count.",
    (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30), {"door": DOOR},
)  # fmt: skip
IN_FLIGHT = SECTION.gauge("baton_gateway_requests_in_flight", "Requests that wait for their answer.")
SOCKETS = SECTION.gauge("baton_gateway_sockets_open", "WebSockets that are open.")
LIMITED = SECTION.counter(
    "baton_gateway_rate_limited_total", "Requests refused for coming too often.",
    {"rate": ("open", "read", "write", "ping", "admin", "stream")},
)  # fmt: skip
LOCAL_LIMITS = SECTION.counter(
    "baton_gateway_local_limits_total", "Requests counted by this instance alone: Valkey was away."
)
REPLAYED = SECTION.counter("baton_gateway_answers_replayed_total", "Answers given again for an Idempotency-Key.")
UNKEPT = SECTION.counter(
    "baton_gateway_answers_unkept_total", "Keyed requests whose answer could not be kept: Postgres away."
)
UNCLEANED = SECTION.counter("baton_gateway_answers_uncleaned_total", "Times that old answers could not be taken away.")
PINGS_REFUSED = SECTION.counter(
    "baton_gateway_pings_refused_total", "Pings refused by a gateway, by reason.",
    {"reason": ("zero_place", "in_the_future", "too_old", "bad_accuracy")},
)  # fmt: skip
SOCKETS_BEGUN = SECTION.counter(
    "baton_socket_beginnings_total", "Sockets opened, by how they began.", {"how": ("new", "resumed", "resync")}
)
SOCKETS_CLOSED = SECTION.counter(
    "baton_sockets_closed_total", "Sockets closed by the gateway, by code.", {"code": "docs/sockets.md has them"}
)
SOCKETS_ENDED = SECTION.counter(
    "baton_sockets_ended_total",
    "Sockets that ended: the driver left, the connection was lost, the gateway dropped a reader too slow, another"
    " connection took over, the token expired, the gateway restarted, or a fault.",
    {"how": ("left", "lost", "dropped", "replaced", "expired", "restarted", "fault")},
)
MESSAGES = SECTION.counter("baton_socket_messages_total", "Messages sent to drivers.")
STREAMS = SECTION.gauge(
    "baton_gateway_streams", "Streams of server-sent events that are open, by kind.", {"kind": "docs/tracking.md"}
)
STREAMS_ENDED = SECTION.counter(
    "baton_gateway_streams_ended_total", "Streams that ended, by kind and reason.",
    {"kind": "docs/tracking.md", "reason": "why"},
)  # fmt: skip
