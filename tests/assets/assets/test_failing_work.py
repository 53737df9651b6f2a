"""Dagster runs that fail for another reason than the input of a title."""

import errno
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster_catalogue import GOOD, DagsterCatalogue

from mediafm_assets.assets import retries
from mediafm_assets.cli.runner import CatalogueRunner
from mediafm_core.errors import MachineError
from mediafm_core.pipeline import materialise as materialising
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.planning.asset_states import catalogue_states, variant_of
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.work import Work
from mediafm_core.store.store import Store

CAT, COFFEE = GOOD
SENTENCE = "This machine fails (OSError: [Errno 28] No space left on device"


@pytest.fixture
def catalogue(
    dagster_catalogue: DagsterCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> DagsterCatalogue:
    """Return a copy that tests may change, whose steps are retried without a delay."""
    monkeypatch.setattr(retries, "_FIRST_DELAY_S", 0.0)
    return dagster_catalogue.copy(tmp_path)


def remove(store: Store, catalogue: DagsterCatalogue, *assets: str) -> None:
    for title_id in GOOD:
        for asset in assets:
            store.remove(asset, title_id, variant_of(catalogue.platform(), SPECS[asset]))


def fail(monkeypatch: pytest.MonkeyPatch, asset: str, title_id: str, error: Exception) -> list[str]:
    """Make the computation of an asset fail for one title; returns the titles that are computed."""
    compute: Callable[[Work], None] = materialising._COMPUTE[asset]
    seen: list[str] = []

    def failing(work: Work) -> None:
        seen.append(work.title_id)
        if work.title_id == title_id:
            raise error
        compute(work)

    monkeypatch.setitem(materialising._COMPUTE, asset, failing)
    return seen


def states(catalogue: DagsterCatalogue) -> dict[str, str]:
    found = {each.title_id: each.state for each in catalogue_states(catalogue.platform())}
    return {title_id: found[title_id] for title_id in GOOD}


@pytest.mark.parametrize("asset", ["shots", "timed_text"])
def test_a_title_that_fails_stops_no_other_and_fails_the_run(
    catalogue: DagsterCatalogue, monkeypatch: pytest.MonkeyPatch, asset: str
) -> None:
    platform = catalogue.platform()
    remove(platform.store, catalogue, asset, "clip_features")
    with monkeypatch.context() as broken, catalogue.instance() as instance:
        fail(broken, asset, CAT, ZeroDivisionError("odd"))
        report = CatalogueRunner(platform, instance).run(GOOD)
        [(run_id, reason)] = report.failures.items()
        run = instance.get_run_by_id(run_id)
        steps = instance.get_run_step_stats(run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert reason.startswith(f"clip_features: {CAT}: {asset} failed (ZeroDivisionError: odd)")
    assert [each.step_key for each in steps if each.status.name == "FAILURE"] == ["clip_features"]
    assert states(catalogue)[COFFEE] == "present"
    assert states(catalogue)[CAT] != "present"
    with catalogue.instance() as instance:
        assert CatalogueRunner(platform, instance).run(GOOD).failures == {}
    assert states(catalogue) == {CAT: "present", COFFEE: "present"}


def test_a_full_disk_stops_the_run_at_the_first_title(
    catalogue: DagsterCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = catalogue.platform()
    platform.settings = platform.settings.model_copy(
        update={"run": platform.settings.run.model_copy(update={"titles_per_run": 1})}
    )
    remove(platform.store, catalogue, "timed_text")
    seen = fail(monkeypatch, "timed_text", CAT, OSError(errno.ENOSPC, "No space left on device"))
    with catalogue.instance() as instance:
        report = CatalogueRunner(platform, instance).run(GOOD)
    [reason] = report.failures.values()
    assert SENTENCE in reason
    assert "make room there" in reason
    assert seen == [CAT] * (1 + retries.MOST_RETRIES), "the title after it waits"
    bad_title, *others = Quarantine(platform.store)
    assert others == []
    assert bad_title.title_id not in GOOD


def test_titles_after_an_error_of_the_machine_are_counted(
    catalogue: DagsterCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = catalogue.platform()
    remove(platform.store, catalogue, "timed_text")
    fail(monkeypatch, "timed_text", CAT, MachineError("No power."))
    with catalogue.instance() as instance:
        report = CatalogueRunner(platform, instance).run(GOOD)
    assert list(report.failures.values()) == ["timed_text: No power. Titles that wait: 1."]


def test_no_first_model_is_trained_on_a_part_of_the_catalogue(
    catalogue: DagsterCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = catalogue.platform()
    (catalogue.store / "serving.json").unlink()
    remove(platform.store, catalogue, "fused_embeddings")
    fail(monkeypatch, "fused_embeddings", COFFEE, OSError(errno.ENOSPC, "No space left on device"))
    with catalogue.instance() as instance:
        report = CatalogueRunner(platform, instance).run(GOOD)
    assert len(report.run_ids) == 1
    assert platform.serving_model is None
