"""Every command of `benchmarks/` in its small setting, as a process of its own."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
COMMANDS = sorted(
    path.stem
    for path in (REPOSITORY / "benchmarks").glob("*.py")
    if re.search(r'^if __name__ == "__main__"', path.read_text(), re.MULTILINE)
)
# `test_machine_faults` runs these and checks their findings.
TESTED_THERE = {"full_disk", "s3_faults"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of inputs that all commands share."""
    return tmp_path_factory.mktemp("small_inputs")


def numbers(value: Any) -> Iterator[float]:
    """Yield all numbers of a JSON document."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def test_commands_are_found():
    assert {"ingest", "search", "training_speed"} <= set(COMMANDS)
    assert "living" not in COMMANDS
    assert set(COMMANDS) >= TESTED_THERE


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in TESTED_THERE])
def test_a_benchmark_runs_in_its_small_setting(name, inputs, tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    done = subprocess.run(
        [*command, "--small", str(inputs), "--json", str(file)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    figures = list(numbers(json.loads(file.read_text())))
    assert figures
    assert all(math.isfinite(figure) for figure in figures)
    assert re.search(r"\d", done.stdout), "the table"
    assert "Traceback" not in done.stderr
