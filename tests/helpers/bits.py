"""Flipped bits in files, and files as versions without seals wrote them."""

import random
from pathlib import Path

from mediafm_core.disk.sealed_parquet import SEAL_BYTES, tail_bytes
from mediafm_core.disk.seals import LINE_BYTES, is_sealed_json, read_sealed_json


def flip(path: Path, seed: int = 0) -> None:
    """Flip a bit of a file; the seed chooses the bit."""
    draw = random.Random(f"{path.name} {seed}")
    flip_at(path, draw.randrange(path.stat().st_size), draw.randrange(8))


def flip_at(path: Path, place: int, bit: int = 0) -> None:
    """Flip a bit of a byte; a negative place counts from the end."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def remove_seal(path: Path) -> None:
    """Rewrite a file as an earlier version would have written it."""
    import json

    content = path.read_bytes()
    if path.suffix == ".parquet":
        footer = tail_bytes(content) - SEAL_BYTES
        path.write_bytes(content[: -footer - SEAL_BYTES] + content[-footer:])
    elif path.suffix == ".duckdb":
        path.write_bytes(content[:-LINE_BYTES])
    elif path.suffix == ".json" and is_sealed_json(content):
        document = read_sealed_json(content)
        document.pop("digests", None)
        document.get("content", {}).pop("sha256", None)
        path.write_text(json.dumps(document, indent=2))
