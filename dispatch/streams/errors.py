"""What goes wrong in the streams, counted by kind."""

from prometheus_client import Counter

ERRORS = Counter("baton_stream_errors_total", "Errors of the streams by kind; after each they went on.", ["kind"])
for _kind in ("unreadable", "record", "kafka", "index", "queue_full"):
    ERRORS.labels(_kind)
