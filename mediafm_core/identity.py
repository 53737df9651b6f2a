"""Identities and data versions: what decides whether work is done again.

An *identity* names what computes (an encoder, a detector, a trained model). A *data version* names
a result: a digest of the data versions it was computed from, the identity that computed it and the
version of the code. Equal data versions mean that nothing needs to be computed again.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

DIGEST_LENGTH = 16
_READ_BYTES = 1 << 20
_SORTED_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False)  # as `json.dumps`, made once


class Identity(BaseModel):
    """Name, version and digest of something that computes vectors or shots.

    `digest` covers the weights and every setting that changes the output; it leaves out what does
    not (batch size, device, number of threads).
    """

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name}-{self.version}@{self.digest}"


def digest_of(*parts: bytes | str) -> str:
    """Return the SHA-256 of length-prefixed parts, cut to `DIGEST_LENGTH` hexadecimal digits."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "big"))
        sha.update(data)
    return sha.hexdigest()[:DIGEST_LENGTH]


def digest_of_files(
    paths: Iterable[Path], progress: Callable[[int], None] = lambda _bytes: None
) -> str:
    """Return the digest of the contents of files, in the given order, read in bounded pieces.

    Args:
        paths: the files.
        progress: called after each piece with the bytes read so far.
    """

    def pieces() -> Iterator[bytes]:
        for path in paths:
            with path.open("rb") as file:
                while piece := file.read(_READ_BYTES):
                    yield piece

    return digest_of_pieces(pieces(), progress)


def digest_of_pieces(
    pieces: Iterable[bytes], progress: Callable[[int], None] = lambda _bytes: None
) -> str:
    """Return the digest of a content that comes in pieces; it does not depend on the division.

    Args:
        pieces: the content.
        progress: called after each piece with the bytes so far.
    """
    sha = hashlib.sha256()
    read = 0
    for piece in pieces:
        sha.update(piece)
        read += len(piece)
        progress(read)
    return sha.hexdigest()[:DIGEST_LENGTH]


def digest_of_settings(settings: Mapping[str, Any]) -> str:
    """Return the digest of JSON-representable settings, independent of their order."""
    return digest_of(_SORTED_JSON.encode(settings))


def data_version(
    inputs: Mapping[str, str], identity: Identity | str | None, code_version: str
) -> str:
    """Return the data version of a result.

    Args:
        inputs: data version of each input, by name.
        identity: what computed the result, if more than plain code did.
        code_version: version of the code that computed it.
    """
    return digest_of_settings(
        {"inputs": dict(inputs), "identity": str(identity or ""), "code": code_version}
    )
