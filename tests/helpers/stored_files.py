"""Files of a store or inbox on a local disk or in S3."""

from collections.abc import Callable
from pathlib import Path

from s3_server import S3Server

from mediafm_core.storage.files import Files
from mediafm_core.storage.s3 import S3Files

LEASE_S = 5.0  # of locks that expire in a test; the work under them takes milliseconds

OpenFiles = Callable[..., S3Files]
"""Opens the same place in S3 with some settings changed."""


def write(files: Files, key: str, content: bytes) -> None:
    with files.staging() as folder:
        prepared = folder / "prepared"
        prepared.write_bytes(content)
        files.put(prepared, key)
        assert not prepared.exists()


def read(files: Files, key: str) -> bytes:
    return files.path(key).read_bytes()


def upload_folder(server: S3Server, folder: Path, place: str) -> None:
    """Upload the files of a folder to `s3://bucket/prefix`."""
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            server.client().upload_file(str(path), bucket, f"{prefix}/{path.relative_to(folder)}")
