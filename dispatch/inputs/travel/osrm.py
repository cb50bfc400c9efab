"""The routing engine OSRM over HTTP: `/table` for many ways at once, `/route` for one.

Source of the protocol: github.com/Project-OSRM/osrm-backend, docs/http.md. One time limit holds for the whole answer,
however slowly its bytes come.
"""

import time
from typing import Any

import httpx
import orjson

from dispatch.inputs.travel.port import Asked, Found, Place, Road, RoutingUnavailable, believed

_LARGEST_BYTES = 1_000_000
OFF_ROAD_M = 1_000.0
"""A place that lies farther from the nearest road than this is not on the engine's map."""


class Osrm:
    """One server. Safe to ask from several threads."""

    def __init__(self, url: str, timeout_ms: int = 40, connections: int = 8) -> None:
        self._url, self._limit_s = url.rstrip("/"), timeout_ms / 1000
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._client = httpx.Client(timeout=self._limit_s, limits=limits, trust_env=False)

    def table(self, asked: Asked) -> Found:
        """From every place to one, and from there on. Raises RoutingUnavailable."""
        places = (*asked.places, asked.to, *((asked.on,) if asked.on is not None else ()))
        count = len(asked.places)
        sources = range(count + 1 if asked.on is not None else count)
        destinations = range(count, len(places))
        said = self._get(
            f"/table/v1/driving/{_coordinates(places)}?annotations=duration,distance"
            f"&sources={_list(sources)}&destinations={_list(destinations)}"
        )
        seconds = _matrix(said, "durations", len(sources), len(destinations))
        metres = _matrix(said, "distances", len(sources), len(destinations))
        off = _off_road(said, "sources", len(sources)), _off_road(said, "destinations", len(destinations))

        def road(row: int, column: int) -> Road | None:
            if off[0][row] or off[1][column] or seconds[row][column] is None or metres[row][column] is None:
                return None
            return believed(metres[row][column], seconds[row][column], places[row], places[count + column])

        roads = tuple(road(row, 0) for row in range(count))
        return Found(roads, road(count, 1) if asked.on is not None else None)

    def route(self, place: Place, to: Place) -> Road | None:
        """From one place to another. Raises RoutingUnavailable."""
        said = self._get(f"/route/v1/driving/{_coordinates((place, to))}?overview=false")
        if any(_off_road(said, "waypoints", 2)):
            return None
        routes = said.get("routes")
        if not isinstance(routes, list) or not routes or not isinstance(routes[0], dict):
            raise RoutingUnavailable("an answer without a route")
        return believed(routes[0].get("distance"), routes[0].get("duration"), place, to)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _get(self, path: str) -> dict[str, Any]:
        until = time.monotonic() + self._limit_s
        body = bytearray()
        try:
            with self._client.stream("GET", self._url + path) as answer:
                if answer.status_code != 200:
                    raise RoutingUnavailable(f"{self._url} answers {answer.status_code}")
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _LARGEST_BYTES:
                        raise RoutingUnavailable(f"an answer of more than {_LARGEST_BYTES} bytes")
                    if time.monotonic() > until:
                        raise RoutingUnavailable(f"no whole answer within {self._limit_s * 1000:.0f} ms")
            said = orjson.loads(body)
        except (httpx.HTTPError, httpx.InvalidURL, orjson.JSONDecodeError) as error:
            raise RoutingUnavailable(f"{self._url}: {type(error).__name__}: {error}"[:200]) from error
        if not isinstance(said, dict) or said.get("code") != "Ok":
            raise RoutingUnavailable(f"an answer that is not Ok: {body[:100]!r}")
        return said


def _coordinates(places: tuple[Place, ...]) -> str:
    return ";".join(f"{lng:.6f},{lat:.6f}" for lat, lng in places)


def _list(numbers: range) -> str:
    return ";".join(map(str, numbers))


def _matrix(said: dict[str, Any], name: str, rows: int, columns: int) -> list[list[Any]]:
    matrix = said.get(name)
    right = isinstance(matrix, list) and len(matrix) == rows
    if not right or not all(isinstance(row, list) and len(row) == columns for row in matrix or ()):
        raise RoutingUnavailable(f"{name} of another shape than the {rows} by {columns} asked for")
    assert isinstance(matrix, list)
    return matrix


def _off_road(said: dict[str, Any], name: str, count: int) -> list[bool]:
    """Which of the places lie too far from any road."""
    places = said.get(name)
    if not isinstance(places, list) or len(places) != count:
        raise RoutingUnavailable(f"{name} of another number than the {count} asked for")
    off = []
    for place in places:
        away_m = place.get("distance", 0) if isinstance(place, dict) else None
        if not isinstance(away_m, int | float):
            raise RoutingUnavailable(f"{name} without their distance from the road")
        off.append(not away_m <= OFF_ROAD_M)
    return off
