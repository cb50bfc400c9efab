"""How far behind each consumer is, as it noted itself last."""

from dispatch.metrics.form import Section

SECTION = Section("Consumers", ("every process that reads the log",))

LAG_RECORDS = SECTION.collected(
    "baton_consumer_lag_records",
    "Offsets between what a consumer took and the end as it was last told. Marks of transactions count, so one that has"
    " read all may show 1 a partition.",
    {"consumer": "what reads", "topic": "its topics", "partition": "the partition's number"},
    unit="records",
)
LAG_SECONDS = SECTION.collected(
    "baton_consumer_lag_seconds",
    "How long ago, at least, the end of the partition was where this consumer is now; 0: it has read all.",
    {"consumer": "what reads", "topic": "its topics", "partition": "the partition's number"},
    unit="seconds",
)
SILENT_SECONDS = SECTION.collected(
    "baton_consumer_silent_seconds",
    "Since when a consumer has not asked for records: it works on some, or waits for what it writes to.",
    {"consumer": "what reads"},
    unit="seconds",
)
