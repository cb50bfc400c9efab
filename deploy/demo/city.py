"""Makes order files: an evening in Freiburg im Breisgau, from a seed. `python -m deploy.demo.city 600 > orders.csv`.

Stores stand at street corners of the real town; their names are invented. Arrivals follow an evening's rush (a raised
cosine round its middle), drop-offs thin out with the distance from the store.
"""

import csv
import math
import random
import sys
from collections.abc import Iterator
from typing import TextIO

COLUMNS = (
    "arrives_s", "seller_id", "seller_order_id", "store_name", "pickup_lat", "pickup_lng", "dropoff_lat", "dropoff_lng",
    "order_value_minor", "delivery_fee_minor", "currency", "prep_s", "customer_name", "customer_phone",
    "dropoff_address", "vehicle",
)  # fmt: skip

CENTRE = (47.9959, 7.8494)
_STORES = (
    ("Zum Goldenen Anker", 47.9955, 7.8522), ("Pasta Fresca", 47.9942, 7.8464), ("Curry Corner", 47.9981, 7.8412),
    ("Sushi am Tor", 47.9934, 7.8553), ("Burger Werk", 48.0012, 7.8498), ("Pizzeria Etna", 47.9893, 7.8391),
    ("Vietal Küche", 48.0063, 7.8377), ("Brezel & Brot", 47.9902, 7.8601), ("Tandoori Haus", 48.0021, 7.8603),
    ("Falafel Hof", 47.9967, 7.8331), ("Salat Garten", 48.0104, 7.8541), ("Grill am Fluss", 47.9867, 7.8702),
)  # fmt: skip
_FIRST = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hannes", "Ida", "Jonas", "Klara", "Leon", "Mia")
_STREETS = ("Habsburgerstr.", "Zähringerstr.", "Eschholzstr.", "Kartäuserstr.", "Günterstalstr.", "Basler Str.")
_METRES_PER_DEGREE = 111_320


def orders(count: int, seed: int = 1, hours: float = 3) -> Iterator[dict[str, str]]:
    """Rows of an order file, by arrival."""
    chance = random.Random(seed)
    span_s = hours * 3600
    arrivals = sorted(span_s * _rush(chance) for _ in range(count))
    for number, arrives_s in enumerate(arrivals, 1):
        store = chance.randrange(len(_STORES))
        name, lat, lng = _STORES[store]
        drop_lat, drop_lng = _near(chance, lat, lng, 350 + min(chance.expovariate(1 / 1000), 4200))
        value = 1200 + int(chance.lognormvariate(7, 0.5))
        yield {
            "arrives_s": f"{arrives_s:.1f}",
            "seller_id": f"store-{store + 1:02}",
            "seller_order_id": f"{seed}-{number:06}",
            "store_name": name,
            "pickup_lat": f"{lat:.6f}",
            "pickup_lng": f"{lng:.6f}",
            "dropoff_lat": f"{drop_lat:.6f}",
            "dropoff_lng": f"{drop_lng:.6f}",
            "order_value_minor": str(value),
            "delivery_fee_minor": str(199 + 50 * chance.randrange(5)),
            "currency": "EUR",
            "prep_s": str(60 * chance.randrange(2, 12)),
            "customer_name": f"{chance.choice(_FIRST)} {chr(65 + chance.randrange(26))}.",
            "customer_phone": f"+49 761 5550{number % 1000:03}",
            "dropoff_address": f"{chance.choice(_STREETS)} {chance.randrange(1, 120)}, 79100 Freiburg",
            "vehicle": "any",
        }


def driver_places(count: int, seed: int) -> list[tuple[float, float]]:
    """Where drivers sign on: latitude and longitude."""
    chance = random.Random(seed)
    return [_near(chance, *CENTRE, 200 + chance.random() * 3000) for _ in range(count)]


def write(count: int, out: TextIO, seed: int = 1) -> None:
    """Writes an order file as CSV."""
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(orders(count, seed))


def _rush(chance: random.Random) -> float:
    """A moment of the evening in 0..1, denser in the middle: rejection from 1 + cos round one half."""
    while True:
        moment = chance.random()
        if chance.random() * 1.8 < 1 + 0.8 * math.cos(2 * math.pi * (moment - 0.5)):
            return moment


def _near(chance: random.Random, lat: float, lng: float, distance_m: float) -> tuple[float, float]:
    angle = chance.random() * 2 * math.pi
    north, east = distance_m * math.cos(angle), distance_m * math.sin(angle)
    return lat + north / _METRES_PER_DEGREE, lng + east / (_METRES_PER_DEGREE * math.cos(math.radians(lat)))


if __name__ == "__main__":
    write(int(sys.argv[1]) if len(sys.argv) > 1 else 600, sys.stdout, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
