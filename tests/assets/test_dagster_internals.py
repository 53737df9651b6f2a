"""Internals of Dagster that the project uses: a new version that changes one must fail here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from postgres_server import Postgres
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from mediafm_assets.dagster_internals import (
    LOCATION,
    create_run,
    execute,
    record_failed_run,
    stored_together,
    target_of_check,
)

TITLES = dg.DynamicPartitionsDefinition(name="titles")
KEYS = ["alpha", "beta", "gamma"]
RANGE = {
    "dagster/asset_partition_range_start": KEYS[0],
    "dagster/asset_partition_range_end": KEYS[-1],
}
LABEL = f"__repository__@{LOCATION}"


@dg.asset(
    partitions_def=TITLES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec("good", asset="reel", partitions_def=TITLES)],
)
def reel(context: dg.AssetExecutionContext) -> Iterator:
    with stored_together(context.instance):
        for key in context.partition_keys:
            context.log_event(dg.AssetMaterialization("reel", partition=key))
        made = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey("reel"), asset_partitions=context.partition_keys),
            limit=len(KEYS),
        )
        for record in made.records:
            context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey("reel"),
                    check_name="good",
                    passed=True,
                    partition=record.partition_key,
                    target_materialization_data=target_of_check(record),
                )
            )
    yield dg.MaterializeResult(metadata={"__source_asset_observation__": True})
    yield dg.AssetCheckResult(check_name="good", passed=True)


JOB = dg.define_asset_job("make_reels", "reel")
DEFS = dg.Definitions([reel], jobs=[JOB], executor=dg.in_process_executor)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("titles", KEYS)
        yield instance


def run(instance: dg.DagsterInstance) -> str:
    job = DEFS.resolve_job_def("make_reels")
    made = create_run(instance, job, RANGE)
    events = execute(instance, job, made)
    assert any(event.is_job_success for event in events)
    return made.run_id


def test_a_run_of_this_process_is_one_of_its_job(instance: dg.DagsterInstance):
    """As the UI asks for the runs of a job: by the label of the repository."""
    run_id = run(instance)
    wanted = dg.RunsFilter(job_name="make_reels", tags={".dagster/repository": LABEL})
    [found] = instance.get_runs(wanted)
    assert found.run_id == run_id
    assert found.remote_job_origin is not None
    assert found.remote_job_origin.location_name == LOCATION
    assert found.tags["dagster/max_retries"] == "0"


@contextmanager
def counted(target: type, name: str) -> Iterator[list[object]]:
    """Collect what SQLAlchemy reports of an event."""
    seen: list[object] = []

    def listen(*arguments: object) -> None:
        seen.append(arguments)

    sqlalchemy_event.listen(target, name, listen)
    try:
        yield seen
    finally:
        sqlalchemy_event.remove(target, name, listen)


def report(instance: dg.DagsterInstance, times: int) -> None:
    for _ in range(times):
        instance.report_runless_asset_event(dg.AssetMaterialization("reel", partition="alpha"))


def test_events_of_a_block_are_stored_in_one_transaction(instance: dg.DagsterInstance):
    report(instance, 1)  # the databases are there
    with counted(Engine, "commit") as together, stored_together(instance):
        report(instance, 10)
    with counted(Engine, "commit") as alone:
        report(instance, 1)
    assert len(together) == 2  # one for events of no run, one for the index
    assert len(alone) == 2


def test_a_block_that_fails_stores_nothing(instance: dg.DagsterInstance):
    def fail() -> None:
        with stored_together(instance):
            report(instance, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not instance.get_materialized_partitions(dg.AssetKey("reel"))
    run(instance)  # and goes on
    assert instance.get_materialized_partitions(dg.AssetKey("reel")) == set(KEYS)


def test_a_check_that_names_its_materialisation_has_passed_for_its_partition(
    instance: dg.DagsterInstance,
):
    run(instance)
    infos = instance.event_log_storage.get_asset_check_partition_info(
        [dg.AssetCheckKey(dg.AssetKey("reel"), "good")]
    )
    passed = {
        info.partition_key: (info.latest_execution_status.value, info.is_current) for info in infos
    }
    assert {key: passed[key] for key in KEYS} == dict.fromkeys(KEYS, ("SUCCEEDED", True))


def test_a_failed_run_fails_the_partition_it_was_to_materialise(instance: dg.DagsterInstance):
    made = instance.get_run_by_id(run(instance))
    assert made is not None
    tags = {"dagster/partition": "beta"}
    job = DEFS.resolve_job_def("make_reels")
    failed = record_failed_run(instance, made, job, [dg.AssetKey("reel")], tags, "beta is torn.")
    wanted = dg.RunsFilter([failed.run_id], tags={".dagster/repository": LABEL})
    [found] = instance.get_runs(wanted)
    assert found.status == dg.DagsterRunStatus.FAILURE
    statuses = instance.get_status_by_partition(dg.AssetKey("reel"), KEYS, TITLES)
    assert statuses is not None
    names = {key: status and status.name for key, status in statuses.items()}
    assert names == {"alpha": "MATERIALIZED", "beta": "FAILED", "gamma": "MATERIALIZED"}


def test_postgres_keeps_its_connection_within_a_block(postgres: Postgres, tmp_path: Path):
    address = {**postgres.address(postgres.create("kept")), "scheme": "postgresql+psycopg2"}
    home = {"storage": {"postgres": {"postgres_db": address}}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=home) as instance:
        with counted(Pool, "connect") as plain:
            report(instance, 10)
        with counted(Pool, "connect") as kept, stored_together(instance):
            report(instance, 10)
        assert len(kept) <= 1
        assert len(plain) > 10
        postgres.create("copied", copy_of="kept")  # refused while a connection is open
        assert instance.get_materialized_partitions(dg.AssetKey("reel")) == {"alpha"}
