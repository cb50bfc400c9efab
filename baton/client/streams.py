"""Server-sent events, line by line. Source: WHATWG HTML, "Interpreting an event stream"."""

import json
from dataclasses import dataclass
from typing import Any

CLOSED = "closed"
"""The name of a stream's last event; its data say why: `delivery_ended`, or something to come again after."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    name: str
    data: Any
    id: str
    """To go on after it."""


class Reading:
    """What was read so far of a stream, over all its connections."""

    def __init__(self) -> None:
        self.last_id, self.over = "", False
        self._name, self._id = "", ""
        self._data: list[str] = []

    def headers(self) -> dict[str, str]:
        """Of the next connection. Half a message that the last one broke off in is forgotten."""
        self._name, self._data, self._id = "", [], self.last_id
        return {"accept": "text/event-stream"} | ({"last-event-id": self.last_id} if self.last_id else {})

    def line(self, line: str) -> Event | None:
        """The event that this line completes."""
        if not line:
            name, data = self._name, "\n".join(self._data)
            self._name, self._data, self.last_id = "", [], self._id
            return self._event(name or "message", _read(data)) if data else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
        return None

    def _event(self, name: str, data: Any) -> Event | None:
        """None for the last one of a connection."""
        if name != CLOSED:
            return Event(name, data, self.last_id)
        self.over = isinstance(data, dict) and data.get("reason") == "delivery_ended"
        return None


def _read(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data
