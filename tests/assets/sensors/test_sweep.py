"""The sweep requests what is missing or stale, also after losses, and nothing else."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster_catalogue import GOOD, DagsterCatalogue
from sensors import Sensing, Tick, sensing

from mediafm_assets.assets.catalogue_asset import CATALOGUE
from mediafm_assets.assets.model_assets import SERVING_MODEL
from mediafm_assets.partitions import MODELS, TITLES
from mediafm_assets.resources.platform_resource import (
    platform_from_environment,
    watching_platform,
)
from mediafm_assets.sensors.sweep import NAME, sweep_sensor
from mediafm_assets.tags import INTERRUPTED_TAG
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.graph import FROM_MODEL, SPECS, UP_TO_FUSION
from mediafm_core.pipeline.materialise import materialise
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import publish_titles
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.releases.release import release


@pytest.fixture
def catalogue(any_dagster_catalogue: DagsterCatalogue, tmp_path: Path) -> Iterator[Sensing]:
    with sensing(any_dagster_catalogue.copy(tmp_path)) as found:
        yield found


def evaluate(catalogue: Sensing, cursor: str | None = None, **changes: object) -> Tick:
    return catalogue.tick(sweep_sensor(catalogue.settings(**changes)), cursor)


def requested(catalogue: Sensing, tick: Tick) -> dict[tuple[str, ...], list[str]]:
    """Return the titles by the assets that are requested."""
    return {
        tuple(sorted(key.to_user_string() for key in request.asset_selection or ())): (
            catalogue.titles_of(request)
        )
        for request in tick.requests
    }


def release_another_model(catalogue: Sensing) -> str:
    small = {"hidden": 32, "layers": 1, "heads": 2, "feed_forward": 64}
    settings = catalogue.settings(model=small, training={"steps": 2, "seed": 7})
    platform = Platform(settings)
    trained = train_model(platform)
    release(platform, trained.candidate)
    return trained.identity


def test_a_catalogue_that_is_up_to_date_needs_no_run(catalogue: Sensing):
    tick = evaluate(catalogue)
    assert tick.requests == []
    assert tick.skipped.startswith(f"All {len(GOOD)} titles are up to date with mediafm-7@")


def test_a_release_requests_only_what_depends_on_the_model(catalogue: Sensing):
    release_another_model(catalogue)
    for cursor in (None, "", evaluate(catalogue).cursor):
        tick = evaluate(catalogue, cursor)
        assert requested(catalogue, tick) == {tuple(sorted(FROM_MODEL)): sorted(GOOD)}
        assert all(int(each.tags["dagster/priority"]) < 0 for each in tick.requests)
        assert {each.job_name for each in tick.requests} == {"refresh_catalogue"}


def test_titles_of_an_unfinished_run_are_not_requested_again(catalogue: Sensing):
    release_another_model(catalogue)
    (request,) = evaluate(catalogue).requests
    run = catalogue.create(request, NAME)
    tick = evaluate(catalogue)
    assert tick.requests == []
    assert tick.skipped == f"Runs over {len(GOOD)} titles are under way."
    catalogue.instance.add_run_tags(
        run.run_id, {INTERRUPTED_TAG: "true"}
    )  # it ended with its process
    catalogue.instance.report_run_canceled(run)
    assert requested(catalogue, evaluate(catalogue)) == {tuple(sorted(FROM_MODEL)): sorted(GOOD)}


@pytest.mark.parametrize(("end", "outcome"), [("failed", "failed"), ("canceled", "was terminated")])
def test_a_failed_run_is_retried_after_a_pause(
    catalogue: Sensing, monkeypatch: pytest.MonkeyPatch, end: str, outcome: str
):
    def ended() -> float:
        return catalogue.instance.get_run_records(limit=1)[0].end_time

    clock = SimpleNamespace(time=ended)
    monkeypatch.setattr("mediafm_assets.sensors.run_requests.time", clock)
    release_another_model(catalogue)
    (request,) = evaluate(catalogue).requests
    pauses = []
    for _ in range(2):
        run = catalogue.create(request, NAME, dg.DagsterRunStatus.STARTED)
        getattr(catalogue.instance, f"report_run_{end}")(run)
        tick = evaluate(catalogue)
        assert tick.requests == []
        assert tick.skipped.startswith(
            f"Run {run.run_id} {outcome}: {len(GOOD)} titles are retried"
        )
        pauses.append(float(tick.skipped.split()[-2]))
    assert pauses == [60, 120]
    clock.time = lambda: ended() - 365 * 24 * 3600
    assert requested(catalogue, evaluate(catalogue)), (
        "the clock was set back: no title waits for a year"
    )


def test_the_time_for_automation_ends_though_the_clock_was_set_back(
    catalogue: Sensing, monkeypatch: pytest.MonkeyPatch
):
    release_another_model(catalogue)
    settings = {"sensors": {"automation": True, "sweep_after_s": 100.0}}
    now = time.time()
    clock = SimpleNamespace(time=lambda: now)
    monkeypatch.setattr("mediafm_assets.sensors.sweep.time", clock)
    tick = evaluate(catalogue, **settings)
    assert tick.skipped == "A version changed: automation has 100 s to request runs."
    now -= 365 * 24 * 3600
    tick = evaluate(catalogue, tick.cursor, **settings)
    assert tick.requests == []
    now += 101
    assert evaluate(catalogue, tick.cursor, **settings).requests


def test_a_lost_artefact_is_requested_with_what_depends_on_it(catalogue: Sensing):
    store = catalogue.catalogue.platform().store
    store.path("audio_embeddings", GOOD[0]).unlink()
    expected = {"audio_embeddings", "fused_embeddings", *FROM_MODEL}
    assert requested(catalogue, evaluate(catalogue)) == {tuple(sorted(expected)): [GOOD[0]]}


def test_another_encoder_requests_its_vectors_and_waits_for_a_compatible_model(
    catalogue: Sensing, monkeypatch: pytest.MonkeyPatch
):
    from mediafm_core.encoders.whisper import WhisperBase

    identity = WhisperBase.__dict__["identity"].func
    monkeypatch.setattr(
        WhisperBase,
        "identity",
        property(lambda encoder: identity(encoder).model_copy(update={"version": "next"})),
    )
    tick = evaluate(catalogue)
    assert requested(catalogue, tick) == {("audio_embeddings", "fused_embeddings"): sorted(GOOD)}


def test_a_first_model_is_trained_once_every_title_is_embedded(catalogue: Sensing):
    (catalogue.catalogue.store / "serving.json").unlink()
    (request,) = evaluate(catalogue).requests
    assert request.job_name == "train_model"
    assert request.run_config["ops"]["mediafm_model"]["config"]["release"] is True
    run = catalogue.create(request, NAME)
    assert evaluate(catalogue).requests == [], "one training is enough"
    catalogue.instance.report_run_canceled(run)
    store = catalogue.catalogue.platform().store
    store.path("video_embeddings", GOOD[0]).unlink()
    (request,) = evaluate(catalogue).requests
    assert request.job_name == "refresh_catalogue", "titles first"
    assert {key.to_user_string() for key in request.asset_selection or ()} <= set(UP_TO_FUSION)


def test_no_first_model_is_trained_where_the_settings_name_one(
    catalogue: Sensing, monkeypatch: pytest.MonkeyPatch
):
    """The run that the sweep requests releases the named model before its work."""
    store = catalogue.catalogue.store
    folder = store / "models" / str(catalogue.catalogue.platform().serving_model)
    (store / "serving.json").unlink()
    monkeypatch.setenv("MEDIAFM_SERVING_MODEL", str(folder))
    watching_platform.cache_clear()
    (request,) = evaluate(catalogue).requests
    assert request.job_name == "refresh_catalogue"
    assert requested(catalogue, Tick([request], "", None)) == {
        tuple(sorted(FROM_MODEL)): sorted(GOOD)
    }
    with dg.build_resources({"platform": platform_from_environment}) as resources:
        assert resources.platform.serving_model == folder.name
    monkeypatch.delenv("MEDIAFM_SERVING_MODEL")
    watching_platform.cache_clear()
    assert evaluate(catalogue).skipped.endswith(f"up to date with {folder.name}.")


def test_titles_that_a_killed_run_has_not_published_are_published(catalogue: Sensing):
    (catalogue.catalogue.store / "features.duckdb").unlink()
    (request,) = evaluate(catalogue).requests
    assert request.job_name == "publish_features"


@pytest.mark.parametrize("policy", ["drop", "hold"])
def test_readers_are_cut_over_once_no_title_is_missing(
    catalogue: Sensing, policy: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MEDIAFM_PUBLISHING__FAILED_TITLES", policy)
    watching_platform.cache_clear()
    model = release_another_model(catalogue)
    platform = Platform(catalogue.settings())
    last, *others = GOOD
    for title_id in others:
        for asset in FROM_MODEL:
            materialise(platform, (asset,), title_id)
    assert publish_titles(platform, others).outcome == "held back"
    # The run of the last title fails, so that it publishes nothing.
    fingerprint = platform.inbox.folder(last).fingerprint()
    Quarantine(platform.store).add(last, "contextual_embeddings", "It failed.", fingerprint)
    tick = evaluate(catalogue)
    if policy == "hold":
        assert tick.requests == []
        assert tick.skipped.endswith(f"{model} waits for 1 of their titles: {last}.")
        return
    assert [each.job_name for each in tick.requests] == ["publish_features"]
    assert publish_titles(platform, others).outcome == "published"
    assert evaluate(catalogue).requests == []


def test_a_folder_that_is_still_being_written_is_not_requested(catalogue: Sensing):
    clips = catalogue.catalogue.inbox / GOOD[0] / "clips.csv"
    clips.write_text("clip_id,start_s,end_s\na,0,3\n")
    assert evaluate(catalogue, sensors={"settle_s": 24 * 3600.0}).requests == []
    found = evaluate(catalogue, sensors={"settle_s": 0.0})
    assert requested(catalogue, found) == {tuple(sorted(SPECS)): [GOOD[0]]}


def test_a_title_whose_run_was_lost_is_ingested(catalogue: Sensing):
    catalogue.deliver("dog")
    assert evaluate(catalogue).requests == [], "an arrival is the inbox sensor's"
    catalogue.instance.add_dynamic_partitions(TITLES, ["dog"])
    assert requested(catalogue, evaluate(catalogue)) == {tuple(sorted(SPECS)): ["dog"]}


def test_the_partition_of_a_retired_title_is_removed(catalogue: Sensing):
    catalogue.instance.add_dynamic_partitions(TITLES, ["long_gone"])
    evaluate(catalogue)
    assert "long_gone" not in catalogue.instance.get_dynamic_partitions(TITLES)
    assert set(catalogue.instance.get_dynamic_partitions(TITLES)) >= set(GOOD)


def test_versions_and_coverage_are_recorded_when_they_change(catalogue: Sensing):
    def recorded(asset: str) -> list[str]:
        found = catalogue.instance.fetch_observations(dg.AssetKey(asset), limit=20).records
        return [
            each.asset_observation.tags["dagster/data_version"]
            for each in found
            if each.asset_observation
        ]

    evaluate(catalogue)
    before = {name: recorded(name) for name in (SERVING_MODEL, "audio_encoder", CATALOGUE)}
    assert all(before.values())
    evaluate(catalogue)
    assert {name: recorded(name) for name in before} == before
    model = release_another_model(catalogue)
    evaluate(catalogue)
    assert recorded(SERVING_MODEL) == [model, *before[SERVING_MODEL]]
    assert recorded("audio_encoder") == before["audio_encoder"]
    latest = catalogue.instance.fetch_observations(dg.AssetKey(CATALOGUE), limit=1).records[0]
    assert latest.asset_observation is not None
    metadata = latest.asset_observation.metadata
    rows = [row.data for row in metadata["coverage"].value.records]
    clips = [row for row in rows if row["asset"] == "clip_features"]
    assert {"asset": "clip_features", "titles": 0, "wanted": True} in clips
    assert {"asset": "clip_features", "titles": len(GOOD), "wanted": False} in clips
    lines = metadata["versions"].value.splitlines()
    versions = {tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in lines}
    by_model = {cells[5]: cells[1:3] for cells in versions if cells[0] == "clip&#95;features"}
    assert by_model == {model: ("0", "true"), before[SERVING_MODEL][0]: (str(len(GOOD)), "false")}


def test_the_inbox_is_observed_when_it_changes(catalogue: Sensing):
    def seen() -> list[int]:
        found = catalogue.instance.fetch_observations(dg.AssetKey("inbox"), limit=20).records
        observations = [each.asset_observation for each in found if each.asset_observation]
        return [int(each.metadata["waiting"].value) for each in observations]

    evaluate(catalogue)
    before = seen()
    evaluate(catalogue)
    assert seen() == before
    (catalogue.catalogue.inbox / "half_copied").mkdir()
    evaluate(catalogue)
    assert seen() == [1, *before]


def test_with_automation_on_the_sweep_comes_after_it(catalogue: Sensing):
    cursor = evaluate(catalogue).cursor
    release_another_model(catalogue)
    both = {"automation": True, "sweep_after_s": 60}
    tick = evaluate(catalogue, cursor, sensors=both)
    assert tick.requests == []
    assert "automation has" in tick.skipped
    later = evaluate(catalogue, tick.cursor, sensors={**both, "sweep_after_s": 0})
    assert requested(catalogue, later) == {tuple(sorted(FROM_MODEL)): sorted(GOOD)}


def test_a_failed_run_delays_its_own_titles_only(catalogue: Sensing):
    release_another_model(catalogue)
    requests = evaluate(catalogue, run={"refresh_titles_per_run": 1}).requests
    assert len(requests) == len(GOOD)
    run = catalogue.create(requests[0], NAME, dg.DagsterRunStatus.STARTED)
    catalogue.instance.report_run_failed(run)
    failed = catalogue.titles_of(requests[0])
    expected = sorted(set(GOOD) - set(failed))
    assert requested(catalogue, evaluate(catalogue)) == {tuple(sorted(FROM_MODEL)): expected}


def test_the_launchpad_offers_the_models_of_the_store(catalogue: Sensing):
    platform = Platform(catalogue.settings())
    first = platform.serving_model
    catalogue.instance.add_dynamic_partitions(MODELS, ["gone-1@0123456789abcdef"])
    catalogue.tick(sweep_sensor(catalogue.settings()))
    assert catalogue.instance.get_dynamic_partitions(MODELS) == [first]
