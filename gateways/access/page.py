"""docs/doors.md, written from the table of doors: `python -m gateways.access.page`; with --check it only compares."""

import sys
from pathlib import Path

from gateways.access.doors import DOORS, Door, Owner

PAGE = Path(__file__).parents[2] / "docs" / "doors.md"
_HEAD = """# Who may do what

Written from `gateways/access/doors.py` by `python -m gateways.access.page`; the same table is asked at the gate, before
any handler runs. How one signs in: [sign-in](sign-in.md).

"Whose" holds for order services (their sellers), drivers (themselves, or a delivery while they hold it) and customers
(the delivery that their token is about); support, operations, analysts and admins are not bound to anything of
their own.
"Reason": the body, or the query, has a `reason` or a `note`.

| method | path | roles | whose | reason |
|---|---|---|---|---|
"""
_WHOSE = {
    Owner.ANYONE: "",
    Owner.DRIVER: "the driver's own",
    Owner.SELLER: "a seller of theirs",
    Owner.DELIVERY: "a delivery of theirs",
    Owner.WEBHOOK: "an endpoint of a seller of theirs",
    Owner.TRACKING: "the token in the path",
}


def page() -> str:
    """The page, in the table's order."""
    return _HEAD + "".join(_row(door) for door in DOORS)


def _row(door: Door) -> str:
    roles = ", ".join(sorted(door.roles)) or ("" if door.owner is Owner.TRACKING else "everybody")
    cells = (door.method, f"`{door.path}`", roles, _WHOSE[door.owner], "yes" if door.reason else "")
    return f"| {' | '.join(cells)} |\n"


def main(arguments: list[str]) -> int:
    """Writes the page; with --check 1 when it is not current."""
    if "--check" in arguments:
        return 0 if PAGE.exists() and PAGE.read_text() == page() else 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
