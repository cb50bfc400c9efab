"""Generated from schemas/inbound by dispatch.contract.generate. Do not edit."""


import msgspec


from dispatch.contract.records.shared import Order, Proof, Vehicle


class InboundOrderCancelled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Upstream: the order was cancelled."""

    message_id: str
    seller_id: str
    seller_order_id: str
    reason: str


class InboundOrderPlaced(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Upstream: an order was placed."""

    message_id: str
    """The sender's identity of this message: a repeat has the same."""
    seller_id: str
    seller_order_id: str
    store_name: str
    pickup_lat: float
    pickup_lng: float
    dropoff_lat: float
    """Exact."""
    dropoff_lng: float
    order_value_minor: int
    delivery_fee_minor: int
    currency: str
    prep_s: int = 300
    placed_at_ms: int
    vehicle: Vehicle = 'any'
    size: int = 1
    age_check: bool = False
    cash: bool = False
    promised_from_ms: int | None = None
    promised_to_ms: int | None = None
    customer_name: str = ''
    customer_phone: str = ''
    dropoff_address: str = ''
    dropoff_note: str = ''
    quote_id: str = ''
    """Of a quote given before: the order keeps its multiplier."""
    customer_language: str = ''
    """ISO 639-1; empty: not known."""
    proof: Proof = 'none'
    """Without it the delivery is not taken for delivered."""


class InboundOrderReady(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Upstream: an order is ready at the store."""

    message_id: str
    seller_id: str
    seller_order_id: str
    store_name: str
    pickup_lat: float
    pickup_lng: float
    dropoff_lat: float
    """Exact."""
    dropoff_lng: float
    order_value_minor: int
    delivery_fee_minor: int
    currency: str
    prep_s: int = 300
    placed_at_ms: int
    vehicle: Vehicle = 'any'
    size: int = 1
    age_check: bool = False
    cash: bool = False
    promised_from_ms: int | None = None
    promised_to_ms: int | None = None
    customer_name: str = ''
    customer_phone: str = ''
    dropoff_address: str = ''
    dropoff_note: str = ''
    quote_id: str = ''
    """Of a quote given before: the order keeps its multiplier."""
    customer_language: str = ''
    """ISO 639-1; empty: not known."""
    proof: Proof = 'none'
    """Without it the delivery is not taken for delivered."""


class InboundPrepTimeChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Upstream: the estimate of preparation changed."""

    message_id: str
    seller_id: str
    seller_order_id: str
    prep_s: int


Inbound = InboundOrderCancelled | InboundOrderPlaced | InboundOrderReady | InboundPrepTimeChanged
