"""Dagster's UI and daemon as one process that a signal ends, with the runs that are under way."""

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

from mediafm_core.runtime.interruption import closing_with, stopping_within

STOP_S = 6.5
"""Seconds for all of Dagster's processes: a run takes up to 5 to record that it was cancelled."""

_CLOSING = "the UI, its daemon and their runs are stopped; the next start goes on with what is left"


def serve(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run Dagster's command until it ends; returns its exit code.

    Dagster by itself lets a run go on when the UI is ended, and its code server waits for it.

    Raises:
        KeyboardInterrupt: a signal came; all processes have been ended.
    """
    with closing_with(lambda: _CLOSING), stopping_within(STOP_S):
        dagster = subprocess.Popen(command, env=environment)
        try:
            return dagster.wait()
        except KeyboardInterrupt:
            _end_tree(psutil.Process(dagster.pid))
            raise


def _end_tree(root: psutil.Process) -> None:
    """Ask a process and all below it to end, and end those that have not in time."""
    with suppress(psutil.NoSuchProcess):
        processes = [root, *root.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, left = psutil.wait_procs(processes, timeout=STOP_S - 1)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
