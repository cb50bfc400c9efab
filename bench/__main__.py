"""`make bench`: starts Kafka in a folder of its own, measures, prints a table and writes bench/results/latest.json."""

import datetime
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import decisions
from deploy.local import Kafka


def main() -> int:
    """Prints every figure."""
    given = os.environ.get("BATON_KAFKA", "")
    with tempfile.TemporaryDirectory() as folder:
        kafka = None if given else Kafka(Path(folder))
        if kafka:
            kafka.start()
        try:
            address = given or (kafka.address if kafka else "")
            results = {"one worker": decisions.run(address), "restore": decisions.restore(address)}
        finally:
            if kafka:
                kafka.kill()
    console = Console()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    for name, figures in results.items():
        table = Table(name, machine, box=None)
        for what, figure in figures.items():
            table.add_row(what, f"{figure:,.1f}")
        console.print(table)
    out = Path(__file__).parent / "results"
    out.mkdir(exist_ok=True)
    said = {"machine": machine, "at": datetime.datetime.now(datetime.UTC).isoformat(), "results": results}
    (out / "latest.json").write_text(json.dumps(said, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
