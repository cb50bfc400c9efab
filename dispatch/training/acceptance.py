"""The acceptance model: fitted to the older offers, judged on the newer ones, published when it earned it.

A logistic regression (scikit-learn, ridge penalty) over standardised values. Judged by log-loss, the area under the ROC
curve and calibration in fifths, all on the last quarter by time, against the share accepted in the older part: a model
that says no more than that is worth nothing.
"""

import time
from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Producer

from dispatch.contract import codec, topics
from dispatch.contract.records.system import ModelPublished
from dispatch.core.acceptance import FEATURES, MODEL_NAME, AcceptanceModel, chance
from dispatch.log.connecting import kafka_client
from dispatch.log.errors import Misconfigured
from dispatch.log.reading import read_all
from dispatch.training.offers import OfferSeen

HELD_OUT = 0.25
LEAST_OFFERS = 400
LEAST_OF_EACH = 40
"""Accepted and not accepted, in the part that is learned from."""
LEAST_GAIN = 0.005
"""Of the log-loss, as a share of the base rate's."""
_BINS = 5
_PENALTY = 1.0
_SURE = 1e-9


class NotLearned(Misconfigured):
    """No model can be made of this; the message says what is missing."""


class Bin(NamedTuple):
    """A fifth of the held-out offers, by what the model said."""

    offers: int
    said: float
    """Mean of the chances."""
    came: float
    """Share accepted."""


class Judged(NamedTuple):
    """A model, and how it did on offers that it had not seen."""

    model: AcceptanceModel
    learned_from: int
    held_out: int
    base_rate: float
    log_loss: float
    base_log_loss: float
    auc: float | None
    """None: all of the held-out were accepted, or none."""
    bins: tuple[Bin, ...]
    misgivings: tuple[str, ...]
    """Why it should not be published; empty: it earned it."""

    @property
    def gain(self) -> float:
        """How much smaller the log-loss is than the base rate's, as a share of that."""
        return 1 - self.log_loss / self.base_log_loss if self.base_log_loss else 0.0

    @property
    def compared(self) -> str:
        """The gain in words."""
        return f"{100 * abs(self.gain):.1f}% {'smaller' if self.gain >= 0 else 'larger'}"


def learn(offers: Sequence[OfferSeen], least: int = LEAST_OFFERS) -> Judged:
    """Fits and judges. Raises NotLearned where there is nothing to tell apart, or without scikit-learn."""
    ordered = sorted(offers, key=lambda offer: offer.sent_at_ms)
    cut = round(len(ordered) * (1 - HELD_OUT))
    older, newer = ordered[:cut], ordered[cut:]
    accepted = sum(offer.accepted for offer in older)
    if not newer or accepted in (0, len(older)):
        raise NotLearned(
            f"{len(ordered)} offers came to an end in the log, of the older {len(older)} {accepted} were accepted; "
            "without some of each kind nothing can be learned"
        )
    base_rate = accepted / len(older)
    model = _fitted(older, base_rate)
    said = [chance(model, offer.row) for offer in newer]
    came = [offer.accepted for offer in newer]
    judged = Judged(
        model=model,
        learned_from=len(older),
        held_out=len(newer),
        base_rate=base_rate,
        log_loss=log_loss(said, came),
        base_log_loss=log_loss([base_rate] * len(came), came),
        auc=_auc(said, came),
        bins=_calibration(said, came),
        misgivings=(),
    )
    return judged._replace(misgivings=_misgivings(judged, min(accepted, len(older) - accepted), least))


def _fitted(offers: Sequence[OfferSeen], base_rate: float) -> AcceptanceModel:
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise NotLearned(f"training wants scikit-learn: pip install 'baton-dispatch[ml]' ({error})") from error
    scaler = StandardScaler()
    rows = scaler.fit_transform([offer.row for offer in offers])
    regression = LogisticRegression(C=_PENALTY, max_iter=1_000)
    regression.fit(rows, [offer.accepted for offer in offers])
    try:
        return AcceptanceModel(
            features=FEATURES,
            means=_floats(scaler.mean_),
            scales=_floats(scaler.scale_),
            coefficients=_floats(regression.coef_[0]),
            intercept=float(regression.intercept_[0]),
            trained_offers=len(offers),
            base_rate=base_rate,
        )
    except ValueError as error:
        raise NotLearned(f"what was learned is no model: {error}") from error


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _misgivings(judged: Judged, rarer: int, least: int) -> tuple[str, ...]:
    offers = judged.learned_from + judged.held_out
    found = []
    if offers < least:
        found.append(f"{offers} offers are too few; {least} are wanted")
    if rarer < min(LEAST_OF_EACH, least):
        found.append(f"only {rarer} of the rarer outcome were learned from; {LEAST_OF_EACH} are wanted")
    if judged.gain < LEAST_GAIN:
        found.append(
            f"on held-out offers its log-loss is {judged.log_loss:.4f}, the base rate's {judged.base_log_loss:.4f}: "
            f"{judged.compared}, where {100 * LEAST_GAIN:g}% smaller is wanted"
        )
    return tuple(found)


def log_loss(said: Sequence[float], came: Sequence[bool]) -> float:
    """Mean of -log(the chance given to what came), in nats."""
    losses = (-log(max(_SURE, share if truth else 1 - share)) for share, truth in zip(said, came, strict=True))
    return sum(losses) / len(came)


def _auc(said: Sequence[float], came: Sequence[bool]) -> float | None:
    if len(set(came)) < 2:
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(came, said))


def _calibration(said: Sequence[float], came: Sequence[bool]) -> tuple[Bin, ...]:
    pairs = sorted(zip(said, came, strict=True))
    parts = [pairs[len(pairs) * n // _BINS : len(pairs) * (n + 1) // _BINS] for n in range(_BINS)]
    return tuple(
        Bin(len(part), sum(pair[0] for pair in part) / len(part), sum(pair[1] for pair in part) / len(part))
        for part in parts
        if part
    )


def version_in_force(brokers: str, namespace: str) -> int:
    """Of the acceptance model last published; 0: none. Raises confluent_kafka.KafkaException or ContractError."""
    versions = [0]
    for record in read_all(brokers, [namespace + topics.MODELS.name]):
        if record.value is not None and record.key == MODEL_NAME.encode():
            found = codec.decode_checked(record.value)
            if isinstance(found, ModelPublished):
                versions.append(found.version)
    return max(versions)


def record_of(judged: Judged, version: int, actor_id: str, *, forced: bool) -> ModelPublished:
    """The record that puts the model in force."""
    model = msgspec.structs.replace(judged.model, version=version, forced=forced)
    return ModelPublished(
        model=MODEL_NAME,
        version=version,
        at_ms=time.time_ns() // 1_000_000,
        actor_id=actor_id,
        document=msgspec.json.encode(model).decode(),
    )


def publish(brokers: str, namespace: str, record: ModelPublished) -> None:
    """Puts it on the topic `models`, where every worker follows. Raises NotLearned when Kafka does not take it."""
    producer = Producer({**kafka_client(brokers, "training"), "enable.idempotence": True})
    failed: list[str] = []
    producer.produce(
        namespace + topics.MODELS.name,
        codec.encode(record),
        record.model.encode(),
        on_delivery=lambda error, _message: failed.append(error.str()) if error else None,
    )
    if producer.flush(20) or failed:
        raise NotLearned(f"{topics.MODELS.name} did not take the model: {failed or 'no answer from Kafka in 20 s'}")
