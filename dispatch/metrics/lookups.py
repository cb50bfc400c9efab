"""Candidates and ways on the road, wherever they are asked for."""

from dispatch.metrics.form import Section

SECTION = Section("Lookups", ("worker", "streams", "eta", "gateway"))

CANDIDATES = SECTION.counter(
    "baton_candidate_lookups_total", "Batches of candidate lookups by what answered.",
    {"source": ("first", "second", "none")},
)  # fmt: skip
WAYS = SECTION.counter(
    "baton_travel_times_total", "Ways asked for, by what answered.", {"source": ("osrm", "osrm_cache", "formula")}
)
ROUTING = SECTION.counter(
    "baton_routing_calls_total",
    "Calls for the routing engine: answered, failed, without an answer in time, or not made while it is left alone.",
    {"outcome": ("answered", "failed", "late", "left_alone")},
)
