"""Arrivals in words: when, between when and when, how sure, and where the travel time came from."""

from datetime import UTC, datetime

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Eta, EtaBand, OfferTerms

_WHY = {
    "driver_moved": "the driver moved",
    "status_changed": "a step was done",
    "prep_time_changed": "the store's estimate changed",
}


def arrivals(terms: OfferTerms) -> list[str]:
    """What was foretold with the terms; nothing where ETAs are not tracked."""
    return [f"  {_both(terms.eta)}"] if terms.eta is not None else []


def eta_changed(event: events.EtaChanged) -> list[str]:
    """What is expected now, and why it is another time."""
    return [f"Expected at another time, for {_WHY.get(event.why, event.why)}", f"  {_both(event.eta)}"]


def _both(eta: Eta) -> str:
    learned = f"learned from {eta.model_version} deliveries" if eta.model_version else "nothing learned yet"
    told = [f"at the store {_band(eta.pickup)}"] if eta.pickup is not None else []
    told.append(f"at the door {_band(eta.delivery)}")
    return f"{', '.join(told)} (travel time: {eta.source.replace('_', ' ')}; {learned})"


def _band(band: EtaBand) -> str:
    middle, low, high = (_clock(at_ms) for at_ms in (band.p50_ms, band.p10_ms, band.p90_ms))
    return f"{middle} [{low} to {high}, {band.confidence}% sure]"


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S")
