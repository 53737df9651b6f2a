"""Executor of all jobs: steps share the process, and a signal cancels the run.

Dagster's own in-process executor runs the steps. This one adds that SIGINT and SIGTERM mark the run
as cancelled, where Dagster by itself reports a failure unless its UI requested the termination, and
that a process which is too busy to handle the signal is ended.
"""

from collections.abc import Iterator

import dagster as dg

from mediafm_assets.dagster_internals import (
    DagsterEvent,
    ExecutionPlan,
    InProcessExecutor,
    PlanOrchestrationContext,
    RetryMode,
)
from mediafm_assets.tags import INTERRUPTED_TAG
from mediafm_core.runtime.interruption import (
    cleaning_up_with,
    exit_code,
    stopping_within,
    summary,
    watching_signals,
)

_GRACE_S = 3.0  # `mediafm ui` and service managers wait for the processes of runs


class InterruptibleExecutor(InProcessExecutor):
    """In-process executor whose runs an interrupt cancels."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        """Run the steps.

        Raises:
            DagsterExecutionInterruptedError, KeyboardInterrupt: a signal came; the run is marked as
                being cancelled, from which Dagster concludes that it is.
        """
        run, instance = plan_context.dagster_run, plan_context.instance

        def end() -> None:
            _record_interrupt(instance, run)
            instance.report_run_canceled(run, summary())
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)

        with watching_signals(), stopping_within(_GRACE_S), cleaning_up_with(end):
            try:
                yield from super().execute(plan_context, execution_plan)
            except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
                exit_code()  # the signal has a name once the watching thread has read it
                _record_interrupt(instance, run)
                raise


def _record_interrupt(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Mark a run as being cancelled, unless it was terminated in Dagster's UI."""
    now = instance.get_run_by_id(run.run_id)
    if now is not None and now.status == dg.DagsterRunStatus.STARTED:
        instance.add_run_tags(run.run_id, {INTERRUPTED_TAG: "true"})
        instance.report_run_canceling(run, summary())


@dg.executor(name="in_process")
def interruptible_executor(_context: dg.InitExecutorContext) -> InterruptibleExecutor:
    """Run the steps of a run in its process, which a signal ends within ten seconds."""
    return InterruptibleExecutor(retries=RetryMode.ENABLED)
