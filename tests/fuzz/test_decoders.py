"""Odd bytes at every decoder: what was found stays found, and a short form of `make fuzz`, the same each time."""

import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.target import Target, odd
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
DEEP = b"[" * 3_000
TIMES = 150
FOUND: dict[str, tuple[bytes, ...]] = {
    "envelope": (b"\x95\x02\x01\x91\x93\xa5\x95race\x00\xa0\x90\xc4\x00",),
    "state": (b"\x81\xa2id\xa2\xde\x00",),
    "journal": (b'{"a":' * 1_500,),
    "policy-record": (DEEP,),
    "zone-shape": (DEEP, b'{"type":"Polygon","coordinates":[[[7,48],[7,49,3],[8,49],[7,48]]]}'),
    "learned-document": (b'{"scope": ' + DEEP, DEEP),
    "quote-sealed": (b"1\x90", b"1e999", b"1\x91\xa1\xcf", b"1" + b"\x91" * 3_000),
    "webhook-signed": (DEEP, b'{"type":"a","data":[1]}', b'{"data":"ab"}'),
    "event-stream": (b"data: " + DEEP + b"\n\n", b"data: " + b"9" * 5_000 + b"\n\n"),
    "policy-json": (b'{"offer": {"on_expiry": "\\ud800"}}', b'{"by_zone": {"z": {"\\ud800": {}}}}'),
    "policy-document": (b'{"offer": {"\\ud800": 1}}', b'{"by_zone": {"\\ud800": {}}}'),
    "start-values": (b"30\n\xf6",),
    "audit-anchor": (DEEP,),
    "audit-bundle-resealed": (
        b"\x04\xfb\xff",
        b'\x02[{"topic": "delivery.events", "partition": 0, "offset": 0, "value": "", "hash": "", "prev_hash": ""}]',
    ),
    "incident-bundle-resealed": (
        b'\x03[{"actor_id": "t", "at_ms": 0, "document": "{\\"eta\\": {\\"a\\": 1}}", "reason": "", "version": 1}]',
    ),
}  # fmt: skip
"""By target: what once raised something that was not named, or ended a thread that follows the rules."""


@pytest.mark.parametrize("name", TARGETS)
def test_real_bytes_are_taken(name: str) -> None:
    """Else nothing behind the first check would be tried."""
    target = TARGETS[name]
    assert any(target.hold(seed) for seed in target.seeds())


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, every in FOUND.items() for data in every])
def test_what_once_broke_a_decoder_is_refused_or_taken(name: str, data: bytes) -> None:
    TARGETS[name].hold(data)


@pytest.mark.parametrize("name", TARGETS)
def test_odd_bytes_are_taken_or_refused_by_name(name: str) -> None:
    target = TARGETS[name]
    for data in itertools.islice(odd(target.seeds(), random.Random(name)), TIMES):
        target.hold(data)


def test_an_error_that_is_not_named_is_a_fault() -> None:
    target = Target("planted", lambda data: {b"a": 1}[data[:1]], (ValueError,), lambda: [b"a"])
    assert target.hold(b"a")
    with pytest.raises(KeyError):
        target.hold(b"b")


@pytest.mark.skipif(sys.platform != "linux", reason="atheris has wheels for Linux only")
def test_coverage_leads_to_a_fault_that_chance_does_not_find(tmp_path: Path) -> None:
    """Of two small decoders, one with a fault behind three bytes that must be right."""
    command = [sys.executable, "-m", "tests.fuzz.guided", "--of", "tests.fuzz.planted", "--home", str(tmp_path)]
    done = subprocess.run(
        [*command, "--runs", "300000", "--longest", "16"], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    sound, broken = (line for line in done.stdout.splitlines() if " inputs" in line)
    assert (sound.split()[0], sound.split()[-1]) == ("sound", "held"), done.stdout + done.stderr[-2000:]
    assert sound.split()[1] == "300000"
    assert broken.split()[0] == "broken"
    assert "BROKE" in broken
    assert "KeyError: 'behind three bytes'" in done.stdout
    assert done.returncode == 1
    assert [path.read_bytes()[:3] for path in tmp_path.glob("broken.broke-*")] == [b"bat"]
