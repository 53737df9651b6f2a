"""`mediafm run` with inbox and store in S3 and transient faults equals a run on a local disk."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster_catalogue import BAD, GOOD, DagsterCatalogue
from faulty_proxy import FAULTS, FaultyProxy, faulty_proxy
from films import SMALL_MODEL, settings_for
from s3_server import ACCESS_KEY, SECRET_KEY, S3Server
from stored_files import upload_folder

import mediafm_core as mediafm
from mediafm_core.pipeline.materialise import DECODED, materialise
from mediafm_core.pipeline.planning.asset_states import catalogue_states
from mediafm_core.pipeline.platform import Platform
from mediafm_core.store.equality import differences
from mediafm_core.store.store import Store

INBOX, STORE = "s3://arrivals/films", "s3://results/catalogue"


@pytest.fixture(scope="module")
def proxy(server: S3Server) -> Iterator[FaultyProxy]:
    shares = {**dict.fromkeys(FAULTS, 0.02), "hung": 0.003}
    with faulty_proxy(server.endpoint, shares, seed=4) as running:
        yield running


@pytest.fixture(scope="module")
def done(
    server: S3Server,
    proxy: FaultyProxy,
    dagster_catalogue: DagsterCatalogue,
    tmp_path_factory: pytest.TempPathFactory,
) -> DagsterCatalogue:
    """Run the command line over S3 on the local catalogue's inbox."""
    for place in (INBOX, STORE):
        server.bucket(place.split("/")[2])
    upload_folder(server, dagster_catalogue.inbox, INBOX)
    home = tmp_path_factory.mktemp("main_job")
    environment = {
        **os.environ,
        **SMALL_MODEL,
        **variables(proxy.endpoint, home / "cache"),
        "DAGSTER_HOME": str(home / "dagster_home"),
    }
    result = subprocess.run(
        [sys.executable, "-m", "mediafm_core", "run"], env=environment, capture_output=True
    )
    assert result.returncode == 0, result.stderr.decode()
    return dagster_catalogue


def variables(endpoint: str, cache: Path) -> dict[str, str]:
    return {
        "MEDIAFM_INBOX": INBOX,
        "MEDIAFM_STORE": STORE,
        **{
            f"MEDIAFM_S3__{name.upper()}": str(value) for name, value in s3(endpoint, cache).items()
        },
    }


def s3(endpoint: str, cache: Path) -> dict[str, Any]:
    return {
        "endpoint_url": endpoint,
        "region": "us-east-1",
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
        "read_timeout_s": 2.0,
        "cache": cache,
    }


def test_the_store_equals_the_local_one(
    done: DagsterCatalogue, proxy: FaultyProxy, server: S3Server, tmp_path: Path
) -> None:
    assert sum(proxy.injected.values()) > 30
    elsewhere = Platform(settings_for(INBOX, STORE, s3=s3(server.endpoint, tmp_path / "cache")))
    found = differences(Store(done.store), elsewhere.store)
    # The reason names the file, which is elsewhere.
    assert found == [f"quarantine/{BAD}.json: contents differ"]
    states = {state.title_id: state for state in catalogue_states(elsewhere)}
    assert {name: states[name].state for name in (*GOOD, BAD)} == {
        **dict.fromkeys(GOOD, "present"),
        BAD: "quarantined",
    }
    assert states[BAD].reason.startswith(f"{INBOX}/{BAD}/media.mp4 ")


def test_readers_on_another_machine(
    done: DagsterCatalogue, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables(server.endpoint, tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    titles = mediafm.sql("SELECT title_id, clips FROM titles ORDER BY title_id").to_pylist()
    assert [title["title_id"] for title in titles] == GOOD
    for options in ({}, {"alone": True}):
        here = mediafm.embed("coffee", 1.0, 6.5, **options)
        local = mediafm.embed("coffee", 1.0, 6.5, store=done.store, **options)
        assert here == pytest.approx(local, abs=1e-6)
    nearest = mediafm.similar("coffee", 0.0, 4.5, k=2).to_pylist()
    assert nearest == mediafm.similar("coffee", 0.0, 4.5, k=2, store=done.store).to_pylist()


def test_changed_captions_bring_no_media(
    done: DagsterCatalogue, server: S3Server, tmp_path: Path
) -> None:
    upload_folder(server, done.inbox, "s3://arrivals/changed")
    with faulty_proxy(server.endpoint, {}) as counting:
        own = s3(counting.endpoint, tmp_path / "cache")
        platform = Platform(settings_for("s3://arrivals/changed", "s3://results/changed", s3=own))
        for assets in (("title",), DECODED, ("timed_text",)):
            materialise(platform, assets, "coffee")
        place = {"Bucket": "arrivals", "Key": "changed/coffee/captions.en.vtt"}
        captions = server.client().get_object(**place)["Body"].read()
        server.client().put_object(**place, Body=captions.replace(b"coffee", b"cocoa"))
        media = platform.inbox.folder("coffee").files["media.mp4"].size
        counting.transferred = 0
        [title] = materialise(platform, ("title",), "coffee")
        [text] = materialise(platform, ("timed_text",), "coffee")
        assert (title.status, text.status) == ("computed", "computed")
        assert counting.transferred < media / 2
    assert not list(platform.store.root.parent.rglob("media.mp4"))
