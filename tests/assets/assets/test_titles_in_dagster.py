"""Events of a run over several titles: each title has its own and no other's."""

import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pyarrow.parquet as pq
import pytest
from dagster_catalogue import BAD, GOOD, DagsterCatalogue

from mediafm_assets.assets.title_events import ACCEPTED
from mediafm_assets.cli.runner import CatalogueRunner
from mediafm_assets.partitions import titles
from mediafm_assets.resources.platform_resource import Options
from mediafm_core.pipeline.checks import CHECKS
from mediafm_core.pipeline.graph import SPECS, UP_TO_FUSION
from mediafm_core.pipeline.planning.title_comparison import TitleComparison
from mediafm_core.pipeline.planning.title_selection import select_titles

EventType = dg.DagsterEventType
WITH_PICTURES = ("shots", "keyframes", "contextual_embeddings", "scenes", "clip_features")


@pytest.fixture(scope="module")
def instance(any_dagster_catalogue: DagsterCatalogue):
    with any_dagster_catalogue.instance() as instance:
        yield instance


def logged(
    instance: dg.DagsterInstance, run_ids: list[str], kind: EventType
) -> list[dg.DagsterEvent]:
    return [
        entry.dagster_event
        for run_id in run_ids
        for entry in instance.all_logs(run_id, of_type=kind)
        if entry.dagster_event
    ]


def passed_partitions(instance: dg.DagsterInstance, asset: str, check: str) -> set[str | None]:
    """Return the titles whose latest materialisation has passed a check, as the UI shows them."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    found = instance.event_log_storage.get_asset_check_partition_info([key])
    return {
        each.partition_key
        for each in found
        if each.partition_key
        and each.latest_execution_status.value == "SUCCEEDED"
        and each.is_current
    }


def test_runs_with_a_bad_title_among_good_ones_succeed(
    any_dagster_catalogue: DagsterCatalogue, instance: dg.DagsterInstance
):
    runs = [instance.get_run_by_id(run_id) for run_id in any_dagster_catalogue.run_ids]
    assert [(run.job_name, run.status) for run in runs if run] == [
        ("embed_title", dg.DagsterRunStatus.SUCCESS),
        ("train_model", dg.DagsterRunStatus.SUCCESS),
        ("refresh_catalogue", dg.DagsterRunStatus.SUCCESS),
    ]


def test_runs_are_listed_under_their_jobs(
    any_dagster_catalogue: DagsterCatalogue, instance: dg.DagsterInstance
):
    """Check the label by which the UI finds runs; `mediafm ui` and workspace.yaml load it."""
    label = "__repository__@mediafm_assets.definitions"
    for job in ("embed_title", "train_model", "refresh_catalogue"):
        found = instance.get_runs(dg.RunsFilter(job_name=job, tags={".dagster/repository": label}))
        assert {run.run_id for run in found} & set(any_dagster_catalogue.run_ids)


def test_a_bad_title_has_failed_by_a_run_of_its_own(
    any_dagster_catalogue: DagsterCatalogue, instance: dg.DagsterInstance
):
    embed_run = any_dagster_catalogue.run_ids[0]
    [failed] = instance.get_runs(dg.RunsFilter(tags={"mediafm/quarantined_in": embed_run}))
    assert failed.status == dg.DagsterRunStatus.FAILURE
    assert failed.tags["dagster/partition"] == BAD
    [end] = logged(instance, [failed.run_id], EventType.RUN_FAILURE)
    assert (end.message or "").startswith(f"{BAD} is quarantined: ")
    assert "media.mp4" in (end.message or "")
    for asset in UP_TO_FUSION:
        statuses = instance.get_status_by_partition(dg.AssetKey(asset), [BAD, *GOOD], titles)
        names = {key: status and status.name for key, status in (statuses or {}).items()}
        assert names == {BAD: "FAILED", **dict.fromkeys(GOOD, "MATERIALIZED")}, asset


def test_each_good_title_is_materialised_with_the_version_of_its_artefact(
    any_dagster_catalogue: DagsterCatalogue, instance: dg.DagsterInstance
):
    platform = any_dagster_catalogue.platform()
    versions = {}
    for event in logged(instance, any_dagster_catalogue.run_ids, EventType.ASSET_MATERIALIZATION):
        made = event.step_materialization_data.materialization
        if made.partition is not None:
            key = (made.asset_key.to_user_string(), made.partition)
            assert key not in versions, "one materialisation per title and asset"
            versions[key] = made.tags["dagster/data_version"]
    records = {
        (asset, title): TitleComparison(platform, title).record(asset)
        for asset in SPECS
        for title in GOOD
    }
    assert versions == {key: record.data_version for key, record in records.items() if record}
    assert len(versions) == len(SPECS) * len(GOOD)


def test_a_bad_title_is_observed_with_its_reason(
    any_dagster_catalogue: DagsterCatalogue, instance: dg.DagsterInstance
):
    events = logged(instance, any_dagster_catalogue.run_ids, EventType.ASSET_OBSERVATION)
    seen = [event.asset_observation_data.asset_observation for event in events]
    assert {each.partition for each in seen} == {BAD}
    assert "title" in {each.asset_key.to_user_string() for each in seen}
    for each in seen:
        assert "media.mp4" in (each.description or "")
        assert each.metadata["reason"].text == each.description


def test_checks_are_evaluated_for_each_title(
    any_dagster_catalogue: DagsterCatalogue, instance: dg.DagsterInstance
):
    found: dict[tuple[str, str], dict[str, bool]] = {}
    for event in logged(instance, any_dagster_catalogue.run_ids, EventType.ASSET_CHECK_EVALUATION):
        evaluation = event.asset_check_evaluation_data
        if evaluation.partition is not None:
            asset = evaluation.asset_key.to_user_string()
            found.setdefault((asset, evaluation.partition), {})[evaluation.check_name] = (
                evaluation.passed
            )
            if evaluation.check_name != ACCEPTED:
                assert evaluation.metadata["detail"].value
    for asset in SPECS:
        names = {ACCEPTED, *(check.__name__ for check in CHECKS.get(asset, ()))}
        for title in GOOD:
            assert found[asset, title] == dict.fromkeys(names, True)
        for name in names:
            assert passed_partitions(instance, asset, name) == set(GOOD)
    assert {key for key in found if key[1] == BAD}
    assert all(checks == {ACCEPTED: False} for (_, title), checks in found.items() if title == BAD)


def test_inbox_and_serving_model_are_observed(
    any_dagster_catalogue: DagsterCatalogue, instance: dg.DagsterInstance
):
    [inbox] = instance.fetch_observations(dg.AssetKey("inbox"), limit=1).records
    metadata = inbox.asset_observation.metadata
    assert metadata["quarantined"].value == 1
    [row] = metadata["reasons"].records
    assert row.data["title and reason"].startswith(f"{BAD}: media.mp4 is a text file")
    [serving] = instance.fetch_observations(dg.AssetKey("serving_model"), limit=1).records
    model = any_dagster_catalogue.platform().serving_model
    assert serving.asset_observation.tags["dagster/data_version"] == model


def test_a_run_of_only_a_bad_title_fails_with_the_reason(
    any_dagster_catalogue: DagsterCatalogue, tmp_path: Path
):
    copy = any_dagster_catalogue.copy(tmp_path)
    with copy.instance() as instance:
        report = CatalogueRunner(copy.platform(), instance).run([BAD])
        [(run_id, failure)] = report.failures.items()
        assert "media.mp4" in failure
        [step] = logged(instance, [run_id], EventType.STEP_FAILURE)[:1]
        user_failure = step.step_failure_data.user_failure_data
        assert step.step_key == "title"
        assert "media.mp4" in (user_failure.description or "")
        assert BAD in user_failure.metadata
        [check] = logged(instance, [run_id], EventType.ASSET_CHECK_EVALUATION)
        evaluation = check.asset_check_evaluation_data
        assert (evaluation.check_name, evaluation.partition) == ("title_is_accepted", BAD)
        assert not evaluation.passed
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.FAILURE


def test_a_title_up_to_date_is_recorded_again_but_not_computed(
    any_dagster_catalogue: DagsterCatalogue, tmp_path: Path
):
    copy = any_dagster_catalogue.copy(tmp_path)
    before = modified(copy.store)
    with copy.instance() as instance:
        report = CatalogueRunner(copy.platform(), instance).run(["coffee"])
        assert report.failures == {}
        checks = [name.__name__ for name in CHECKS["shots"]]
        assert "coffee" in passed_partitions(instance, "shots", checks[0])
        made = logged(instance, report.run_ids, EventType.ASSET_MATERIALIZATION)
    written = [event.step_materialization_data.materialization for event in made]
    assert [each.partition for each in written] == ["coffee"] * len(SPECS)
    for each in written:
        assert each.metadata["state"].text.startswith("unchanged: same ")
    assert modified(copy.store) == before


def test_a_title_up_to_date_is_recomputed_on_request(
    dagster_catalogue: DagsterCatalogue, tmp_path: Path
):
    copy = dagster_catalogue.copy(tmp_path)
    before = modified(copy.store)
    with copy.instance() as instance:
        report = CatalogueRunner(copy.platform(), instance).run(["coffee"], Options(force=True))
        assert report.failures == {}
        made = logged(instance, report.run_ids, EventType.ASSET_MATERIALIZATION)
    for event in made:
        written = event.step_materialization_data.materialization
        assert (written.partition, written.metadata["state"].text) == ("coffee", "computed")
    assert len(made) == len(SPECS)
    after = modified(copy.store)
    changed = {path for path in before if after[path] != before[path]}
    assert {path.stem for path in changed} == {"coffee"}
    assert {path.parts[0] for path in changed} >= set(SPECS)
    assert select_titles(copy.platform(), list(GOOD)).work == []


def test_a_run_over_many_titles_checks_each_and_draws_nothing(
    any_dagster_catalogue: DagsterCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mediafm_assets.assets.title_events.MANY", len(GOOD) - 1)
    copy = any_dagster_catalogue.copy(tmp_path)
    with copy.instance() as instance:
        report = CatalogueRunner(copy.platform(), instance).run(GOOD)
        assert report.failures == {}
        for asset in SPECS:
            for name in (ACCEPTED, *(check.__name__ for check in CHECKS.get(asset, ()))):
                assert passed_partitions(instance, asset, name) == set(GOOD)
        for event in logged(instance, report.run_ids, EventType.ASSET_MATERIALIZATION):
            made = event.step_materialization_data.materialization
            assert not {"contact_sheet", "shot_similarity"} & made.metadata.keys()


def test_a_table_has_metadata_of_its_columns_rows_and_file(
    any_dagster_catalogue: DagsterCatalogue, instance: dg.DagsterInstance
):
    store = any_dagster_catalogue.platform().store
    for asset in SPECS:
        [record] = instance.fetch_materializations(dg.AssetKey(asset), limit=1).records
        assert record.asset_materialization is not None
        metadata = record.asset_materialization.metadata
        file = Path(urllib.request.url2pathname(urlsplit(metadata["dagster/uri"].value).path))
        assert file.is_file()
        assert file.is_relative_to(store.root.absolute())
        if file.suffix == ".parquet":
            table = pq.read_table(file, partitioning=None)
            columns = metadata["dagster/column_schema"].value.columns
            assert [column.name for column in columns] == table.column_names
            assert metadata["dagster/row_count"].value == table.num_rows
        pictures = sum(len(value.value) for value in metadata.values() if is_markdown(value))
        assert pictures < 300_000
        assert bool(pictures) == (asset in WITH_PICTURES)


def is_markdown(value: dg.MetadataValue) -> bool:
    return isinstance(value, dg.MarkdownMetadataValue)


def modified(store: Path) -> dict[Path, int]:
    """Return the time of each artefact's file; the published DuckDB file is no artefact."""
    return {
        path.relative_to(store): path.stat().st_mtime_ns
        for path in store.rglob("*")
        if path.suffix in (".parquet", ".json", ".flac", ".safetensors")
        and "dagster_home" not in path.parts
    }
