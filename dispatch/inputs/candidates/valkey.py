"""The index in Valkey or Redis: one script answers many needs in one round trip.

Keys under the namespace: `drivers:geo` (free), `drivers:geo:busy` (working, without room), `drivers:geo:all`,
`drivers:status` (id -> what is known), and its mark `drivers:status:complete`. Geo keys hold latitudes to +-85.05
degrees; nobody is searched beyond.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from dispatch.core.facts import SearchNeed, SearchResult
from dispatch.inputs.candidates.port import BEYOND, IndexedDriver, IndexUnavailable, judge

FARTHEST_LAT = 85.05
_SPARE = 4
"""Where a vehicle is wanted, so many times the limit is looked at, for some will not fit."""
_MANY, _MOST = 100, 4_000
"""So many times more are looked at, once, when those who do not work in the zone leave the list short."""
_MOVED_AT_ONCE = 200
"""Places in one command: the server does nothing else meanwhile."""
_SEARCH = """
if KEYS[5] and redis.call('GET', KEYS[5]) ~= '1' then
  return redis.error_reply('NOTFILLED the index is not complete')
end
-- A need: lng, lat, radius, how many radii at most, how many drivers, a name, whether the busy are always wanted.
-- Ever wider rings: in the middle of a town the first is enough, and sorting the whole town for each need is not done.
local answers = {}
local function details(found, answer)
  if #found == 0 then return end
  local ids = {}
  for i, entry in ipairs(found) do ids[i] = entry[1] end
  local known = redis.call('HMGET', KEYS[4], unpack(ids))
  for i, entry in ipairs(found) do
    if known[i] then
      answer[#answer + 1] = entry[1]; answer[#answer + 1] = entry[2][1]; answer[#answer + 1] = entry[2][2]
      answer[#answer + 1] = known[i]
    end
  end
end
for i = 1, #ARGV, 7 do
  local answer = {}
  if ARGV[i + 5] ~= '' then
    local place = redis.call('GEOPOS', KEYS[3], ARGV[i + 5])[1]
    if place then details({{ARGV[i + 5], place}}, answer) end
  else
    local wanted, found, reach = tonumber(ARGV[i + 4]), nil, nil
    for _, part in ipairs({0.1, 0.4, 1, tonumber(ARGV[i + 3])}) do
      found = redis.call('GEOSEARCH', KEYS[1], 'FROMLONLAT', ARGV[i], ARGV[i + 1],
        'BYRADIUS', ARGV[i + 2] * part, 'm', 'ASC', 'COUNT', wanted, 'WITHCOORD')
      reach = part
      if #found >= wanted then break end
    end
    details(found, answer)
    if reach > 1 or ARGV[i + 6] == '1' then
      details(redis.call('GEOSEARCH', KEYS[2], 'FROMLONLAT', ARGV[i], ARGV[i + 1], 'BYRADIUS', ARGV[i + 2], 'm',
        'ASC', 'COUNT', '20', 'WITHCOORD'), answer)
    end
  end
  answers[#answers + 1] = answer
end
return answers
"""


class _Details(msgspec.Struct, array_like=True):
    """What stands beside the place."""

    vehicle: Any
    capacity: int
    orders: int
    rating: float
    availability: Any
    last_assigned_ms: int
    zones: Any = ()
    as_of_ms: int = 0


class ValkeyIndex:
    """One client with a time limit; raises IndexUnavailable when it is passed.

    With `complete_only`, an index that is not marked as complete is not believed: a wiped one would say "nobody".
    """

    def __init__(self, url: str, namespace: str, timeout_ms: int = 50, *, complete_only: bool = False) -> None:
        seconds = timeout_ms / 1000
        self._client = redis.Redis.from_url(
            url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=None, protocol=2
        )
        names = ("drivers:geo", "drivers:geo:busy", "drivers:geo:all", "drivers:status")
        self._keys = [namespace + name for name in names]
        self._mark = self._keys[3] + ":complete"
        self._read = [*self._keys, self._mark] if complete_only else self._keys
        self._begun = False
        self._search = self._client.register_script(_SEARCH)

    def search(self, needs: Sequence[SearchNeed]) -> list[SearchResult]:
        """All answers, in order. Raises IndexUnavailable. The server does nothing else meanwhile: not for hundreds."""
        if not needs:
            return []
        asked = self._asked(needs, 1)
        again = [place for place, (need, drivers) in enumerate(asked) if _crowded_out(need, drivers)]
        if again:
            for place, answer in zip(again, self._asked([needs[place] for place in again], _MANY), strict=True):
                asked[place] = answer
        return [judge(need, drivers, "valkey") for need, drivers in asked]

    def _asked(self, needs: Sequence[SearchNeed], times: int) -> list[tuple[SearchNeed, list[IndexedDriver]]]:
        arguments: list[Any] = []
        for need in needs:
            spare = (_SPARE if need.vehicle != "any" else 1) * times
            count = min((need.limit + len(need.excluded)) * spare + 1, _MOST)
            lat = max(-FARTHEST_LAT, min(FARTHEST_LAT, need.lat))
            picky = "0" if need.vehicle == "any" else "1"
            arguments += [need.lng, lat, need.radius_m, BEYOND, count, need.named, picky]
        try:
            answers: Any = self._search(keys=self._read, args=arguments)
        except redis.RedisError as error:
            raise IndexUnavailable(f"valkey: {error}") from error
        return [(need, _drivers(answer)) for need, answer in zip(needs, answers, strict=True)]

    def put(self, drivers: Sequence[IndexedDriver]) -> None:
        """Takes drivers as they are now. Raises IndexUnavailable."""
        free, busy, everybody, status = self._keys
        batch = self._client.pipeline(transaction=False)
        for driver in drivers:
            if abs(driver.lat) > FARTHEST_LAT:
                continue
            place = (driver.lng, driver.lat, driver.driver_id)
            batch.geoadd(everybody, place)
            known = (driver.vehicle, driver.capacity, driver.orders, driver.rating, driver.availability,
                     driver.last_assigned_ms, driver.zones, driver.as_of_ms)  # fmt: skip
            batch.hset(status, driver.driver_id, msgspec.msgpack.encode(known))
            works = driver.availability in ("AVAILABLE", "BUSY")
            for key, belongs in ((free, driver.free), (busy, works and not driver.free)):
                if belongs:
                    batch.geoadd(key, place)
                else:
                    batch.zrem(key, driver.driver_id)
        self._execute(batch)

    def move(self, places: Sequence[tuple[str, float, float]]) -> None:
        """Takes new places of known drivers. Raises IndexUnavailable."""
        batch = self._client.pipeline(transaction=False)
        held = [(lng, lat, driver_id) for driver_id, lat, lng in places if abs(lat) <= FARTHEST_LAT]
        for at in range(0, len(held), _MOVED_AT_ONCE):
            flat = [value for place in held[at : at + _MOVED_AT_ONCE] for value in place]
            for key in self._keys[:3]:
                batch.geoadd(key, flat, xx=True)
        self._execute(batch)

    def clear(self) -> None:
        """Forgets all. Raises IndexUnavailable."""
        batch = self._client.pipeline(transaction=False)
        batch.delete(*self._keys)
        self._execute(batch)

    def begin(self) -> None:
        """Forgets all, to be filled anew: not complete until `mark`. Raises IndexUnavailable."""
        batch = self._client.pipeline(transaction=False)
        batch.delete(*self._keys)
        batch.set(self._mark, 0)
        self._execute(batch)
        self._begun = True

    def marked(self) -> bool:
        """Whether the index still holds what was put in, by its mark. Raises IndexUnavailable."""
        try:
            return bool(self._client.get(self._mark) == b"1")
        except redis.RedisError as error:
            raise IndexUnavailable(f"valkey: {error}") from error

    def mark(self) -> None:
        """Says that the index is complete; the mark goes with everything else when the server is wiped.

        Raises IndexUnavailable, also when it was wiped since `begin`: what was put in before is gone.
        """
        try:
            taken = self._client.set(self._mark, 1, xx=self._begun)
        except redis.RedisError as error:
            raise IndexUnavailable(f"valkey: {error}") from error
        if not taken:
            raise IndexUnavailable("valkey: wiped while it was filled")

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _execute(self, batch: Any) -> None:
        try:
            batch.execute()
        except redis.RedisError as error:
            raise IndexUnavailable(f"valkey: {error}") from error


def _crowded_out(need: SearchNeed, drivers: Sequence[IndexedDriver]) -> bool:
    """Whether those who do not work in the zone took the places of others on the list."""
    if not need.zone or need.named or len(drivers) < need.limit:
        return False
    there = sum(driver.free and driver.says_of(need.zone) != "UNAVAILABLE" for driver in drivers)
    return there < min(need.limit, sum(driver.free for driver in drivers))


def _drivers(answer: Sequence[bytes]) -> list[IndexedDriver]:
    drivers = []
    for at in range(0, len(answer), 4):
        known = msgspec.msgpack.decode(answer[at + 3], type=_Details)
        drivers.append(
            IndexedDriver(
                driver_id=answer[at].decode(),
                lng=float(answer[at + 1]),
                lat=float(answer[at + 2]),
                vehicle=known.vehicle,
                capacity=known.capacity,
                orders=known.orders,
                rating=known.rating,
                availability=known.availability,
                last_assigned_ms=known.last_assigned_ms,
                zones=tuple((name, word) for name, word in known.zones),
                as_of_ms=known.as_of_ms,
            )
        )
    return drivers
