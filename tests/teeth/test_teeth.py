"""The bugs of `tests/teeth` fit the code as it is, and the quickest are caught; `python -m tests.teeth` runs all."""

import subprocess
import sys
from difflib import unified_diff
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from biting import MAY_BE_SPOILT, ROOT, NoLongerApplies, bite, bugs, copy_tree, put_in

QUICK = {
    "aborted-batch-not-sought-back": 13,
    "fence-does-not-rise": 4,
    "last-offset-not-counted": 13,
    "overlay-ignored-within-a-batch": 5,
    "pickup-skipped": 20,
}
"""Caught within a few seeds, and the rule that catches them among others."""


def test_every_bug_fits_the_code_and_spoils_what_decides_or_hosts(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree")
    every = bugs()
    for bug in every:
        put_in(bug, tree, check=True)
        assert bug.files
        assert all(name.startswith(MAY_BE_SPOILT) for name in bug.files), bug.name
        assert bug.what.endswith("."), bug.name
    assert len(every) >= 30


def test_a_bug_that_no_longer_fits_is_told(tmp_path: Path) -> None:
    bug = bugs(["fence-does-not-rise"])[0]
    tree = copy_tree(tmp_path / "tree")
    put_in(bug, tree)
    with pytest.raises(NoLongerApplies, match="fence-does-not-rise: error: patch failed"):
        put_in(bug, tree)


@pytest.mark.parametrize(("name", "rule"), QUICK.items(), ids=QUICK)
def test_a_bug_is_caught(name: str, rule: int, tmp_path: Path) -> None:
    found = bite(bugs([name])[0], tmp_path, seeds=20)
    assert found.caught
    assert rule in found.rules, found.sentence


def test_the_table_names_who_got_away_and_the_exit_code_says_so(tmp_path: Path) -> None:
    """A patch that spoils nothing gets away: the runner can say so."""
    code = (
        "import sys, pathlib\n"
        "from tests.teeth import __main__ as command, biting\n"
        "biting.BUGS = pathlib.Path(sys.argv[1])\n"
        "sys.exit(command.main(['--seeds', '1']))\n"
    )
    whole = (ROOT / "dispatch/core/money.py").read_text()
    lines = [text.splitlines(keepends=True) for text in (whole, whole.replace(".", "!", 1))]
    diff = unified_diff(*lines, "a/dispatch/core/money.py", "b/dispatch/core/money.py")
    (tmp_path / "harmless.patch").write_text("A word in a docstring.\n\n" + "".join(diff))
    did = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False,
                         cwd=ROOT)  # fmt: skip
    assert did.returncode == 1, did.stderr
    assert "0 of 1 bugs caught within 1 seeds; got away: harmless" in did.stdout
