"""Verification of a store in S3 covers the objects and the local cache."""

from pathlib import Path
from typing import Any

import pytest
from bits import flip_at
from s3_server import S3Server
from small_catalogue import MODEL, SmallCatalogue
from stored_files import upload_folder

from mediafm_core.config.location import S3Location
from mediafm_core.config.settings import load_settings
from mediafm_core.pipeline.integrity.repair import repair
from mediafm_core.pipeline.integrity.verification import verify
from mediafm_core.pipeline.platform import Platform
from mediafm_core.store.store import Store

KEY = "shots/alpha.parquet"


@pytest.fixture
def platform(
    server: S3Server, place: S3Location, settings: dict[str, Any], tmp_path: Path
) -> Platform:
    """Return a catalogue of two titles in S3."""
    small = SmallCatalogue(tmp_path / "small").filled("alpha", "beta")
    upload_folder(server, small.root, str(place))
    (tmp_path / "inbox").mkdir()
    inbox = str(tmp_path / "inbox")
    return Platform(
        load_settings(store=str(place), inbox=inbox, s3={**settings, "max_attempts": 2})
    )


def damaged_object(server: S3Server, place: S3Location, store: Store, **options: Any) -> None:
    """Flip a bit of an object."""
    content = bytearray(store.files.path(KEY).read_bytes())
    content[100] ^= 4
    client = server.client()
    client.put_object(Bucket=place.bucket, Key=place.key(KEY), Body=bytes(content), **options)


def test_a_sound_store_is_read_from_s3_and_leaves_no_copies(platform: Platform):
    found = verify(platform)
    assert found.damaged == ()
    assert found.files == 2 * 9 + 3 + 1
    assert platform.store.files.copies(KEY) == []


def test_a_damaged_object_is_found(platform: Platform, server: S3Server, place: S3Location):
    damaged_object(server, place, platform.store)
    (found,) = verify(platform).damaged
    assert (found.file.key, found.copy) == (KEY, None)
    assert str(found).startswith(f"{place}/{KEY} is damaged: its SHA-256")


def test_an_object_that_is_not_what_was_put_there_is_found(
    platform: Platform, server: S3Server, place: S3Location
):
    damaged_object(server, place, platform.store, Metadata={"sha256": "0" * 64})
    (found,) = verify(platform).damaged
    assert (found.file.key, found.copy) == (KEY, None)
    assert "SHA-256 is wrong" in found.reason


def test_a_damaged_cached_file_is_found_and_downloaded_again(platform: Platform):
    store = platform.store
    whole = store.read("shots", "alpha")
    (copy,) = store.files.copies(KEY)
    flip_at(copy, 100)
    found = verify(platform)
    assert [(each.file.key, each.copy) for each in found.damaged] == [(KEY, copy)]
    assert repair(platform, found).left == []
    assert store.read("shots", "alpha").equals(whole)
    assert verify(platform).damaged == ()


def test_a_damaged_copy_of_a_model_is_found(platform: Platform):
    folder = platform.store.models / MODEL
    folder.mkdir(parents=True)
    (folder / "training.json").write_text("{")
    found = verify(platform)
    assert [each.copy for each in found.damaged] == [folder]
    assert repair(platform, found).left == []
    assert not folder.exists()
