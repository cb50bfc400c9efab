"""House rules that a reader relies on: import arrows, sizes, a pure core, current generated code, logged names."""

import ast
import re
import sys
from pathlib import Path

import pytest

from dispatch.contract import generate, registry
from dispatch.log.logs import CATALOGUE

ROOT = Path(__file__).parents[2]
ABOVE_INPUTS = (
    "dispatch.contract", "dispatch.core", "dispatch.config", "dispatch.log", "dispatch.metrics", "dispatch.inputs",
)  # fmt: skip
ARROWS = {
    "dispatch/contract": (),
    "dispatch/core": ("dispatch.contract",),
    "dispatch/metrics": (),
    "dispatch/log": ("dispatch.metrics.form", "dispatch.metrics.host", "dispatch.metrics.consumers"),
    "dispatch/inputs": ("dispatch.contract", "dispatch.core", "dispatch.config", "dispatch.log", "dispatch.metrics"),
    "dispatch/processors": ABOVE_INPUTS,
    "dispatch/streams": ABOVE_INPUTS,
    "dispatch/training": ("dispatch.contract", "dispatch.core", "dispatch.log"),
    "dispatch/notices": ABOVE_INPUTS,
    "dispatch/webhooks": ("dispatch.contract", "dispatch.config", "dispatch.log", "dispatch.metrics"),
    "dispatch/replay": (
        *ABOVE_INPUTS,
        "dispatch.processors",
        "dispatch.simulation",
        "dispatch.webhooks.kinds",
        "projections.audit.keys",
        "projections.audit.sealed",
        "projections.story",
    ),
    "dispatch/checker": ("dispatch.contract", "dispatch.log.reading", "dispatch.log.application"),
    "dispatch/simulation": (*ABOVE_INPUTS, "dispatch.processors", "dispatch.streams", "dispatch.checker"),
    "projections": ("dispatch.contract", "dispatch.log", "dispatch.metrics"),
    "gateways": (
        "dispatch.contract",
        "dispatch.config",
        "dispatch.core.facts",
        "dispatch.core.money",
        "dispatch.core.policy",
        "dispatch.core.presence",
        "dispatch.core.quoting",
        "dispatch.core.serviceability",
        "dispatch.core.zone",
        "dispatch.inputs.api_keys",
        "dispatch.inputs.arrivals",
        "dispatch.inputs.candidates",
        "dispatch.inputs.changes",
        "dispatch.inputs.follower",
        "dispatch.inputs.pins",
        "dispatch.inputs.prices",
        "dispatch.inputs.quotes",
        "dispatch.inputs.rule",
        "dispatch.inputs.zone",
        "dispatch.log",
        "dispatch.metrics.gateway",
        "dispatch.webhooks.endpoints",
        "dispatch.webhooks.kinds",
        "dispatch.webhooks.sealing",
        "dispatch.webhooks.targets",
        "projections.queries",
    ),
    "baton": (),
    "deploy/local": (),
    "deploy/prometheus": ("dispatch.core.policy", "dispatch.metrics"),
    "deploy/grafana": ("deploy.prometheus", "dispatch.metrics"),
    "deploy/demo": ("deploy.local", "dispatch.contract", "dispatch.config", "dispatch.log", "dispatch.checker"),
}
OURS = ("dispatch", "projections", "gateways", "deploy", "baton")
SOURCES = [path for room in OURS for path in sorted((ROOT / room).rglob("*.py")) if "records" not in path.parts]


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module in OURS or (ROOT / node.module.replace(".", "/")).is_dir()
            found += [f"{node.module}.{name.name}" for name in node.names] if whole else [str(node.module)]
        elif isinstance(node, ast.Import):
            found += [name.name for name in node.names]
    return found


@pytest.mark.parametrize("room", ARROWS)
def test_imports_point_down_only(room: str) -> None:
    own = room.replace("/", ".")
    allowed = (own, *ARROWS[room])
    for path in sorted((ROOT / room).rglob("*.py")):
        for name in imports(path):
            if name.split(".")[0] in OURS and name != "dispatch.__version__":
                assert name.startswith(allowed), f"{path.relative_to(ROOT)} imports {name}"


def test_the_client_can_be_shipped_alone() -> None:
    found = {name.split(".")[0] for path in (ROOT / "baton").rglob("*.py") for name in imports(path)}
    assert found - set(sys.stdlib_module_names) == {"baton", "httpx", "standardwebhooks", "websockets"}


def test_the_core_has_no_clock_no_chance_and_no_io() -> None:
    forbidden = {"time", "datetime", "random", "secrets", "os", "socket", "threading", "asyncio", "subprocess",
                 "logging",
                 "structlog", "confluent_kafka", "redis", "psycopg", "pathlib"}  # fmt: skip
    for path in sorted((ROOT / "dispatch/core").rglob("*.py")):
        assert not {name.split(".")[0] for name in imports(path)} & forbidden, path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("open", "print", "input"), path
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("uuid4", "uuid1", "now", "utcnow", "time_ns"), path


def test_files_and_functions_stay_small_and_are_named_for_what_they_do() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert text.count("\n") <= 420, path
        assert path.stem not in ("utils", "util", "helpers", "manager", "common", "misc"), path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and path.parts[-2] != "gateways":
                assert (node.end_lineno or 0) - node.lineno < 75, f"{path} {node.name}"


def test_nothing_is_left_to_do_and_no_error_is_passed_over() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError", text), path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ExceptHandler):
                assert not (len(node.body) == 1 and isinstance(node.body[0], ast.Pass)), path


def test_every_client_of_kafka_signs_in_and_says_its_name() -> None:
    ours = [path for path in SOURCES if "bootstrap.servers" in path.read_text().replace("controller.quorum.", "")]
    local = {ROOT / "deploy/local" / name for name in ("kafka.py", "ahead.py")}  # the local stack's own broker
    assert set(ours) - local == {ROOT / "dispatch/log/connecting.py"}


def test_every_module_says_what_it_is_for() -> None:
    for path in SOURCES:
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_every_log_line_is_in_the_catalogue_with_its_fields() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("info", "warning", "error")
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "logger"
            ):
                first = node.args[0]
                assert isinstance(first, ast.Constant), path
                given = {keyword.arg for keyword in node.keywords}
                assert given == set(CATALOGUE[first.value]), f"{path}: {first.value} with {given}"


def test_generated_records_are_current_and_every_schema_has_an_id() -> None:
    assert generate.main(["--check"]) == 0
    assert registry.main(["--check"]) == 0
    assert registry.unlocked() == []


def test_every_pair_of_versions_of_a_subject_can_read_each_other() -> None:
    wrong = [
        f"{older.subject}: {older.version} and {newer.version}"
        for older in registry.registered()
        for newer in registry.registered()
        if older.subject == newer.subject and older.version < newer.version
        and not (reads(newer.schema, older.schema) and reads(older.schema, newer.schema))
    ]  # fmt: skip
    assert wrong == []


def test_a_change_that_old_readers_cannot_take_is_found() -> None:
    row = next(row for row in registry.registered() if row.subject.endswith("DriverAccepted"))
    lacking = {**row.schema, "fields": [field for field in row.schema["fields"] if field["name"] != "offer_id"]}
    assert reads(row.schema, row.schema)
    assert not reads(row.schema, lacking)
    grown = {**row.schema, "fields": [*row.schema["fields"], {"name": "more", "type": "string"}]}
    assert not reads(grown, row.schema)
    kind = {**grown, "fields": [*row.schema["fields"], {"name": "more", "type": "string", "default": ""}]}
    assert reads(kind, row.schema)


def reads(reader: object, writer: object) -> bool:
    """Whether the reference implementation of Avro says that one reads the other."""
    import json

    import avro.schema
    from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

    parsed = [avro.schema.parse(json.dumps(schema)) for schema in (reader, writer)]
    found = ReaderWriterCompatibilityChecker().get_compatibility(*parsed)
    return bool(found.compatibility == SchemaCompatibilityType.compatible)


def test_no_two_files_of_tests_have_one_name() -> None:
    """They are imported by it; a command's first file is called by its folder's."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name not in ("conftest.py", "__main__.py")]
    assert sorted(names) == sorted(set(names))
