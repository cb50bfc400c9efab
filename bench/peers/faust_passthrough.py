"""The peer on Faust: each command gives two records and a changed table entry, at least once. Run by bench.peers.

Faust's exactly_once is left off: it is its faster mode that is compared with.
"""

import os
import sys

import faust

KAFKA, INPUT, EVENTS, DECISIONS, GROUP, PARTITIONS, FOLDER = os.environ["BENCH_PEER"].split(",")

app = faust.App(
    GROUP,
    broker=f"kafka://{KAFKA}",
    datadir=FOLDER,
    topic_partitions=int(PARTITIONS),
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    store="memory://",
    web_enabled=False,
    producer_linger_ms=5,
    broker_max_poll_records=2_000,
)
RAW = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
commands = app.topic(INPUT, **RAW)
events = app.topic(EVENTS, **RAW)
decisions = app.topic(DECISIONS, **RAW)
states = app.Table("states", partitions=int(PARTITIONS), key_type=bytes, value_type=bytes)


@app.agent(commands)
async def passes_through(stream: faust.StreamT) -> None:
    """One command in; an event, a decision and a state out."""
    async for key, value in stream.items():
        states[key] = value * 2
        events.send_soon(key=key, value=value)
        decisions.send_soon(key=key, value=value * 2)


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "--without-web", "-l", "error"]
    app.main()
