"""The offers in the log, each with the candidate as considered when it was made, and whether it was accepted."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Candidate
from dispatch.core.acceptance import row_of
from dispatch.log.application import Record
from dispatch.log.reading import read_all

_COUNTED = (
    de.DriverCandidatesFound, de.DriverOfferSent, de.DriverAccepted, de.DriverRejected, de.OfferExpired,
    de.OfferWithdrawn,
)  # fmt: skip
_SUBJECTS = frozenset(codec.subject(kind) for kind in _COUNTED)


class OfferSeen(NamedTuple):
    """One offer that came to an answer or to silence."""

    sent_at_ms: int
    row: tuple[float, ...]
    """The values of `dispatch.core.acceptance.FEATURES`."""
    accepted: bool


class Offers:
    """Folds delivery events, those of one delivery in their order; `seen` are the offers that came to an end.

    What was withdrawn says nothing of the driver and is left out, and so is an offer to someone who stood in no list.
    """

    def __init__(self) -> None:
        self.seen: list[OfferSeen] = []
        self.without_candidate = 0
        self._listed: dict[str, dict[str, Candidate]] = {}
        self._open: dict[str, tuple[int, Candidate]] = {}

    def take(self, event: Any) -> None:
        """Folds one event."""
        match event:
            case de.DriverCandidatesFound():
                self._listed[event.delivery_id] = {seen.driver_id: seen for seen in event.candidates}
            case de.DriverOfferSent():
                candidate = self._listed.get(event.delivery_id, {}).get(event.driver_id)
                if candidate is None or candidate.source == "named":
                    self.without_candidate += 1
                else:
                    self._open[event.offer_id] = (event.sent_at_ms, candidate)
            case de.DriverAccepted():
                self._ended(event.offer_id, accepted=True)
            case de.DriverRejected() | de.OfferExpired():
                self._ended(event.offer_id, accepted=False)
            case de.OfferWithdrawn():
                self._open.pop(event.offer_id, None)

    def _ended(self, offer_id: str, *, accepted: bool) -> None:
        known = self._open.pop(offer_id, None)
        if known is not None:
            sent_at_ms, candidate = known
            waited_s, rate = _known(candidate.idle_s), _known(candidate.accepts_share)
            row = row_of(candidate, candidate.travel_s, waited_s, rate)
            self.seen.append(OfferSeen(sent_at_ms, row, accepted))


def _known(number: float) -> float | None:
    """-1 in the record: not known."""
    return number if number >= 0 else None


def offers_in(records: Iterable[Record]) -> Offers:
    """The offers of these records of `delivery.events`. Raises ContractError for one that cannot be read."""
    offers = Offers()
    for record in records:
        if codec.subject_in(record.value) in _SUBJECTS:
            offers.take(codec.decode(record.value))
    return offers


def offers_of_log(brokers: str, namespace: str) -> Offers:
    """Every offer in the log. Raises confluent_kafka.KafkaException."""
    return offers_in(read_all(brokers, [namespace + topics.DELIVERY_EVENTS.name]))
