"""The form of signed bundles: a zip of plain files, so that people can open it with what they have, and exact bytes.

`manifest.json` names every other file with its SHA-256, `manifest.sig` is the Ed25519 signature over its bytes.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from projections.audit.keys import Known, Signer

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
_LARGEST = 64_000_000
_TIME = (1980, 1, 1, 0, 0, 0)


class BadBundle(Exception):
    """It is none, or not to be read."""


def sealed(form: str, about: Mapping[str, Any], files: Mapping[str, bytes], signer: Signer) -> tuple[bytes, bytes]:
    """The bundle's bytes, and SHA-256 of its manifest."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = as_json({"format": form, **about, "files": hashes})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {MANIFEST: manifest, SIGNATURE: signer.sign(manifest), **files}.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), content, zipfile.ZIP_DEFLATED)
    return out.getvalue(), hashlib.sha256(manifest).digest()


def unpacked(content: bytes, names: Sequence[str]) -> dict[str, bytes]:
    """Exactly the files that belong in it, each once, and none too large. Raises BadBundle."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if sorted(info.filename for info in infos) != sorted((MANIFEST, SIGNATURE, *names)):
                raise BadBundle(f"it holds other files than {', '.join((MANIFEST, SIGNATURE, *names))}")
            if sum(info.file_size for info in infos) > _LARGEST:
                raise BadBundle("it is larger than any delivery's")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError, OSError) as error:
        raise BadBundle(f"it is no zip file that can be read: {error}") from error


def seal_is_wrong(
    files: Mapping[str, bytes], manifest: Mapping[str, Any], key_id: str, known: Known, names: Sequence[str]
) -> list[str]:
    """What of the signature and the hashes does not hold."""
    said = known.wrong(key_id, files[SIGNATURE], files[MANIFEST])
    wrong = [f"the manifest {said}"] if said else []
    named = manifest.get("files")
    for name in names:
        if not isinstance(named, dict) or named.get(name) != hashlib.sha256(files[name]).hexdigest():
            wrong.append(f"{name} is not what the manifest names")
    return wrong


def as_json(value: Any) -> bytes:
    """One form of it, for people too."""
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def read_json(files: Mapping[str, bytes], name: str) -> Any:
    """One of the files. Raises BadBundle."""
    try:
        return json.loads(files[name])
    except (ValueError, RecursionError) as error:
        raise BadBundle(f"{name} is no JSON: {error}") from error
