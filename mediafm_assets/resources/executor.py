"""The executor of all jobs: steps share the process, and a signal cancels the run.

Dagster's own in-process executor runs the steps. Around it, SIGINT and SIGTERM mark the run as
cancelled, where Dagster by itself reports a failure unless the request came through its UI, and end
a process that is too busy to notice.
"""

from collections.abc import Iterator

import dagster as dg
from dagster._core.events import DagsterEvent
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

from mediafm_core.runtime.interruption import (
    cleaning_up_with,
    exit_code,
    stopping_within,
    summary,
    watching_signals,
)

INTERRUPTED = "mediafm/interrupted"
"""Tag of a run that a signal has ended, and not a person in Dagster's UI."""

_GRACE_S = 3.0  # `mediafm ui` and service managers wait for the processes of runs


class InterruptibleExecutor(InProcessExecutor):
    """Steps in one process; an interrupt cancels the run."""

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
    """Mark a run as being cancelled, unless Dagster's UI has asked for that."""
    now = instance.get_run_by_id(run.run_id)
    if now is not None and now.status == dg.DagsterRunStatus.STARTED:
        instance.add_run_tags(run.run_id, {INTERRUPTED: "true"})
        instance.report_run_canceling(run, summary())


@dg.executor(name="in_process")
def interruptible_executor(_context: dg.InitExecutorContext) -> InterruptibleExecutor:
    """Run the steps of a run in its process, which a signal ends within ten seconds."""
    return InterruptibleExecutor(retries=RetryMode.ENABLED)
