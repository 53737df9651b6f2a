"""Dagster's border: a version of Dagster that changes an internal fails one of these tests."""

import ast
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.metadata import CodeReferencesMetadataSet, TableMetadataSet
from dagster._core.definitions.metadata.metadata_set import UriMetadataSet
from dagster._core.events import EngineEventData
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._grpc.client import DagsterGrpcClient
from postgres_server import Postgres
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

import mediafm_assets
from mediafm_assets import dagster_internals
from mediafm_assets.dagster_internals import (
    LOCATION,
    WITHOUT_EVENTS,
    create_run,
    execute,
    instance_in,
    process_in_events,
    record_failed_run,
    requested_backfills,
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
    print("reels made")
    yield dg.MaterializeResult(metadata=WITHOUT_EVENTS)
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
    """Query the runs of a job as the UI does, by the label of the repository."""
    run_id = run(instance)
    wanted = dg.RunsFilter(job_name="make_reels", tags={".dagster/repository": LABEL})
    [found] = instance.get_runs(wanted)
    assert found.run_id == run_id
    assert found.remote_job_origin is not None
    assert found.remote_job_origin.location_name == LOCATION
    assert found.tags["dagster/max_retries"] == "0"


@contextmanager
def counted(target: type, name: str) -> Iterator[list[object]]:
    """Collect the arguments with which SQLAlchemy reports an event."""
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


TAGS = {
    "ASSET_PARTITION_RANGE_END_TAG": "dagster/asset_partition_range_end",
    "ASSET_PARTITION_RANGE_START_TAG": "dagster/asset_partition_range_start",
    "DATA_VERSION_TAG": "dagster/data_version",
    "HIDDEN_TAG_PREFIX": ".dagster/",
    "MAX_RETRIES_TAG": "dagster/max_retries",
    "MAX_RUNTIME_SECONDS_TAG": "dagster/max_runtime",
    "PARTITION_NAME_TAG": "dagster/partition",
    "PRIORITY_TAG": "dagster/priority",
    "REPOSITORY": "__repository__",
    "RUN_KEY_TAG": "dagster/run_key",
    "SENSOR_NAME_TAG": "dagster/sensor_name",
    "WILL_RETRY_TAG": "dagster/will_retry",
}


@pytest.mark.parametrize("name", TAGS)
def test_a_tag_has_the_value_that_stored_runs_and_events_have(name: str):
    assert getattr(dagster_internals, name) == TAGS[name]


def test_dagster_reads_the_metadata_under_our_keys():
    columns = dg.TableSchema([dg.TableColumn("shot_index", "int")])
    source = dg.CodeReferencesMetadataValue(
        code_references=[dg.LocalFileCodeReference(file_path="a.py", line_number=1)]
    )
    metadata = {
        dagster_internals.URI: "file:///a.parquet",
        dagster_internals.ROW_COUNT: 2,
        dagster_internals.COLUMN_SCHEMA: columns,
        dagster_internals.CODE_REFERENCES: source,
    }
    assert UriMetadataSet.extract(metadata).uri == "file:///a.parquet"
    assert TableMetadataSet.extract(metadata).row_count == 2
    assert TableMetadataSet.extract(metadata).column_schema == columns
    assert CodeReferencesMetadataSet.extract(metadata).code_references == source


def test_an_output_without_events_leaves_only_those_that_the_step_has_logged(
    instance: dg.DagsterInstance,
):
    run_id = run(instance)
    kinds = [entry.dagster_event_type for entry in instance.all_logs(run_id)]
    assert kinds.count(dg.DagsterEventType.ASSET_MATERIALIZATION) == len(KEYS)
    assert dg.DagsterEventType.ASSET_OBSERVATION not in kinds


def test_the_process_of_a_run_is_in_dagsters_own_event(instance: dg.DagsterInstance):
    made = instance.get_run_by_id(run(instance))
    assert made is not None
    instance.report_engine_event("Started process for run.", made, EngineEventData.in_process(42))
    assert process_in_events(instance, made.run_id) == 42


def test_a_code_server_has_a_client_with_a_socket():
    made = inspect.getsource(GrpcServerCodeLocation.__init__)
    assert "self.client = DagsterGrpcClient(" in made
    assert DagsterGrpcClient(socket="/tmp/code_server").socket == "/tmp/code_server"


def test_a_requested_backfill_is_found_until_it_ends(instance: dg.DagsterInstance):
    for name, status in (("open", "REQUESTED"), ("done", "COMPLETED_SUCCESS")):
        instance.add_backfill(
            PartitionBackfill(
                backfill_id=name,
                status=BulkActionStatus[status],
                from_failure=False,
                tags={},
                backfill_timestamp=0.0,
            )
        )
    assert requested_backfills(instance) == ["open"]


def test_a_section_of_dagster_yaml_wins_over_a_default(tmp_path: Path):
    defaults = {"telemetry": {"enabled": True}, "nux": {"enabled": False}}
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with instance_in(tmp_path, defaults) as opened:
        assert not opened.telemetry_enabled
        assert not opened.nux_enabled


def test_the_compute_log_manager_keeps_the_output_of_steps(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    from mediafm_assets.resources.compute_logs import without_mirror

    (tmp_path / "dagster.yaml").touch()
    with instance_in(tmp_path, without_mirror(tmp_path)) as opened:
        opened.add_dynamic_partitions("titles", KEYS)
        run(opened)
    assert "reels made" not in capfd.readouterr().out
    written = [path.read_text() for path in (tmp_path / "storage").rglob("*.out")]
    assert written == ["reels made\n"]


def test_dagster_dev_starts_its_server_and_its_daemon_by_these_names():
    from dagster._cli import dev

    started = re.findall(r'"-m",?\s+"(dagster[\w.]*)"', inspect.getsource(dev))
    assert sorted(started) == [dagster_internals._DAEMON, dagster_internals._WEBSERVER]


def test_dagster_webserver_hosts_its_application_by_this_function():
    from dagster_webserver import cli

    signature = inspect.signature(cli.host_dagster_ui_with_workspace_process_context)
    assert list(signature.parameters)[:6] == [
        "workspace_process_context",
        "host",
        "port",
        "path_prefix",
        "log_level",
        "live_data_poll_rate",
    ]
    assert inspect.isasyncgenfunction(inspect.unwrap(cli._lifespan))


PRIVATE_MODULE = re.compile(r"dagster\w*(\.\w+)*\._\w+(\.\w+)*|dagster_(shared|webserver)(\.\w+)*")
INTERNAL_KEY = re.compile(r"\.?dagster/\w|__source_asset_observation__|__repository__")
FOLDER = Path(mediafm_assets.__file__).parent


def private_uses(file: Path) -> Iterator[str]:
    """Yield private imports of Dagster and internal keys in a file, but not in docstrings."""
    tree = ast.parse(file.read_text())
    sentences = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            key = INTERNAL_KEY.search(node.value) or PRIVATE_MODULE.fullmatch(node.value)
            if key and id(node) not in sentences:
                yield f"{file.name}:{node.lineno} {node.value}"
        yield from (
            f"{file.name}:{node.lineno} {name}" for name in found if PRIVATE_MODULE.fullmatch(name)
        )


def test_no_other_module_uses_internals_of_dagster():
    border = Path(dagster_internals.__file__)
    files = [file for file in FOLDER.rglob("*.py") if file != border]
    assert len(files) > 30
    assert [use for file in files for use in private_uses(file)] == []
    assert len(list(private_uses(border))) > 30, "the search finds what it is for"
