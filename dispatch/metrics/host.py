"""What the host of aggregates counts; it knows nothing of deliveries."""

from dispatch.metrics.form import Section

SECTION = Section("The host", ("worker",))

DECISIONS = SECTION.counter("baton_decisions_total", "Commands and timers decided in committed transactions.")
TRANSACTIONS = SECTION.counter("baton_transactions_total", "Committed transactions.")
ABORTS = SECTION.counter("baton_transaction_aborts_total", "Transactions that were aborted and tried again.")
UNKNOWN = SECTION.counter(
    "baton_transaction_unknown_total", "Commits without an answer, after which the state was restored."
)
DEAD_LETTERS = SECTION.counter("baton_dead_letters_total", "Records set aside.")
BATCH = SECTION.histogram(
    "baton_batch_records", "Records and timers in a transaction.", (1, 2, 5, 10, 50, 100, 250, 500, 1000, 2000),
    unit="records",
)  # fmt: skip
TRANSACTION_SECONDS = SECTION.histogram(
    "baton_transaction_seconds", "From begin to committed.", (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
)
DECISION_SECONDS = SECTION.histogram(
    "baton_decision_seconds",
    "From the stamp of the oldest record in a transaction to committed: no decision of it took longer.",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60),
)
PARTITIONS = SECTION.gauge("baton_partitions_owned", "Partition numbers that this worker holds.")
AGGREGATES = SECTION.gauge("baton_aggregates", "Aggregates in memory.")
RESTORE_SECONDS = SECTION.gauge("baton_restore_seconds", "How long the last restore took.", unit="seconds")
