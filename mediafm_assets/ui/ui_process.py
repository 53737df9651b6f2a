"""Dagster's UI and daemon as one process that a signal ends, with the runs that are under way."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

import psutil

from mediafm_assets.ui.ui_server import token_pipe
from mediafm_core.runtime.interruption import closing_with, stopping_within

STOP_S = 6.5
"""Seconds for all of Dagster's processes: a run takes up to 5 to record that it was cancelled."""

_CLOSING = "the UI, its daemon and their runs are stopped; the next start goes on with what is left"


def serve(host: str, port: int, environment: Mapping[str, str], token: str | None) -> int:
    """Run Dagster's UI and daemon until they end; returns their exit code.

    Dagster by itself lets a run go on when the UI is ended, and its code server waits for it.

    Args:
        host: to listen on.
        port: to listen on.
        environment: of all processes.
        token: that the UI asks for; None asks for none.

    Raises:
        KeyboardInterrupt: a signal came; all processes have been ended.
    """
    pipe = [token_pipe(token)] if token else []
    command = [sys.executable, "-m", "mediafm_assets.ui.ui_server", "dev"]
    command += [part for end in pipe for part in ("--token-pipe", str(end))]
    command += ["-m", "mediafm_assets.definitions", "--host", host, "--port", str(port)]
    with closing_with(lambda: _CLOSING), stopping_within(STOP_S):
        dagster = subprocess.Popen(command, env=environment, pass_fds=pipe)
        for end in pipe:
            os.close(end)
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
