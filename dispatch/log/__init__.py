"""Runs pure aggregates on Kafka, exactly once. Knows nothing of deliveries and imports nothing of ours.

`application` is the port that aggregates fill in; `worker` the loop; `batch` decides over an overlay, `store` keeps the
states and timers of a partition, `envelope` is their form in the state topic, `restore` reads them back, `transaction`
is the producer's side, `journal` remembers what killed the process. `health`, `logs`, `topics` and `reading` serve
every process.
"""
