"""What a seller's endpoint is sent: believed only with its signature. Source: standardwebhooks.com."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import standardwebhooks
from standardwebhooks.webhooks import WebhookVerificationError

from baton.client.errors import BatonError


class NotSigned(BatonError):
    """Not from Baton, changed on the way, or older than five minutes: answer 400 and do nothing."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A believed message. A repeat has the same `id`: keep the ids that were handled."""

    id: str
    type: str
    data: dict[str, Any]


def verified(secret: str, headers: Mapping[str, str], body: bytes | str) -> Webhook:
    """The message in a request's body. `secret` as shown when the endpoint was made (whsec_...). Raises NotSigned."""
    given = {name.lower(): value for name, value in headers.items()}
    try:
        said = standardwebhooks.Webhook(secret).verify(body, given)
    except (WebhookVerificationError, ValueError, RecursionError) as error:
        raise NotSigned(f"not taken: {error}") from error
    if not isinstance(said, dict):
        raise NotSigned("not taken: no object")
    data = said.get("data") or {}
    if not isinstance(data, dict):
        raise NotSigned("not taken: its data are no object")
    return Webhook(given.get("webhook-id", ""), str(said.get("type", "")), data)
