"""GeoJSON in and out: a FeatureCollection becomes zones, or is refused with the feature and the reason.

Form: RFC 7946 (longitude first, WGS 84). Properties: `id` (or the feature's own id), `name`, `priority` 1..5,
`min_drivers_online`, `target_wait_s`; others are passed over. Nothing is repaired silently: what is wrong is told.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy
import shapely
from shapely.geometry import mapping, shape
from shapely.validation import explain_validity

from dispatch.core.zones import NOWHERE, Zone

MAX_BYTES = 10_000_000
MAX_FEATURES = 5_000
MAX_CORNERS = 20_000
"""Of one zone."""
MAX_GEOMETRY_CHARACTERS = 2_000_000
MIN_AREA_M2, MAX_AREA_KM2 = 1_000.0, 50_000.0
SLIVER_M2 = 100.0
"""Borders drawn twice never agree to the centimetre: so much overlap of equal zones is none."""
_ID = re.compile(r"[A-Za-z0-9_.:@|-]{1,128}")
_DEGREE_M = 111_195.0
_DEFAULTS = {"priority": 3, "min_drivers_online": 0, "target_wait_s": 300}
_RANGES = {"priority": (1, 5), "min_drivers_online": (0, 100_000), "target_wait_s": (1, 86_400)}


class ZoneFileError(Exception):
    """The file is refused; one sentence that names the feature, what was seen and what is wanted."""


def read(data: bytes) -> list[Zone]:
    """The zones of a file. Raises ZoneFileError; an empty collection is allowed and means: no zones."""
    if len(data) > MAX_BYTES:
        raise ZoneFileError(f"the file has {len(data) / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:g} MB are read")
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ZoneFileError(f"the file is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        seen = document.get("type") if isinstance(document, dict) else type(document).__name__
        raise ZoneFileError(f"the file is {str(seen)[:40]!r}; a GeoJSON FeatureCollection is wanted")
    features = document.get("features")
    if not isinstance(features, list):
        raise ZoneFileError("the FeatureCollection has no list `features`")
    if len(features) > MAX_FEATURES:
        raise ZoneFileError(f"the file has {len(features)} features; at most {MAX_FEATURES} are taken")
    zones: dict[str, Zone] = {}
    for number, feature in enumerate(features, 1):
        zone = _zone(number, feature)
        if zone.zone_id in zones:
            raise ZoneFileError(f"feature {number} ({zone.zone_id}): an earlier feature has the same id")
        zones[zone.zone_id] = zone
    _no_overlap(list(zones.values()))
    return list(zones.values())


def write(zones: Sequence[Zone]) -> bytes:
    """The zones as a FeatureCollection that `read` takes."""
    features = [
        {
            "type": "Feature",
            "id": zone.zone_id,
            "properties": {
                "name": zone.name,
                "priority": zone.priority,
                "min_drivers_online": zone.min_drivers_online,
                "target_wait_s": zone.target_wait_s,
            },
            "geometry": mapping(zone.shape),
        }
        for zone in zones
    ]
    return msgspec.json.format(msgspec.json.encode({"type": "FeatureCollection", "features": features}), indent=1)


def geometry_text(zone: Zone) -> str:
    """The shape as GeoJSON text."""
    return msgspec.json.encode(mapping(zone.shape)).decode()


def area_m2(area: Any) -> float:
    """Square metres of a shape in degrees, on a cylinder that touches at its middle latitude."""
    if area.is_empty:
        return 0.0
    _, south, _, north = area.bounds
    return float(area.area * _DEGREE_M**2 * math.cos(math.radians((south + north) / 2)))


def shape_of(geometry: Any) -> Any:
    """A Polygon or MultiPolygon from GeoJSON, without heights. Raises ZoneFileError without naming the feature."""
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise ZoneFileError(f"its geometry is {str(kind)[:40]!r}; a Polygon or MultiPolygon is wanted")
    rings = geometry.get("coordinates")
    polygons = [rings] if kind == "Polygon" else rings
    if not isinstance(polygons, list) or not polygons:
        raise ZoneFileError("it has no coordinates")
    corners = 0
    for rings in polygons:
        if not isinstance(rings, list) or not rings:
            raise ZoneFileError("a polygon of it has no ring")
        for ring in rings:
            corners += _ring(ring)
    if corners > MAX_CORNERS:
        raise ZoneFileError(f"it has {corners} points; at most {MAX_CORNERS} are taken")
    flat = [[[point[:2] for point in ring] for ring in rings] for rings in polygons]
    made = shape({"type": kind, "coordinates": flat[0] if kind == "Polygon" else flat})
    if not made.is_valid:
        raise ZoneFileError(f"its shape is not valid: {explain_validity(made)[:120]} (longitude latitude)")
    return made


def _ring(ring: Any) -> int:
    """How many points it has. Raises ZoneFileError."""
    if not isinstance(ring, list) or len(ring) < 4:
        count = len(ring) if isinstance(ring, list) else 0
        raise ZoneFileError(f"a ring of it has {count} points; at least 4 are wanted, the last equal to the first")
    for point in ring:
        if not isinstance(point, list) or len(point) < 2:
            raise ZoneFileError(f"{str(point)[:40]} is no point; [longitude, latitude] is wanted")
        lng, lat = point[0], point[1]
        for name, value, most in (("longitude", lng, 180), ("latitude", lat, 90)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
                swapped = "; GeoJSON has the longitude first" if name == "latitude" else ""
                raise ZoneFileError(f"a {name} is {str(value)[:20]}; -{most} to {most} is allowed{swapped}")
    if ring[0][:2] != ring[-1][:2]:
        raise ZoneFileError(f"a ring of it is not closed: it begins at {ring[0][:2]} and ends at {ring[-1][:2]}")
    return len(ring)


def _zone(number: int, feature: Any) -> Zone:
    named = f"feature {number}"
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise ZoneFileError(f"{named}: it is no GeoJSON Feature")
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise ZoneFileError(f"{named}: its properties are no object")
    zone_id = properties.get("id", feature.get("id"))
    zone_id = str(zone_id) if isinstance(zone_id, int) and not isinstance(zone_id, bool) else zone_id
    if not isinstance(zone_id, str) or not _ID.fullmatch(zone_id):
        raise ZoneFileError(f"{named}: its id is {str(zone_id)[:40]!r}; 1 to 128 letters, digits or _.:@|- are wanted")
    if zone_id == NOWHERE:
        raise ZoneFileError(f"{named}: {NOWHERE!r} is the name of the outside of all zones and cannot be an id")
    named = f"feature {number} ({zone_id})"
    name = properties.get("name", zone_id)
    if not isinstance(name, str) or not 1 <= len(name) <= 200 or not name.isprintable():
        raise ZoneFileError(f"{named}: its name is {str(name)[:40]!r}; 1 to 200 printable characters are wanted")
    numbers = {}
    for field, (low, high) in _RANGES.items():
        value = properties.get(field, _DEFAULTS[field])
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ZoneFileError(f"{named}: {field} is {str(value)[:20]!r}; a whole number {low} to {high} is wanted")
        numbers[field] = value
    try:
        made = shape_of(feature.get("geometry"))
    except ZoneFileError as error:
        raise ZoneFileError(f"{named}: {error}") from error
    area = area_m2(made)
    if area < MIN_AREA_M2:
        raise ZoneFileError(f"{named}: it covers {area:.0f} m2; at least {MIN_AREA_M2:.0f} m2 are wanted")
    if area > MAX_AREA_KM2 * 1e6:
        raise ZoneFileError(f"{named}: it covers {area / 1e6:.0f} km2; at most {MAX_AREA_KM2:.0f} km2 are allowed")
    zone = Zone(zone_id=zone_id, name=name, shape=made, **numbers)
    if len(geometry_text(zone)) > MAX_GEOMETRY_CHARACTERS:
        raise ZoneFileError(f"{named}: its geometry is longer than {MAX_GEOMETRY_CHARACTERS} characters")
    return zone


def _no_overlap(zones: list[Zone]) -> None:
    """Zones of equal priority must not lie over each other: which one a place belongs to would be left open."""
    shapes = numpy.array([zone.shape for zone in zones], dtype=object)
    tree = shapely.STRtree(shapes)
    for number, zone in enumerate(zones):
        for other in sorted(tree.query(zone.shape, predicate="intersects").tolist()):
            if other <= number or zones[other].priority != zone.priority:
                continue
            shared = area_m2(shapely.intersection(zone.shape, zones[other].shape))
            if shared > SLIVER_M2:
                raise ZoneFileError(
                    f"feature {number + 1} ({zone.zone_id}) and feature {other + 1} ({zones[other].zone_id}): both have"
                    f" priority {zone.priority} and overlap by {shared / 1e6:.3f} km2; give one a higher priority"
                )
