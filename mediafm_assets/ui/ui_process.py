"""Process of Dagster's UI and daemon, which a signal ends together with their runs."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

import psutil

from mediafm_assets.ui.ui_server import token_pipe
from mediafm_core.runtime.interruption import closing_with, stopping_within

STOP_S = 6.5
"""Seconds in which all of Dagster's processes end: a run takes up to 5 to record that it was
cancelled."""

_CLOSING = "the UI, its daemon and their runs are stopped; the next start resumes the work"


def serve(host: str, port: int, environment: Mapping[str, str], token: str | None) -> int:
    """Run Dagster's UI and daemon until they end; returns their exit code.

    Dagster by itself lets runs continue when the UI is ended, and its code server waits for them.

    Args:
        host: to listen on.
        port: to listen on.
        environment: of all processes.
        token: that the UI requires; None requires none.

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
    """Terminate a process and its descendants, and kill those that have not ended in time."""
    with suppress(psutil.NoSuchProcess):
        processes = [root, *root.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, left = psutil.wait_procs(processes, timeout=STOP_S - 1)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
