"""Output of steps, kept for Dagster's pages without a copy to the terminal.

Dagster's own manager mirrors what steps print to the terminal through four processes a run. In a
command that shows a progress bar these lines would cross it, and on Ctrl-C, which a terminal sends
to every process of the command, they end with tracebacks.
"""

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)
from dagster._serdes import ConfigurableClassData
from dagster._utils import touch_file


class UnmirroredComputeLogManager(LocalComputeLogManager):
    """Files for what steps print, as Dagster's local manager keeps them."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "UnmirroredComputeLogManager":
        """Make one from the configuration of an instance."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext, None, None]:
        """Write stdout and stderr of this process to files while the block runs."""
        files = (
            Path(self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind]))
            for kind in (ComputeIOType.STDOUT, ComputeIOType.STDERR)
        )
        output, errors = files
        output.parent.mkdir(parents=True, exist_ok=True)
        with (
            redirect_to_file(sys.stdout, str(output)),
            redirect_to_file(sys.stderr, str(errors)),
        ):
            yield CapturedLogContext(log_key)
        touch_file(self.complete_artifact_path(log_key))


def without_mirror(home: Path) -> dict[str, Any]:
    """Return the override of an instance in a folder that keeps output out of the terminal."""
    return {
        "compute_logs": {
            "module": __name__,
            "class": UnmirroredComputeLogManager.__name__,
            "config": {"base_dir": str(home / "storage")},
        }
    }
