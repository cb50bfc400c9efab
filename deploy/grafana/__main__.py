"""`python -m deploy.grafana` writes one JSON file a dashboard; `--check` compares, 1 when one is stale."""

import json
import sys
from pathlib import Path

from deploy.grafana.dashboards import DASHBOARDS

FOLDER = Path(__file__).parent


def files() -> dict[str, str]:
    """Name -> text."""
    made = {one.uid.removeprefix("baton-"): one.json() for one in DASHBOARDS}
    return {f"{name}.json": json.dumps(text, indent=1, ensure_ascii=False) + "\n" for name, text in made.items()}


def main(arguments: list[str]) -> int:
    """Writes, or with --check compares; 1 when stale. A file of no dashboard is stale too."""
    made = files()
    there = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    if "--check" in arguments:
        if stale:
            print(f"stale in deploy/grafana: {', '.join(stale)}; run python -m deploy.grafana")
        return int(bool(stale))
    for name in stale:
        if name in made:
            (FOLDER / name).write_text(made[name])
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
