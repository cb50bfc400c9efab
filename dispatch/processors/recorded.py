"""The facts of a decision as they are recorded with it, and read again: the policy by its version, the rest whole."""

import msgspec

from dispatch.core.facts import Facts, SearchResult, ZoneFacts
from dispatch.core.policy import Flags, Policy
from dispatch.core.quotes import Quote, ZonePriceFact


class RecordedFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that a decision looked at besides state, command, time and policy."""

    wall_ms: int
    flags: Flags
    search: SearchResult | None = None
    zone: ZoneFacts | None = None
    price: ZonePriceFact | None = None
    quote: Quote | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(RecordedFacts)


def recorded(facts: Facts) -> bytes:
    """The facts as JSON."""
    return _ENCODER.encode(
        RecordedFacts(facts.wall_ms, facts.flags, facts.search, facts.zone, facts.price, facts.quote)
    )


def read(data: bytes) -> RecordedFacts:
    """What `recorded` wrote. Raises msgspec.DecodeError for what this release does not read."""
    return _DECODER.decode(data)


def whole(facts: RecordedFacts, now_ms: int, policy: Policy) -> Facts:
    """The facts as the decision saw them."""
    return Facts(
        now_ms=now_ms,
        wall_ms=facts.wall_ms,
        policy=policy,
        flags=facts.flags,
        search=facts.search,
        zone=facts.zone,
        price=facts.price,
        quote=facts.quote,
    )
