"""Tokens (JWT): read strictly, believed only with a known key's signature of that key's own algorithm."""

import json
import re
import time
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple, get_args

import jwt

from gateways.access.doors import Role
from gateways.access.keyring import Key, Keyring
from gateways.access.principal import Principal

LARGEST_TOKEN = 4_096
"""Characters; a longer one is refused before it is read."""
LEEWAY_S = 10
"""By how much clocks may differ."""
_ROLES: Final = frozenset(get_args(Role))
_HEADER = frozenset({"alg", "typ", "kid", "cty", "x5t", "x5t#S256", "nonce"})
"""Header fields that may be there. Never: a key brought along (jwk, jku, x5u, x5c), crit, b64, enc, zip."""
_TYPES = frozenset({"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_SUBJECT = re.compile(r"[A-Za-z0-9_.:@|-]{1,128}")
_SELLERS_AT_MOST = 200
_KEPT = 20_000
"""Tokens known to be good: verifying one anew is a third of what a request costs."""
_LAST_MOMENT_S = 253_402_300_799
"""In the year 9999."""


class TokenRefused(Exception):
    """A token that is not believed; the message says why, without quoting it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a token must say."""

    issuer: str
    audience: str
    max_age_s: int
    """Between issue and end, and since the issue."""


class _Known(NamedTuple):
    """A token that was verified with this key."""

    kid: str
    key: Key
    principal: Principal


class Tokens:
    """Verifies tokens against a keyring; one that was verified is believed while it lives and its key is the same."""

    def __init__(self, keyring: Keyring, wanted: Wanted, now_s: Callable[[], float] = time.time) -> None:
        self._keyring, self._wanted, self._now_s = keyring, wanted, now_s
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        """By the token's SHA-256: what is kept opens nothing."""

    async def verify(self, token: str) -> Principal:
        """Whose token it is. Raises TokenRefused, or keyring.KeysUnknown when no key could ever be fetched."""
        mark = sha256(token.encode(errors="surrogatepass")).digest()
        known = self._known.get(mark)
        if known is not None and await self._keyring.key(known.kid) is known.key and self._lives(known.principal):
            return known.principal
        self._known.pop(mark, None)
        header = _header(token)
        kid = _text(header, "kid") if "kid" in header else ""
        key = await self._keyring.key(kid)
        if key is None:
            raise TokenRefused("it is signed with a key that is not known")
        if header["alg"] != key.algorithm:
            raise TokenRefused("its algorithm is not that of its key")
        principal = self._claims(token, key)
        self._known[mark] = _Known(kid, key, principal)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return principal

    def _lives(self, principal: Principal) -> bool:
        """Not expired; whatever else depends on the moment was found when it was verified, and stays true."""
        ends_ms = principal.expires_at_ms
        return ends_ms is not None and self._now_s() < ends_ms / 1000 + LEEWAY_S

    async def close(self) -> None:
        """Ends what keys are fetched with."""
        await self._keyring.close()

    def _claims(self, token: str, key: Key) -> Principal:
        wanted = self._wanted
        try:
            jwt.decode(
                token, key.public, algorithms=[key.algorithm], audience=wanted.audience, issuer=wanted.issuer,
                leeway=LEEWAY_S, options={"require": ["iss", "aud", "sub", "exp", "iat"]},
            )  # fmt: skip
        except jwt.ExpiredSignatureError as error:
            raise TokenRefused("it has expired") from error
        except jwt.InvalidAudienceError as error:
            raise TokenRefused("it is for another audience") from error
        except jwt.InvalidIssuerError as error:
            raise TokenRefused("it is from another issuer") from error
        except jwt.InvalidSignatureError as error:
            raise TokenRefused("its signature is wrong") from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise TokenRefused(f"it is not valid ({type(error).__name__})") from error
        return self._principal(_part(token, 1))

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        now_s, issued_s, ends_s = self._now_s(), _moment(claims, "iat"), _moment(claims, "exp")
        if "nbf" in claims and _moment(claims, "nbf") > now_s + LEEWAY_S:
            raise TokenRefused("it is not valid yet")
        if issued_s > now_s + LEEWAY_S:
            raise TokenRefused("it was issued in the future")
        if ends_s <= now_s - LEEWAY_S:
            raise TokenRefused("it has expired")
        longest = self._wanted.max_age_s
        if ends_s - issued_s > longest or now_s - issued_s > longest + LEEWAY_S:
            raise TokenRefused(f"it lives longer than {longest} s")
        subject = _text(claims, "sub")
        if not _SUBJECT.fullmatch(subject):
            raise TokenRefused("its sub is no id")
        sellers = _names(claims, "sellers")
        device = _text(claims, "device") if "device" in claims else ""
        if device and not _SUBJECT.fullmatch(device):
            raise TokenRefused("its device is no id")
        everyone = "*" in sellers
        return Principal(
            role=_role(claims), subject=subject, sellers=frozenset(sellers) - {"*"}, all_sellers=everyone,
            device=device, expires_at_ms=round(ends_s * 1000),
        )  # fmt: skip


def _header(token: str) -> dict[str, Any]:
    if not token or len(token) > LARGEST_TOKEN:
        raise TokenRefused(f"it has {len(token)} characters; 1 to {LARGEST_TOKEN} are read")
    if not re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", token):
        raise TokenRefused("it is no signed token of three parts")
    header = _part(token, 0)
    if unknown := set(header) - _HEADER:
        raise TokenRefused(f"its header has {len(unknown)} fields that are not taken here")
    if str(header.get("typ", "")).lower() not in _TYPES:
        raise TokenRefused("its type is another")
    _text(header, "alg")
    return header


def _part(token: str, number: int) -> dict[str, Any]:
    """A part as JSON, without any name twice: two readers would see two tokens."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise TokenRefused("it says something twice")
        return dict(pairs)

    text = token.split(".")[number]
    try:
        read = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode(), object_pairs_hook=once)
    except (NotBase64, ValueError, RecursionError) as error:
        raise TokenRefused("it cannot be read") from error
    if not isinstance(read, dict):
        raise TokenRefused("it cannot be read")
    return read


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise TokenRefused(f"its {name} is no text")
    return value


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TokenRefused(f"its {name} is no moment")
    if not 0 <= value <= _LAST_MOMENT_S:  # so, too, when it is no number or without end
        raise TokenRefused(f"its {name} is no moment")
    return float(value)


def _names(claims: Mapping[str, Any], name: str) -> list[str]:
    value = claims.get(name, [])
    if not isinstance(value, list) or len(value) > _SELLERS_AT_MOST:
        raise TokenRefused(f"its {name} is no list of at most {_SELLERS_AT_MOST} ids")
    if not all(isinstance(one, str) and (one == "*" or _SUBJECT.fullmatch(one)) for one in value):
        raise TokenRefused(f"its {name} is no list of ids")
    return value


def _role(claims: Mapping[str, Any]) -> Role:
    """`role`, one of ours; or `roles`, a list with exactly one of ours among others."""
    if ("role" in claims) == ("roles" in claims):
        raise TokenRefused("it has not exactly one of role and roles")
    if "role" in claims:
        named = [_text(claims, "role")]
    else:
        roles = claims["roles"]
        if not isinstance(roles, list) or not all(isinstance(one, str) for one in roles):
            raise TokenRefused("its roles are no list of names")
        named = [one for one in roles if one in _ROLES]
    found: list[Role] = [role for role in get_args(Role) if role in named]
    if len(found) != 1 or len(named) != 1:
        raise TokenRefused("it does not name exactly one role that is known")
    return found[0]
