"""The nightly job that verifies the digests of files and removes damaged ones."""

from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest
from bits import flip, flip_at
from dagster_catalogue import DagsterCatalogue

from mediafm_assets.definitions import definitions
from mediafm_core.pipeline.integrity.stored_files import stored_files
from mediafm_core.pipeline.integrity.verification import nightly_share, verify
from mediafm_core.pipeline.planning.asset_states import catalogue_states
from mediafm_core.pipeline.platform import Platform

EVERYTHING = {"ops": {"verify_share": {"config": {"everything": True}}}}


@pytest.fixture
def platform(dagster_catalogue: DagsterCatalogue, tmp_path) -> Platform:
    return dagster_catalogue.copy(tmp_path).platform()


def run(platform: Platform, config: dict | None = None) -> tuple[bool, dict[str, Any], str]:
    """Run the job; returns its success, its metadata, and the reason of its failure."""
    resource = dg.ResourceDefinition.hardcoded_resource(platform)
    job = definitions({"platform": resource}).resolve_job_def("verify_catalogue")
    with dg.instance_for_test() as instance:
        done = job.execute_in_process(
            instance=instance, run_config=config or {}, raise_on_error=False
        )
    outputs = [event for event in done.all_events if event.is_successful_output]
    metadata = {
        name: value.value
        for event in outputs
        for name, value in event.step_output_data.metadata.items()
    }
    failures = [event.step_failure_data for event in done.all_events if event.is_step_failure]
    reason = [each.user_failure_data.description for each in failures if each.user_failure_data]
    return done.success, metadata, " ".join(map(str, reason))


def test_damaged_files_are_removed_so_that_the_sweep_recomputes_them(platform: Platform):
    flip(platform.store.root / "timed_text" / "coffee.parquet")
    succeeded, metadata, _ = run(platform, EVERYTHING)
    assert succeeded
    assert metadata["files"] == len(list(stored_files(platform.store))) + 1
    assert (metadata["damaged"], metadata["computed_again"]) == (1, ["coffee"])
    assert "timed_text/coffee.parquet is damaged" in metadata["damaged_files"][0]
    states = {state.title_id: state.assets for state in catalogue_states(platform)}
    assert states["coffee"]["timed_text"] == "missing"
    assert verify(platform).damaged == ()


def test_a_file_that_cannot_be_recomputed_fails_the_run_with_a_remedy(platform: Platform):
    weights = platform.store.models / platform.serving_model / "model.safetensors"
    flip_at(weights, -9)
    succeeded, _, reason = run(platform, EVERYTHING)
    assert not succeeded
    assert "a model cannot be computed again, so copy its folder back" in reason


def test_a_night_reads_a_part_and_a_week_everything(platform: Platform):
    succeeded, metadata, _ = run(platform)
    assert succeeded
    assert 0 <= metadata["files"] < len(list(stored_files(platform.store)))
    nights = [nightly_share(date(2026, 11, 20) + timedelta(days), 7) for days in range(7)]
    for file, _ in stored_files(platform.store):
        assert sum(share.has(file) for share in nights) == 1
