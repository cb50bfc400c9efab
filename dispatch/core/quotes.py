"""What is known of prices when a decision is made: the zone's price in force, and the quote that an order names."""

import msgspec

Place = tuple[float, float]
"""Latitude and longitude."""
PICKUP_PLACES, DROPOFF_PLACES = 5, 3
"""Decimals of degrees that are compared: about 1 m, and what decisions see of a customer's door."""


class ZonePriceFact(msgspec.Struct, frozen=True, kw_only=True):
    """The last price published for a zone."""

    zone: str
    multiplier_percent: int
    at_ms: int


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A price told before an order, good until `expires_ms` for these places, this currency and this fee."""

    issued_ms: int
    expires_ms: int
    zone: str
    pickup_lat: float
    pickup_lng: float
    dropoff_lat: float
    dropoff_lng: float
    currency: str
    delivery_fee_minor: int
    earning_minor: int
    """Of a driver at the store's door, by car; the way to the store comes on top."""
    multiplier_percent: int
    policy_version: int


class Priceable(msgspec.Struct, frozen=True):
    """What must be the same in an order and in its quote."""

    pickup: Place
    dropoff: Place
    currency: str
    delivery_fee_minor: int


def priceable(pickup: Place, dropoff: Place, currency: str, fee_minor: int) -> Priceable:
    """With the places rounded to what is compared."""
    return Priceable(
        (round(pickup[0], PICKUP_PLACES), round(pickup[1], PICKUP_PLACES)),
        (round(dropoff[0], DROPOFF_PLACES), round(dropoff[1], DROPOFF_PLACES)),
        currency,
        fee_minor,
    )
