"""Which door a request is for, told from the table before the router is asked."""

from collections.abc import Iterable
from typing import Any

from gateways.access.doors import DOORS, Door

_HERE = ""
_REST = "{:path}"
_ANY = "{}"


class DoorIndex:
    """The table as a tree of path segments; words win over parameters, as a router that has them first."""

    def __init__(self, doors: Iterable[Door] = DOORS) -> None:
        self._root: dict[str, Any] = {}
        for door in doors:
            node = self._root
            for segment in _segments(door.path):
                if segment.startswith("{"):
                    segment = _REST if segment.endswith(":path}") else _ANY
                node = node.setdefault(segment, {})
            node.setdefault(_HERE, {})[door.method] = door

    def find(self, method: str, path: str) -> Door | None:
        """The door of a method (SOCKET for a WebSocket) and a path; None: none is in the table."""
        return _found(self._root, _segments(path), 0, method)


def _segments(path: str) -> list[str]:
    return path.split("/")[1:]


def _found(node: dict[str, Any], segments: list[str], at: int, method: str) -> Door | None:
    if at == len(segments):
        door: Door | None = node.get(_HERE, {}).get(method)
        return door
    segment = segments[at]
    for name in (segment, _ANY) if segment else ():
        below = node.get(name)
        if below is not None and (door := _found(below, segments, at + 1, method)) is not None:
            return door
    rest: Door | None = node.get(_REST, {}).get(_HERE, {}).get(method)
    return rest
