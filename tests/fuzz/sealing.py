"""Bundles with one odd file in them whose seal fits, so that odd bytes get behind the seal."""

import io
import json
import zipfile
from collections.abc import Sequence
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from projections.audit.keys import Signer
from projections.audit.sealed import MANIFEST, SIGNATURE

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(b"b" * 32))


def resealed(content: bytes, data: bytes, names: Sequence[str]) -> bytes:
    """The bundle with one file replaced, named by the first byte; manifest and signature fit again."""
    every = (MANIFEST, *names)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files[every[(data[0] if data else 0) % len(every)]] = data[1:]
    try:
        manifest = json.loads(files[MANIFEST])
        manifest["files"] = {name: sha256(files[name]).hexdigest() for name in names}
        files[MANIFEST] = json.dumps(manifest).encode()
    except (ValueError, TypeError, RecursionError):
        pass  # it is no manifest any more, which is one of the things to try
    files[SIGNATURE] = SIGNER.sign(files[MANIFEST])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, said in files.items():
            archive.writestr(name, said)
    return out.getvalue()


def parts(content: bytes, names: Sequence[str]) -> list[bytes]:
    """Each file of it as `resealed` takes it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [bytes([number]) + archive.read(name) for number, name in enumerate((MANIFEST, *names))]
