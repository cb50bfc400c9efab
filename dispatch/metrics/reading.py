"""Errors of the streams, which go on after each."""

from dispatch.metrics.form import Section

SECTION = Section("Errors of the streams", ("streams", "eta"))

ERRORS = SECTION.counter(
    "baton_stream_errors_total", "Errors of the streams by kind; after each they went on.",
    {"kind": ("unreadable", "record", "kafka", "index", "queue_full")},
)  # fmt: skip
