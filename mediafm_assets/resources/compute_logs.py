"""Compute logs of steps, kept for Dagster's UI without a copy to the terminal.

Dagster's own manager mirrors the output of steps to the terminal through four processes per run. In
a command with a progress bar these lines would cross the bar, and on Ctrl-C, which a terminal sends
to every process of the command, the processes end with tracebacks.
"""

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mediafm_assets.dagster_internals import (
    IO_TYPE_EXTENSION,
    CapturedLogContext,
    ComputeIOType,
    ConfigurableClassData,
    LocalComputeLogManager,
    redirect_to_file,
    touch_file,
)


class UnmirroredComputeLogManager(LocalComputeLogManager):
    """Compute log manager that writes the output of steps to local files and nowhere else."""

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
    """Return the section of a `dagster.yaml` that keeps the output of steps off the terminal.

    Args:
        home: folder of the instance; the files are in its folder `storage`.
    """
    return {
        "compute_logs": {
            "module": __name__,
            "class": UnmirroredComputeLogManager.__name__,
            "config": {"base_dir": str(home / "storage")},
        }
    }
