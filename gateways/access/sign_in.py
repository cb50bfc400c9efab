"""From what a request shows to who asks: a token, an API key or a tracking token, and never two of them."""

import re
from collections.abc import Awaitable, Callable
from itertools import pairwise

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from dispatch.config import Settings
from dispatch.log.errors import Misconfigured
from gateways.access.api_keys import PREFIX, ApiKeys
from gateways.access.keyring import FetchedKeys, Keyring, KeysUnknown, keys_of_file
from gateways.access.loopback import is_loopback
from gateways.access.principal import Principal
from gateways.access.tokens import TokenRefused, Tokens, Wanted
from gateways.problems import Problem

Tracking = Callable[[str], Awaitable[str | None]]
"""Which delivery a tracking token is about; None: it is unknown or over."""
_SOCKET_WORD = "bearer"
_PORT = re.compile(r":\d{1,5}$")
_NAME = re.compile(r"[A-Za-z0-9_.:@|-]{1,128}")


class SignIn:
    """Tells who asks. Without tokens' keys it is open: everybody is the admin that X-Actor-Id names."""

    def __init__(self, tokens: Tokens | None, keys: ApiKeys, tracking: Tracking | None = None) -> None:
        self._tokens, self._keys = tokens, keys
        self.tracking = tracking
        """Set by whoever makes tracking tokens."""

    async def close(self) -> None:
        """Ends what keys are fetched with."""
        if self._tokens is not None:
            await self._tokens.close()

    @property
    def open(self) -> bool:
        """Whether no sign-in is asked for."""
        return self._tokens is None

    async def who(self, connection: HTTPConnection) -> Principal:
        """Who asks. Raises Problem: 401, or 503 when nobody can be told from anybody now."""
        if self._tokens is None:
            return _named(connection)
        shown = shown_by(connection)
        if shown.startswith(PREFIX):
            return await self.key(shown)
        if shown.count(".") != 2:
            return await self.customer(shown)
        return await self.token(shown)

    async def token(self, token: str) -> Principal:
        """Whose token it is; on an open gateway an admin. Raises Problem."""
        if self._tokens is None:
            return Principal("admin", "admin", signed_in=False)
        try:
            return await self._tokens.verify(token)
        except TokenRefused as refused:
            raise unauthorized("token_refused", f"The token is not taken: {refused}.") from refused
        except KeysUnknown as unknown:
            raise _later(str(unknown)) from unknown

    async def key(self, shown: str) -> Principal:
        """Whose API key it is. Raises Problem."""
        if not self._keys.complete:
            raise _later("the API keys are not read yet")
        found = self._keys.principal(shown)
        if found is None:
            raise unauthorized("key_refused", "The API key is not known, or was revoked.")
        return found

    async def customer(self, shown: str) -> Principal:
        """The customer who was given this tracking token. Raises Problem."""
        delivery_id = await self.tracking(shown) if self.tracking else None
        if delivery_id is None:
            raise unauthorized("token_refused", "The token is not taken: it is not known.")
        return Principal("customer", delivery_id, delivery_id=delivery_id)


def sign_in_of(settings: Settings, keys: ApiKeys) -> SignIn:
    """As the settings want it. Raises Misconfigured."""
    url, file = settings.sign_in_jwks, settings.sign_in_key_file
    if url and file:
        raise Misconfigured("BATON_SIGN_IN_JWKS and BATON_SIGN_IN_KEY_FILE are both set; one of them is wanted")
    if not (url or file):
        return SignIn(None, keys)
    keyring: Keyring = FetchedKeys(url) if url else keys_of_file(file) if file else FetchedKeys("")
    wanted = Wanted(settings.sign_in_issuer, settings.sign_in_audience, settings.sign_in_longest_s)
    return SignIn(Tokens(keyring, wanted), keys)


def shown_by(connection: HTTPConnection) -> str:
    """The one credential that was shown. Raises Problem for none and for several."""
    headers = connection.headers
    shown = [_bearer(line) for line in headers.getlist("authorization")] + headers.getlist("x-api-key")
    if connection.scope["type"] == "websocket":
        shown += _as_protocol(headers)
    if not shown:
        raise unauthorized("sign_in_wanted", "This door asks who you are: Authorization: Bearer, or X-Api-Key.")
    if len(shown) > 1:
        raise unauthorized("several_credentials", f"{len(shown)} credentials were shown; one is wanted.")
    return shown[0]


def _bearer(line: str) -> str:
    scheme, _, token = line.partition(" ")
    if scheme.lower() != "bearer" or not token or token != token.strip():
        raise unauthorized("sign_in_wanted", "Authorization is wanted as: Bearer, a blank, a token or an API key.")
    return token


def _as_protocol(headers: Headers) -> list[str]:
    """Browsers' sockets cannot set headers; they offer the protocols `bearer` and the token."""
    offered = [word.strip() for line in headers.getlist("sec-websocket-protocol") for word in line.split(",")]
    return [token for word, token in pairwise(offered) if word == _SOCKET_WORD]


def unauthorized(code: str, detail: str) -> Problem:
    """401, with what is wanted."""
    problem = Problem(401, code, detail)
    error = "" if code == "sign_in_wanted" else ', error="invalid_token"'
    problem.headers = {"www-authenticate": f'Bearer realm="baton"{error}'}
    return problem


def _later(why: str) -> Problem:
    problem = Problem(503, "sign_in_unavailable", f"Nobody can sign in now: {why}; try again.")
    problem.headers = {"retry-after": "2"}
    return problem


def _named(connection: HTTPConnection) -> Principal:
    """On an open gateway. Raises Problem for a name that could not stand in an event, and for another's host.

    A page elsewhere may let its own name point to the loopback (DNS rebinding); the browser then takes us for it.
    """
    if not is_loopback(_PORT.sub("", connection.headers.get("host", "localhost"))):
        raise Problem(403, "foreign_host", "Without sign-in only localhost is answered, by this name or its address.")
    name = connection.headers.get("x-actor-id", "admin")
    if not _NAME.fullmatch(name):
        wrong = [{"field": "x-actor-id", "seen": name[:200], "reason": f"should match {_NAME.pattern}"}]
        raise Problem(422, "invalid", "x-actor-id: is no name", errors=wrong)
    return Principal("admin", name, all_sellers=True, signed_in=False)
