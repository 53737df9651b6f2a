"""The same files on disk and in S3, with a faulty proxy between."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_proxy import FaultyProxy, faulty_proxy
from s3_server import ACCESS_KEY, SECRET_KEY, S3Server, s3_server
from stored_files import OpenFiles

from mediafm_core.config.location import S3Location
from mediafm_core.config.store_settings import S3Settings
from mediafm_core.storage.files import Files
from mediafm_core.storage.local import LocalFiles
from mediafm_core.storage.s3 import S3Files

_places = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(autouse=True)
def no_keys_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def bucket(server: S3Server) -> str:
    return server.bucket("catalogue")


@pytest.fixture
def place(bucket: str) -> S3Location:
    """Return an empty prefix of the bucket."""
    return S3Location(bucket, f"test-{next(_places)}/store")


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultyProxy]:
    with faulty_proxy(server.endpoint, {}, seed=1) as running:
        yield running


@pytest.fixture
def lease_s() -> float:
    """Return the seconds of a lease, longer than any test; tests of expiry override it."""
    return 24 * 3600.0


@pytest.fixture
def settings(server: S3Server, tmp_path: Path, lease_s: float) -> dict[str, Any]:
    return {
        "endpoint_url": server.endpoint,
        "region": "us-east-1",
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
        "lease_s": lease_s,
        "cache": tmp_path / "cache",
    }


@pytest.fixture
def open_files(settings: dict[str, Any], place: S3Location) -> OpenFiles:
    """Return a function that opens files at the prefix, or at another place with other settings."""

    def files(elsewhere: S3Location | None = None, **changes: Any) -> S3Files:
        return S3Files(elsewhere or place, S3Settings.model_validate({**settings, **changes}))

    return files


@pytest.fixture(params=["local", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Return files on disk, then in S3."""
    if request.param == "local":
        return LocalFiles(tmp_path / "store")
    return request.getfixturevalue("open_files")()
