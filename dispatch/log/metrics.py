"""The host's metrics, all in one place."""

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter("baton_decisions_total", "Commands and timers decided in committed transactions.")
TRANSACTIONS = Counter("baton_transactions_total", "Committed transactions.")
ABORTS = Counter("baton_transaction_aborts_total", "Transactions that were aborted and tried again.")
UNKNOWN = Counter("baton_transaction_unknown_total", "Commits without an answer, after which the state was restored.")
DEAD_LETTERS = Counter("baton_dead_letters_total", "Records set aside.")
BATCH = Histogram(
    "baton_batch_records", "Records and timers in a transaction.", buckets=(1, 2, 5, 10, 50, 100, 250, 500)
)
TRANSACTION_SECONDS = Histogram(
    "baton_transaction_seconds", "From begin to committed.", buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1)
)
PARTITIONS = Gauge("baton_partitions_owned", "Partition numbers that this worker holds.")
AGGREGATES = Gauge("baton_aggregates", "Aggregates in memory.")
RESTORE_SECONDS = Gauge("baton_restore_seconds", "How long the last restore took.")
