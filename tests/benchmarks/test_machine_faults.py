"""Full disks and a failing service, in the small setting of their benchmarks."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_disk import NO_MOUNT, NoMountError, small_disk


def run_small(benchmark: str, folder: Path) -> list[dict[str, Any]]:
    found = folder / "found.json"
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--small", "--json", str(found)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    measured: list[dict[str, Any]] = json.loads(found.read_text())
    return measured


def test_full_disk(tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path / "disk", 4):
            pass
    except NoMountError:
        pytest.skip(NO_MOUNT)
    for each in run_small("full_disk", tmp_path):
        assert each["exit_code"] == 1
        assert "No space left on device" in each["sentence"]
        assert (each["quarantined"], each["differences"]) == (0, [])


def test_s3_faults(tmp_path: Path) -> None:
    [each] = run_small("s3_faults", tmp_path)
    assert each["faults"] > 20
    assert (each["quarantined"], each["differences"]) == (0, [])
