"""Keeps personal data apart: an order from outside becomes what dispatch may see, and the contact, kept elsewhere.

Both doors, HTTP and Kafka, go through here, so that the same order through both is a repeat.
"""

import hashlib

from dispatch.contract import identity
from dispatch.contract.records.inbound import InboundOrderPlaced, InboundOrderReady
from dispatch.contract.records.shared import Order
from dispatch.contract.records.system import Contact

OF_DRIVER = "driver:"
"""Before a driver's id in the contacts' key, so that no driver is taken for a delivery."""
PLACES = 3
"""Decimals of the drop-off that decisions see: 0.001 degrees, about 100 m."""


def split(inbound: InboundOrderPlaced | InboundOrderReady) -> tuple[str, Order, Contact]:
    """The delivery's id, the order without personal data, and the contact."""
    delivery_id = identity.delivery_id(inbound.seller_id, inbound.seller_order_id)
    contact = Contact(
        subject_id=delivery_id,
        name=inbound.customer_name,
        phone=inbound.customer_phone,
        address=inbound.dropoff_address,
        lat=inbound.dropoff_lat,
        lng=inbound.dropoff_lng,
        note=inbound.dropoff_note,
        language=inbound.customer_language,
    )
    order = Order(
        seller_id=inbound.seller_id,
        seller_order_id=inbound.seller_order_id,
        store_name=inbound.store_name,
        pickup_lat=inbound.pickup_lat,
        pickup_lng=inbound.pickup_lng,
        dropoff_lat=round(inbound.dropoff_lat, PLACES),
        dropoff_lng=round(inbound.dropoff_lng, PLACES),
        order_value_minor=inbound.order_value_minor,
        delivery_fee_minor=inbound.delivery_fee_minor,
        currency=inbound.currency,
        prep_s=inbound.prep_s,
        placed_at_ms=inbound.placed_at_ms,
        vehicle=inbound.vehicle,
        size=inbound.size,
        age_check=inbound.age_check,
        cash=inbound.cash,
        promised_from_ms=inbound.promised_from_ms,
        promised_to_ms=inbound.promised_to_ms,
        quote_id=inbound.quote_id,
        contact_digest=_digest(contact),
        proof=inbound.proof,
    )
    return delivery_id, order, contact


def _digest(contact: Contact) -> str:
    """Tells another contact apart without holding it; the delivery's id is the salt."""
    parts: tuple[str, ...] = (contact.subject_id, contact.name, contact.phone, contact.address, f"{contact.lat:.6f}",
             f"{contact.lng:.6f}", contact.note)  # fmt: skip
    parts += (contact.language,) if contact.language else ()  # the digests made before languages were known hold
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
