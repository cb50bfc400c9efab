"""Targets of replay: incident bundles, and the questions that blast-radius takes."""

from functools import cache

from dispatch.contract.records import delivery_commands as dc
from dispatch.replay import bundle
from dispatch.replay.bundle import BadBundle
from dispatch.replay.explaining import explained
from dispatch.replay.history import history
from dispatch.replay.policies import Policies
from dispatch.replay.predicate import BadPredicate, Predicate
from projections.audit.keys import Known
from tests.fuzz.sealing import SIGNER, parts, resealed
from tests.fuzz.target import Target
from tests.replay.city import START_MS, City


@cache
def _bundle() -> bytes:
    """One delivery that was asked, assigned and cancelled."""
    city = City().sign_on("ana")
    name, order = city.order(1)
    city.send(dc.MarkReady, name, order=order)
    city.work()
    city.send(dc.CancelDelivery, name, actor="admin", reason="out_of_stock", note="")
    city.work()
    names = ("decisions", "delivery.events")
    known = history("delivery", name, *(city.log[topic] for topic in names), names)
    return bundle.made(known, Policies(city.published), (START_MS, "eva", "r"), SIGNER)[1]


def _open(data: bytes) -> None:
    """As `baton replay verify`, `show` and `explain` read it."""
    found = bundle.opened(data, Known(SIGNER.public))
    bundle.verified(found)
    for entry in found.known.entries:
        explained(entry, found.policies)


def _resealed(data: bytes) -> None:
    _open(resealed(_bundle(), data, bundle.FILES))


def _predicate(data: bytes) -> None:
    Predicate(data.decode("utf-8", "replace"))


def _predicates() -> list[bytes]:
    return [
        b'outcome == "refused" && search.failed',
        b"flags.driver_offers && size(search.drivers) > 1 && now_ms / 3600000 % 24 < 6",
        b'events.exists(e, e == "DeliveryCreated") || has(facts.quote)',
        b'command in ["MarkReady", "AcceptOffer"] ? late_ms > 5000 : zone.startsWith("a")',
    ]


TARGETS = (
    Target("incident-bundle", _open, (BadBundle,), lambda: [_bundle()]),
    Target("incident-bundle-resealed", _resealed, (BadBundle,), lambda: parts(_bundle(), bundle.FILES)),
    Target("predicate", _predicate, (BadPredicate,), _predicates),
)
