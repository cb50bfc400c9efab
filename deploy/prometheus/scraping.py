"""Where Prometheus finds what: the processes of a running stack, by the supervisor's list of parts."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

JOB = "baton"
EVERY_S = 10
RULES = Path(__file__).parent / "alerts.yml"
FROM_FILE = "../../.baton/targets.json"
"""As seen from this folder; `baton metrics scrape --targets` writes its text."""


def targets(parts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Process -> host and port, of the parts that are ours: servers have no pages."""
    found = {str(part["name"]): urlsplit(str(part["address"])) for part in parts}
    return {name: address.netloc for name, address in found.items() if address.scheme == "http"}


def targets_file(found: Mapping[str, str]) -> str:
    """For file_sd_configs: Prometheus reads it again when it changes."""
    groups = [{"targets": [where], "labels": {"process": name}} for name, where in found.items()]
    return json.dumps(groups, indent=1) + "\n"


def configuration(found: Mapping[str, str] | None) -> str:
    """prometheus.yml with these targets; without any it reads them from a file, and the rules from beside it."""
    rules = str(RULES) if found is not None else RULES.name
    lines = [
        "global:", f"  scrape_interval: {EVERY_S}s", f"  evaluation_interval: {EVERY_S}s",
        f"rule_files: [{json.dumps(rules)}]", "scrape_configs:", f"  - job_name: {JOB}",
    ]  # fmt: skip
    if found is None:
        lines += ["    file_sd_configs:", f"      - files: [{json.dumps(FROM_FILE)}]"]
    else:
        lines.append("    static_configs:")
        for name, where in found.items():
            lines += [f"      - targets: [{json.dumps(where)}]", f"        labels: {{process: {json.dumps(name)}}}"]
    return "\n".join(lines) + "\n"
