"""`python -m deploy.prometheus` writes alerts.yml, alerts_test.yml and prometheus.yml; `--check` compares."""

import sys
from pathlib import Path

from deploy.prometheus.alert import rules, trials
from deploy.prometheus.alerts import ALERTS
from deploy.prometheus.cases import CASES
from deploy.prometheus.scraping import configuration

FOLDER = Path(__file__).parent


def files() -> dict[str, str]:
    """Name -> text."""
    return {
        "alerts.yml": rules(ALERTS),
        "alerts_test.yml": trials(ALERTS, CASES),
        "prometheus.yml": "# Made by python -m deploy.prometheus. Do not edit.\n" + configuration(None),
    }


def main(arguments: list[str]) -> int:
    """Writes, or with --check compares; 1 when stale."""
    made = files()
    stale = [name for name, text in made.items() if not _is(FOLDER / name, text)]
    if "--check" in arguments:
        if stale:
            print(f"stale in deploy/prometheus: {', '.join(stale)}; run python -m deploy.prometheus")
        return int(bool(stale))
    for name in stale:
        (FOLDER / name).write_text(made[name])
    return 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
