"""Launch of a data-parallel training in processes of its own.

torch's launcher starts the processes and ends them all when one fails. They connect on the loopback
interface and send progress events and errors as lines of JSON.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mediafm_core import errors
from mediafm_core.config.settings import Settings
from mediafm_core.config.store_settings import S3Settings
from mediafm_core.errors import ConfigurationError, MediaFMError

if TYPE_CHECKING:
    from mediafm_core.model.training.progress_events import Observer

_LINES_KEPT = 20  # of output that is not JSON, for an error
_SECRETS = {"text": {"api_key"}, "s3": {"access_key_id", "secret_access_key"}}


class Finished(NamedTuple):
    """Result of the processes."""

    identity: str
    seconds: float | None
    shots_per_second: float | None


def train_in_processes(
    settings: Settings,
    progress: "Observer | None" = None,
    command: Sequence[str] | None = None,
) -> Finished:
    """Train on a store with `training.processes` processes of this machine.

    Args:
        settings: with inbox and store.
        progress: called with every progress event.
        command: to start the processes; torch's launcher by default.

    Raises:
        MediaFMError: one of the processes raised it.
        ConfigurationError: a process ended without an error; has the last lines of the log.
    """
    from mediafm_core.model.training.progress_events import from_json

    with tempfile.TemporaryDirectory(prefix="mediafm-training-") as folder:
        file = Path(folder) / "settings.json"
        file.write_text(settings.model_dump_json(exclude=_SECRETS))
        launcher = subprocess.Popen(
            command or _command(settings.training.processes, file),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(settings.s3),
            start_new_session=True,
        )
        finished: Finished | None = None
        failure: MediaFMError | None = None
        output: deque[str] = deque(maxlen=_LINES_KEPT)
        try:
            for line in launcher.stdout or ():
                document = _document(line)
                if document is None:
                    output.append(line.rstrip())
                elif document["event"] == "finished":
                    document.pop("event")
                    finished = Finished(**document)
                elif document["event"] == "failed":
                    failure = failure or _failure(document)
                elif progress:
                    progress(from_json(document))
            launcher.wait()
        finally:
            if launcher.poll() is None:  # interrupted: the launcher ends its processes
                launcher.send_signal(signal.SIGTERM)
                launcher.wait()
    if failure is not None:
        raise failure
    if launcher.returncode or finished is None:
        raise ConfigurationError(
            f"A process of the training ended with {launcher.returncode} and without an error; "
            "train again to resume from the last checkpoint, the log ends: " + " | ".join(output)
        )
    return finished


def _command(processes: int, settings: Path) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    rendezvous = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    module = ["--local-addr", "127.0.0.1", "-m", "mediafm_core.cli.train_worker"]
    return [*launcher, *rendezvous, *module, "--json", "--settings", str(settings)]


def _environment(s3: S3Settings) -> dict[str, str]:
    environment = dict(os.environ)
    if s3.access_key_id and s3.secret_access_key:  # where AWS's credential chain finds them
        environment["AWS_ACCESS_KEY_ID"] = s3.access_key_id.get_secret_value()
        environment["AWS_SECRET_ACCESS_KEY"] = s3.secret_access_key.get_secret_value()
    environment.pop("MEDIAFM_CONFIG", None)  # all settings come from the file
    if sys.platform == "linux":
        environment |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    return environment


def _document(line: str) -> dict[str, Any] | None:
    """Parse the event in a line; None if it is something else."""
    if not line.startswith('{"event": '):
        return None
    try:
        document: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return document


def _failure(document: dict[str, Any]) -> MediaFMError:
    kind = getattr(errors, str(document["kind"]), ConfigurationError)
    return kind(document["reason"]) if issubclass(kind, MediaFMError) else ConfigurationError()
