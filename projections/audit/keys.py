"""Ed25519 keys of the audit: one signs anchors and bundles, its public half checks them. PEM files, as openssl's."""

import hashlib
from base64 import urlsafe_b64encode
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dispatch.log.errors import Misconfigured

LOCAL = "audit.private.pem"
"""The local stack's key, in BATON_HOME."""
_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER
_LARGEST = 65_536


class Signer:
    """Holds the private key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key()
        self.key_id = key_id(self.public)

    def sign(self, statement: bytes) -> bytes:
        """64 bytes."""
        return self._private.sign(statement)


class Known:
    """Public keys that are believed, by their ids."""

    def __init__(self, *keys: Ed25519PublicKey) -> None:
        self._keys = {key_id(key): key for key in keys}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def wrong(self, key: str, signature: bytes, statement: bytes) -> str:
        """What is wrong with a signature, in words; empty: it is good."""
        if (public := self._keys.get(key)) is None:
            return f"is signed with the key {key}, which is not among those given"
        try:
            public.verify(signature, statement)
        except InvalidSignature:
            return f"has a signature that is not of the key {key}"
        return ""


def key_id(public: Ed25519PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, base64url."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return urlsafe_b64encode(hashlib.sha256(public.public_bytes(_DER, form)).digest()).rstrip(b"=").decode()


def made() -> bytes:
    """A new private key as PEM."""
    return Ed25519PrivateKey.generate().private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(public: Ed25519PublicKey) -> str:
    """The public half as PEM."""
    return public.public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def signer(file: Path) -> Signer:
    """The private key in a file. Raises Misconfigured."""
    try:
        found = serialization.load_pem_private_key(_content(file), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Misconfigured(f"{file} is no private key; `openssl genpkey -algorithm ed25519` makes one") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise Misconfigured(f"{file} is no Ed25519 key; `openssl genpkey -algorithm ed25519` makes one")
    return Signer(found)


def public(file: Path) -> Ed25519PublicKey:
    """The public key in a file, or that of the private one in it. Raises Misconfigured."""
    content = _content(file)
    if b"PRIVATE KEY" in content:
        return signer(file).public
    try:
        found = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Misconfigured(f"{file} is no public key; `baton audit key` prints one") from error
    if not isinstance(found, Ed25519PublicKey):
        raise Misconfigured(f"{file} is no Ed25519 key; `baton audit key` prints one")
    return found


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_LARGEST)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
