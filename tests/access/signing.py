"""Keys and tokens of tests: an issuer with one key of each kind, and ways to make tokens that no issuer would."""

import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://issuer.test", "baton"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = Ed25519PrivateKey.generate()
STRANGER = Ed25519PrivateKey.generate()
PRIVATE: dict[str, Any] = {"rsa": RSA, "ec": EC, "ed": ED}
ALGORITHM = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}


def jwks() -> bytes:
    """The issuer's set, as its address gives it."""
    forms = {"rsa": RSAAlgorithm, "ec": ECAlgorithm, "ed": OKPAlgorithm}
    rows = [
        {**json.loads(forms[kid].to_jwk(key.public_key())), "kid": kid, "use": "sig"} for kid, key in PRIVATE.items()
    ]
    return json.dumps({"keys": [*rows, {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"}]}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """Good ones, but for the changes; None takes a claim away."""
    now_s = int(time.time())
    good = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ana", "role": "driver", "iat": now_s, "exp": now_s + 600,
    } | changes  # fmt: skip
    return {name: value for name, value in good.items() if value is not None}


def token(kid: str = "ed", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A well signed token."""
    return jwt.encode(claims(**changes), PRIVATE[kid], ALGORITHM[kid], {"kid": kid, **(header or {})})


def part(content: Any) -> str:
    """As a token has it."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: Any, payload: Any, kid: str = "ed") -> str:
    """Any header and payload, truly signed with the issuer's Ed25519 key."""
    text = f"{part(header)}.{part(payload)}"
    return f"{text}.{part(PRIVATE[kid].sign(text.encode()))}"
