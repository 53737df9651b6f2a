"""Parts of Dagster that are not public and that the project cannot do without.

Dagster is pinned, and `tests/assets/test_dagster_internals.py` fails if a later version changes
one of them:

- the origin of a run, which links it to its job in the UI: `JobDefinition.execute_in_process`
  sets none, so that its runs show under no job and not on the timeline;
- storing many events together: for each event the SQLite storage opens two to four connections
  and transactions, about 10 ms, PostgreSQL's as many connections, and neither has a batch for
  checks;
- the materialisation that an asset check was evaluated on: without it the UI shows the check of a
  partition as missing, and Dagster itself fills it in only for runs over a single partition;
- a run that has failed without being executed, and what it was to materialise.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    JobFailureData,
    RunFailureReason,
)
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.event_log import EventLogStorage, SqliteEventLogStorage
from sqlalchemy.engine import Connection

LOCATION = "mediafm_assets.definitions"
"""The code location that `mediafm ui` and workspace.yaml load: the module's name."""
REPOSITORY = "__repository__"  # Dagster's name for what a module defines without one
_NO_RETRY = {"dagster/max_retries": "0"}
_REENTRANT = type(threading.RLock())


def create_run(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    tags: Mapping[str, str],
    run_config: Mapping[str, object] | None = None,
    assets: Sequence[dg.AssetKey] | None = None,
) -> dg.DagsterRun:
    """Create a run that the UI lists under its job, to be executed by this process.

    The daemon does not start such a run again after a failure: whoever started it does.

    Args:
        instance: records the run.
        job: the job.
        tags: of the run; those of its partitions among them.
        run_config: configuration of the run.
        assets: assets of the job that the run is limited to.
    """
    here = RegisteredCodeLocationOrigin(LOCATION)
    with stored_together(instance):  # Dagster records every asset of every title as planned
        return instance.create_run_for_job(
            job,
            run_config=run_config,
            tags={**job.run_tags, **tags, **_NO_RETRY},
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
    """Record a run of one partition that has failed for a reason that is known already.

    Nothing is executed, and no check is planned.

    Args:
        instance: records the run.
        run: what it takes its configuration and its place in the UI from.
        job: the job of that run.
        assets: what it does not materialise.
        tags: of the run; that of its partition, `dagster/partition`, among them.
        reason: shown where the run has failed.
    """
    failed = instance.create_run(
        job_name=run.job_name,
        run_id=None,
        run_config=run.run_config,
        status=dg.DagsterRunStatus.FAILURE,  # from the first: a kill leaves no run under way
        tags={**tags, **_NO_RETRY},
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
            planned = AssetMaterializationPlannedData(key, tags["dagster/partition"])
            event = DagsterEvent.build_asset_materialization_planned_event(
                run.job_name, key.to_python_identifier(), planned
            )
            instance.report_dagster_event(event, failed.run_id, logging.DEBUG)
        said = f"Not executed: run {run.run_id} has found why it fails."
        started = DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name, message=said)
        instance.report_dagster_event(started, failed.run_id)
        of_a_step = JobFailureData(error=None, failure_reason=RunFailureReason.STEP_FAILURE)
        instance.report_run_failed(failed, reason, of_a_step)
    return failed


def target_of_check(
    materialisation: dg.EventLogRecord,
) -> AssetCheckEvaluationTargetMaterializationData:
    """Name a materialisation as what a check was evaluated on."""
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

    Any other storage (PostgreSQL) stores each event as it comes, over one connection. A long
    transaction there would let readers that follow the ids of events, such as sensors, miss those
    that are committed late.
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
    storage.optimize_for_webserver(statement_timeout=0, pool_recycle=3600, max_overflow=20)
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
