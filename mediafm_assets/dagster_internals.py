"""Dagster's border: every tag, private import and internal key of Dagster that the project uses.

No other module of `mediafm_assets` imports a private module of Dagster or spells one of its keys.
Dagster is pinned exactly (pyproject.toml), and `tests/assets/test_dagster_internals.py` fails if a
later version changes one of them. Each is here because the public interface has no replacement:

- *tags* of runs and events that Dagster reads or writes, and the prefix that the UI hides;
- *metadata keys* under which the UI shows the rows, columns, file and source of an asset;
- the *origin of a run*, which links it to its job in the UI: `JobDefinition.execute_in_process`
  sets none, so that its runs show under no job and not on the timeline;
- *storing many events together*: for each event the SQLite storage opens two to four connections
  and transactions, about 10 ms, PostgreSQL's as many connections, and neither has a batch for
  checks;
- the *materialisation that an asset check was evaluated on*: without it the UI shows the check of
  a partition as missing, and Dagster itself fills it in only for runs over a single partition;
- a *failed run that was never executed*, and the assets that it was to materialise;
- the *process of a run*, from Dagster's own events, and the code server that starts it;
- *base classes* of the launcher, the executor and the compute logs, which Dagster loads by name;
- the *instance of a folder* with overrides of its `dagster.yaml`;
- the *commands* `dagster dev` and `dagster-webserver`, with this project's server in between.
"""

# ruff: noqa: F401 - the other modules of `mediafm_assets` import these names from here.

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._check import CheckError
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.data_version import DATA_VERSION_TAG  # of events
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.repository_definition.valid_definitions import (
    SINGLETON_REPOSITORY_NAME,
)
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    JobFailureData,
    RunFailureReason,
)
from dagster._core.execution.api import execute_run_iterator
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.event_log import EventLogStorage, SqliteEventLogStorage
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,  # last partition of a run, in the order of registration
    ASSET_PARTITION_RANGE_START_TAG,  # first partition of a run
    HIDDEN_TAG_PREFIX,  # the UI shows no tag whose name begins with it
    MAX_RETRIES_TAG,  # how often the daemon starts a failed run again
    MAX_RUNTIME_SECONDS_TAG,  # run monitoring ends a run after so many seconds
    PARTITION_NAME_TAG,  # partition of a run over a single one
    PRIORITY_TAG,  # the run queue starts runs with a larger number first
    RUN_KEY_TAG,  # Dagster drops a second run with the same key
    SENSOR_NAME_TAG,  # sensor that requested a run
    WILL_RETRY_TAG,  # "true" on a failed run that the daemon starts again
)
from dagster._serdes import ConfigurableClassData
from dagster._utils import touch_file
from dagster._utils.error import SerializableErrorInfo
from sqlalchemy.engine import Connection

# Keys of metadata that the UI shows in places of their own.
URI = "dagster/uri"
ROW_COUNT = "dagster/row_count"
COLUMN_SCHEMA = "dagster/column_schema"
CODE_REFERENCES = "dagster/code_references"

NO_RETRY = {MAX_RETRIES_TAG: "0"}
"""Tag that keeps the daemon from starting a failed run again."""
WITHOUT_EVENTS = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
"""Metadata of an output for which Dagster records no event of its own."""

LOCATION = "mediafm_assets.definitions"
"""The code location that `mediafm ui` and workspace.yaml load: the module's name."""
REPOSITORY = SINGLETON_REPOSITORY_NAME
"""Dagster's name for the definitions of a module that names no repository."""

_PROCESS = "pid"  # metadata of the event that notes the process of a run
_REENTRANT = type(threading.RLock())
_RECYCLE_S, _CONNECTIONS = 3600, 20  # of a pool of connections to PostgreSQL
_WEBSERVER, _DAEMON = "dagster_webserver", "dagster._daemon"  # modules that `dagster dev` starts


def create_run(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    tags: Mapping[str, str],
    run_config: Mapping[str, object] | None = None,
    assets: Sequence[dg.AssetKey] | None = None,
) -> dg.DagsterRun:
    """Create a run that the UI lists under its job, to be executed by this process.

    The daemon does not start such a run again after a failure; the caller may.

    Args:
        instance: records the run.
        job: the job.
        tags: of the run, including those of its partitions.
        run_config: configuration of the run.
        assets: assets of the job that the run is limited to.
    """
    here = RegisteredCodeLocationOrigin(LOCATION)
    with stored_together(instance):  # Dagster records every asset of every title as planned
        return instance.create_run_for_job(
            job,
            run_config=run_config,
            tags={**job.run_tags, **tags, **NO_RETRY},
            asset_selection=frozenset(assets) if assets else None,
            remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(here, REPOSITORY), job.name),
        )


def execute(
    instance: dg.DagsterInstance, job: dg.JobDefinition, run: dg.DagsterRun
) -> list[DagsterEvent]:
    """Execute a run of a job in this process, and return its events."""
    return list(execute_run_iterator(InMemoryJob(job), run, instance))


def record_failed_run(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    job: dg.JobDefinition,
    assets: Sequence[dg.AssetKey],
    tags: Mapping[str, str],
    reason: str,
) -> dg.DagsterRun:
    """Record a run of one partition that has failed for a known reason.

    It executes nothing and plans no check.

    Args:
        instance: records the run.
        run: the run whose configuration and place in the UI it takes.
        job: the job of that run.
        assets: the assets that it fails to materialise.
        tags: of the failed run, including that of its partition (`PARTITION_NAME_TAG`).
        reason: the UI shows it as the reason of the failure.
    """
    failed = instance.create_run(
        job_name=run.job_name,
        run_id=None,
        run_config=run.run_config,
        status=dg.DagsterRunStatus.FAILURE,  # from the first: a kill leaves no run under way
        tags={**tags, **NO_RETRY},
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=None,
        execution_plan_snapshot=None,
        job_snapshot=job.get_job_snapshot(),
        parent_job_snapshot=job.get_parent_job_snapshot(),
        asset_selection=frozenset(assets),
        asset_check_selection=None,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=run.remote_job_origin,
        job_code_origin=None,
        asset_graph=job.asset_layer.asset_graph,
    )
    with stored_together(instance):
        for key in assets:
            planned = AssetMaterializationPlannedData(key, tags[PARTITION_NAME_TAG])
            event = DagsterEvent.build_asset_materialization_planned_event(
                run.job_name, key.to_python_identifier(), planned
            )
            instance.report_dagster_event(event, failed.run_id, logging.DEBUG)
        message = f"Not executed: run {run.run_id} has found why it fails."
        started = DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name, message=message)
        instance.report_dagster_event(started, failed.run_id)
        failure = JobFailureData(error=None, failure_reason=RunFailureReason.STEP_FAILURE)
        instance.report_run_failed(failed, reason, failure)
    return failed


def target_of_check(
    materialisation: dg.EventLogRecord,
) -> AssetCheckEvaluationTargetMaterializationData:
    """Return the reference by which a check names the materialisation that it was evaluated on."""
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=materialisation.storage_id,
        run_id=materialisation.run_id,
        timestamp=materialisation.timestamp,
    )


@contextmanager
def stored_together(instance: dg.DagsterInstance) -> Iterator[None]:
    """Store the events that this thread reports within the block at a fraction of the usual cost.

    In SQLite they are stored in one transaction: all of them, or none if the block fails. Other
    processes wait for their turn to write meanwhile, so keep it short: compute first, then report.

    Any other storage (PostgreSQL) stores each event as it comes, over one connection. With a long
    transaction there, readers that follow the ids of events, such as sensors, would miss those that
    are committed late.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        with _kept_connection(storage):
            yield
        return
    if "_connect" in vars(storage):  # within another block
        yield
        return
    with _lock_of(storage), ExitStack() as connections:
        connect: Callable[[str], AbstractContextManager[Connection]] = storage._connect
        opened: dict[str, Connection] = {}

        @contextmanager
        def shared(shard: str) -> Iterator[Connection]:
            if shard not in opened:
                opened[shard] = connections.enter_context(connect(shard))
            yield opened[shard]

        storage._connect = shared  # type: ignore[method-assign]
        storage.has_table = cache(storage.has_table)  # type: ignore[method-assign]
        try:
            yield
        finally:
            del storage._connect, storage.has_table


@contextmanager
def _kept_connection(storage: EventLogStorage) -> Iterator[None]:
    """Let a storage keep its connection from event to event, as Dagster's web server does."""
    before = getattr(storage, "_engine", None)
    keep_connections(storage)
    pooled = getattr(storage, "_engine", None)
    try:
        yield
    finally:
        if pooled is not None and pooled is not before:
            storage.__dict__["_engine"] = before
            pooled.dispose()


def _lock_of(storage: SqliteEventLogStorage) -> AbstractContextManager[object]:
    """Return the lock of a storage's connections as one that a thread can take repeatedly."""
    lock: Any = storage._db_lock
    if not isinstance(lock, _REENTRANT):
        with lock:
            lock = storage.__dict__["_db_lock"] = threading.RLock()
    return lock


def keep_connections(storage: dg.DagsterInstance | EventLogStorage) -> None:
    """Let an instance or its storage reuse connections to PostgreSQL, as Dagster's web server does.

    Otherwise each statement opens one: 39 ms for an event, 16 with it.
    """
    storage.optimize_for_webserver(
        statement_timeout=0, pool_recycle=_RECYCLE_S, max_overflow=_CONNECTIONS
    )


def requested_backfills(instance: dg.DagsterInstance) -> list[str]:
    """Return the ids of the backfills that still request runs."""
    unfinished = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    return [backfill.backfill_id for backfill in instance.get_backfills(filters=unfinished)]


def process_in_events(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """Return the id of the last process that executed a run, from Dagster's own events."""
    found = None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        noted = event.engine_event_data.metadata.get(_PROCESS) if event else None
        if noted is not None:
            found = int(str(noted.value))
    return found


def code_server_socket(context: LaunchRunContext) -> str | None:
    """Return the Unix socket of the code server that will start a run's process, if it has one."""
    # Imported here: it takes long, and most processes launch nothing.
    from dagster._core.remote_representation.code_location import GrpcServerCodeLocation

    origin = context.dagster_run.remote_job_origin
    if origin is None or context.workspace is None:
        return None
    location = context.workspace.get_code_location(
        origin.repository_origin.code_location_origin.location_name
    )
    return location.client.socket if isinstance(location, GrpcServerCodeLocation) else None


def instance_in(home: Path, defaults: Mapping[str, object]) -> dg.DagsterInstance:
    """Open the instance of a folder.

    Args:
        home: folder with a `dagster.yaml`.
        defaults: sections of that file, used where it has none of the same name.
    """
    configured, _ = dagster_instance_config(str(home))
    missing = {name: section for name, section in defaults.items() if name not in configured}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=missing))


def run_dagster_dev(
    arguments: Sequence[str], server: Sequence[str], server_fds: Sequence[int], name: str
) -> None:
    """Run `dagster dev` with another web server in place of Dagster's own.

    Args:
        arguments: of `dagster dev`.
        server: module of the server and its first arguments, before those that Dagster passes.
        server_fds: file descriptors that the server inherits.
        name: of the command, for its usage errors.

    Raises:
        KeyError: Dagster starts a module other than its web server and its daemon. It is refused,
            since it might be the same server under another name.
    """
    from dagster._cli import dev

    start = dev.open_ipc_subprocess
    replacements = {_WEBSERVER: (list(server), list(server_fds)), _DAEMON: ([_DAEMON], [])}

    def start_replaced(command: list[str], pass_fds: Sequence[int] = (), **options: Any) -> Any:
        python, dash_m, module, *rest = command
        ours, inherited = replacements[module]
        return start([python, dash_m, *ours, *rest], pass_fds=[*pass_fds, *inherited], **options)

    dev.open_ipc_subprocess = start_replaced  # type: ignore[assignment]
    dev.dev_command.main(list(arguments), prog_name=name)


def run_dagster_webserver(
    arguments: Sequence[str],
    serve: Callable[[Callable[[], Any], str, int, str, str], None],
    name: str,
) -> None:
    """Run `dagster-webserver`, whose application another function serves.

    Args:
        arguments: of `dagster-webserver`.
        serve: gets a function that makes Dagster's ASGI application, the host, the port, the
            prefix of paths, and the log level.
        name: of the command, for its usage errors.
    """
    from dagster_webserver import cli

    def host_application(
        context: Any,
        host: str | None,
        port: int | None,
        path_prefix: str,
        log_level: str,
        live_data_poll_rate: int | None = None,
    ) -> None:
        def application() -> Any:
            return cli.create_app_from_workspace_process_context(
                context, path_prefix, live_data_poll_rate, lifespan=cli._lifespan
            )

        serve(
            application,
            host or cli.DEFAULT_WEBSERVER_HOST,
            port or cli.DEFAULT_WEBSERVER_PORT,
            path_prefix,
            log_level,
        )

    cli.host_dagster_ui_with_workspace_process_context = host_application  # type: ignore[assignment]
    cli.dagster_webserver.main(
        list(arguments), prog_name=name, auto_envvar_prefix="DAGSTER_WEBSERVER"
    )
