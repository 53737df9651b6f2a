"""Files in a bucket of S3, or of a compatible service.

A file is one object; S3 replaces objects whole, so that readers see the old one or the new one.
A file is downloaded to the local cache first and checked by its length, and by its SHA-256 if this
platform wrote it, which is in the object's metadata. The cached file is used for as long as the
object's entity tag (ETag) is the same, which costs one small request.
"""

import hashlib
import logging
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.exceptions import ClientError, FlexibleChecksumError

from mediafm_core.config.location import S3Location
from mediafm_core.config.store_settings import S3Settings
from mediafm_core.disk.cache_folders import user_cache
from mediafm_core.errors import DamagedObjectError, StorageError
from mediafm_core.identity import digest_of
from mediafm_core.storage.cache import FileCache, safe_name
from mediafm_core.storage.files import Entry, Files
from mediafm_core.storage.local import LocalFiles
from mediafm_core.storage.s3_client import (
    CONNECTIONS,
    is_changed,
    is_missing,
    read_object,
    readable_errors,
    s3_client,
)
from mediafm_core.storage.s3_lease import Lease
from mediafm_core.storage.s3_retries import PASSING, pause_s

logger = logging.getLogger(__name__)

_DIGEST = "sha256"  # name of the metadata
_PART_BYTES = 32 << 20
_TRANSFER = TransferConfig(
    multipart_threshold=2 * _PART_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=8
)
_CHUNK_BYTES = 1 << 20
_WRONG_DIGEST = "its SHA-256 is wrong"
_NOT_MODIFIED = {"304", "NotModified"}


class S3Files(Files):
    """Files under a prefix of a bucket.

    Args:
        location: bucket and prefix.
        settings: of the service.
        client: of S3; one is made from the settings by default.
    """

    is_remote = True

    def __init__(self, location: S3Location, settings: S3Settings, client: Any = None) -> None:
        self.location = str(location)
        self._s3_location = location
        self._client = client or s3_client(settings)
        self._endpoint = self._client.meta.endpoint_url
        self._attempts = settings.max_attempts
        self._lease_s = settings.lease_s
        self.root = (settings.cache or user_cache()) / _folder_name(location, self._endpoint)
        self._local = LocalFiles(self.root)
        self._cache = FileCache(self.root / "copies", self.location, settings.cache_gib * (1 << 30))
        self._leases: list[Lease] = []

    # Reading

    def path(self, key: str, *, immutable: bool = False) -> Path:
        """Return the cached path of the current object, downloading it if need be."""
        known = next(iter(self._cache.stamps(key)), None)
        if immutable and known and self._cache.touch(copy := self._cache.path(key, known)):
            return copy
        condition = {"IfNoneMatch": f'"{known}"'} if known else {}
        with self._readable_errors(key):
            try:
                response = self._client.get_object(**self._object(key), **condition)
            except ClientError as error:
                if is_missing(error):
                    return self._cache.absent(key)
                if known is None or error.response["Error"]["Code"] not in _NOT_MODIFIED:
                    raise
            else:
                return self._copied(key, response)
        copy = self._cache.path(key, known)
        # Between the two calls another process may have evicted it.
        return copy if self._cache.touch(copy) else self.path(key)

    def stamp_of(self, path: Path) -> str:
        """Return the entity tag of a cached file."""
        return self._cache.stamp_of(path)

    def paths(self, keys: Sequence[str], *, immutable: bool = False) -> list[Path]:
        """Return paths of many files, downloading as many at a time as there are connections."""
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            return list(threads.map(lambda key: self.path(key, immutable=immutable), keys))

    def tail(self, key: str, size: int) -> bytes:
        """Return the last bytes of a file; one that is not cached is not downloaded whole."""
        known = next(iter(self._cache.stamps(key)), None)
        if known:
            return super().tail(key, size)
        with self._readable_errors(key):
            try:
                _, content = read_object(
                    self._client, self._attempts, **self._object(key), Range=f"bytes=-{size}"
                )
            except ClientError as error:
                if is_missing(error):
                    raise FileNotFoundError(self._name(key)) from None
                raise
        return content

    @contextmanager
    def stored(self, key: str) -> Iterator[Path]:
        """Download the object to a temporary file for the duration of the block."""
        with self.staging() as folder:
            prepared = folder / "stored"
            with self._readable_errors(key):
                try:
                    response = self._client.get_object(**self._object(key))
                except ClientError as error:
                    if not is_missing(error):
                        raise
                else:
                    with prepared.open("wb") as file:
                        self._transferred(key, response, file)
            yield prepared

    def copies(self, key: str) -> list[Path]:
        """List the cached paths of an object, one per entity tag."""
        return [self._cache.path(key, stamp) for stamp in self._cache.stamps(key)]

    def entry(self, key: str) -> Entry | None:
        """Return the entry of one object: size, entity tag and time."""
        with self._readable_errors(key):
            try:
                found = self._client.head_object(**self._object(key))
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        modified_s = found["LastModified"].timestamp()
        return Entry(key, found["ContentLength"], _stamp(found), modified_s)

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """List a prefix, a thousand objects at a time."""
        start = len(self._s3_location.key(""))
        with self._readable_errors(folder):
            for page in self._pages(folder):
                for found in page.get("Contents", ()):
                    key = found["Key"][start:]
                    inside = key[len(folder) :].lstrip("/")
                    # A console makes empty objects in place of folders.
                    if key.endswith("/") or inside.startswith(".") or "/." in inside:
                        continue
                    modified_s = found["LastModified"].timestamp()
                    yield Entry(key, found["Size"], _stamp(found), modified_s)

    def folders(self, folder: str = "") -> list[str]:
        """List common prefixes."""
        with self._readable_errors(folder):
            names = [
                found["Prefix"].rstrip("/").rpartition("/")[2]
                for page in self._pages(folder, Delimiter="/")
                for found in page.get("CommonPrefixes", ())
            ]
        return sorted(name for name in names if not name.startswith("."))

    # Writing

    def put(self, prepared: Path, key: str) -> None:
        """Upload a file; large ones in parts, which S3 assembles atomically."""
        for lease in self._leases:
            lease.require()
        with prepared.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        metadata = {"Metadata": {_DIGEST: digest}}
        with self._readable_errors(key):
            if prepared.stat().st_size <= _TRANSFER.multipart_threshold:
                with prepared.open("rb") as file:
                    made = self._client.put_object(**self._object(key), Body=file, **metadata)
            else:
                target = self._object(key)
                with create_transfer_manager(self._client, _TRANSFER) as manager:
                    manager.upload(
                        str(prepared), target["Bucket"], target["Key"], extra_args=metadata
                    ).result()
                made = self._client.head_object(**target)
        if made.get("Metadata", {}).get(_DIGEST, digest) == digest:
            self._cache.keep(prepared, key, _stamp(made))
        else:  # another process has replaced it already
            prepared.unlink()

    def remove(self, key: str) -> None:
        """Delete an object and evict it from the cache."""
        for lease in self._leases:
            lease.require()
        with self._readable_errors(key):
            self._client.delete_object(**self._object(key))
        self._cache.drop(key)

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold a lock in a hidden object, which is free `lease_s` after its holder has died."""
        key = f".{name}.lock"
        with self._readable_errors(key):
            lease = Lease(
                self._client,
                self._s3_location.bucket,
                self._s3_location.key(key),
                self._lease_s,
                self._attempts,
            )
            with lease.held():
                self._leases.append(lease)
                try:
                    yield
                finally:
                    self._leases.remove(lease)

    def staging(self) -> AbstractContextManager[Path]:
        """Yield a folder of this machine, beside the cache."""
        return self._local.staging()

    def sweep(self) -> None:
        """Remove the staging folders of processes of this machine that have ended."""
        self._local.sweep()

    # Cache

    def evict(self, folder: str) -> None:
        """Evict the files of a folder from the cache."""
        self._cache.drop(folder)

    def in_words(self, text: str) -> str:
        """Return a text in which cached paths are replaced by the objects' names."""
        return self._cache.in_words(text)

    def _copied(self, key: str, response: dict[str, Any]) -> Path:
        """Download an object into the cache; resume where a transfer was cut."""
        with self.staging() as folder:
            prepared = folder / "copy"
            with prepared.open("wb") as file:
                response = self._transferred(key, response, file)
            return self._cache.keep(prepared, key, _stamp(response))

    def _transferred(self, key: str, response: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
        """Write an object's content to a file; return the response that describes the object."""
        whole, sha, tries = response, hashlib.sha256(), 0
        while True:
            before = file.tell()
            try:
                for chunk in response["Body"].iter_chunks(_CHUNK_BYTES):
                    file.write(chunk)
                    sha.update(chunk)
                fault = _fault(whole, file.tell(), sha.hexdigest())
            except FlexibleChecksumError:
                fault = "its checksum is wrong"
            except PASSING as error:
                fault = type(error).__name__
                tries = 0 if file.tell() - before > _CHUNK_BYTES else tries
            if not fault:
                return whole
            tries += 1
            if tries >= self._attempts:
                kind = DamagedObjectError if fault == _WRONG_DIGEST else StorageError
                raise kind(
                    f"{self._name(key)} does not arrive whole from {self._endpoint} in {tries} "
                    f"tries ({fault}): check the network and the service, then run again."
                )
            logger.warning("%s: transfer broken (%s), trying again", self._name(key), fault)
            time.sleep(pause_s(tries))
            if file.tell() < whole["ContentLength"]:
                rest = self._rest(key, whole, file.tell())
                if rest is not None:
                    response = rest
                    continue
            file.seek(0)
            file.truncate()
            sha = hashlib.sha256()
            whole = response = self._client.get_object(**self._object(key))

    def _rest(self, key: str, whole: dict[str, Any], start: int) -> dict[str, Any] | None:
        """Request an object from a byte on; None if it has changed, or is only sent whole."""
        try:
            rest: dict[str, Any] = self._client.get_object(
                **self._object(key), Range=f"bytes={start}-", IfMatch=whole["ETag"]
            )
        except ClientError as error:
            if is_changed(error):
                return None
            raise
        return rest if "ContentRange" in rest else None

    # Names

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self._s3_location.bucket, "Key": self._s3_location.key(key)}

    def _pages(self, folder: str, **options: str) -> Iterator[dict[str, Any]]:
        prefix = self._s3_location.key(f"{folder}/" if folder else "")
        pages = self._client.get_paginator("list_objects_v2")
        yield from pages.paginate(Bucket=self._s3_location.bucket, Prefix=prefix, **options)

    def _name(self, key: str) -> str:
        return f"{self.location}/{key}" if key else self.location

    def _readable_errors(self, key: str) -> AbstractContextManager[None]:
        return readable_errors(self._name(key), self._client)


def _stamp(response: dict[str, Any]) -> str:
    return safe_name(str(response["ETag"]).strip('"'))


def _fault(response: dict[str, Any], size: int, digest: str) -> str:
    """Return the fault of a downloaded content; empty if there is none."""
    if size != response["ContentLength"]:
        return f"{size} of {response['ContentLength']} bytes"
    expected = response.get("Metadata", {}).get(_DIGEST, digest)
    return "" if expected == digest else _WRONG_DIGEST


def _folder_name(location: S3Location, endpoint: str) -> str:
    """Return a folder's name for a location: the same key may be another file elsewhere."""
    name = f"{location.bucket}-{location.prefix}".lower()
    readable = re.sub(r"[^a-z0-9.-]+", "-", name).strip("-")
    return f"{readable[:60]}-{digest_of(endpoint, str(location))}"
