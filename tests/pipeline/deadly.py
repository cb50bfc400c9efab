"""Baton's command line with a fault in it: whichever worker reads a command that says so dies at once.

Stands for a record that kills the process whatever one does about it, as a fault in a C library would.
"""

import os
import signal
import sys
from typing import Any

from dispatch.cli import main
from dispatch.log.application import Record
from dispatch.processors.aggregate import CoreAggregate

MARK = b"deadly poison"
_decode = CoreAggregate.decode


def decode(aggregate: CoreAggregate[Any], record: Record) -> Any:
    """As it is, but for the one record."""
    if (record.value or b"").startswith(MARK):
        os.kill(os.getpid(), signal.SIGKILL)
    return _decode(aggregate, record)


if __name__ == "__main__":
    CoreAggregate.decode = decode  # type: ignore[method-assign]
    sys.exit(main())
