"""Titles whose work ends the process: held back after some deaths, without holding others back."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mediafm_core.errors import TitleError
from mediafm_core.pipeline.attempts import MOST_DEATHS, Attempts

_DIES = """
import os, signal, sys
from pathlib import Path
from mediafm_core.pipeline.attempts import Attempts
with Attempts(Path(sys.argv[1])).attempt(sys.argv[2], sys.argv[3]):
    print("at work", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def at_work(folder: Path, title_id: str, asset: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", _DIES, str(folder), title_id, asset],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    return process


def die(folder: Path, title_id: str = "cat", asset: str = "shots") -> None:
    process = at_work(folder, title_id, asset)
    process.communicate("\n")
    assert process.returncode == -signal.SIGKILL


def test_a_title_that_ends_its_process_every_time_is_held_back(tmp_path: Path):
    attempts = Attempts(tmp_path)
    for _ in range(MOST_DEATHS):
        with pytest.raises(ZeroDivisionError), attempts.attempt("dog", "shots"):
            raise ZeroDivisionError
        die(tmp_path)
    said = r"cat: the process that computed shots ended .* 3 times .* --titles cat --retry"
    with pytest.raises(TitleError, match=said), attempts.attempt("cat", "shots"):
        pytest.fail("the work was begun")
    with attempts.attempt("dog", "shots"):
        pass
    attempts.forget("cat")
    with attempts.attempt("cat", "shots"):
        pass


def test_work_that_ends_well_wipes_out_earlier_deaths(tmp_path: Path):
    attempts = Attempts(tmp_path)
    for _ in range(MOST_DEATHS):
        for _ in range(MOST_DEATHS - 1):
            die(tmp_path)
        with attempts.attempt("cat", "shots"):
            pass


def test_deaths_at_another_asset_are_counted_apart(tmp_path: Path):
    for _ in range(MOST_DEATHS - 1):
        die(tmp_path, asset="shots")
    die(tmp_path, asset="video_embeddings")
    with Attempts(tmp_path).attempt("cat", "video_embeddings"):
        pass


def test_a_process_that_is_at_work_on_the_same_title_is_not_dead(tmp_path: Path):
    attempts = Attempts(tmp_path)
    for _ in range(MOST_DEATHS + 1):
        process = at_work(tmp_path, "cat", "shots")
        with attempts.attempt("cat", "shots"):
            pass
        process.kill()
        process.wait()
        process.communicate()


def test_a_process_that_was_given_the_dead_ones_number_is_another(tmp_path: Path):
    note = {"asset": "shots", "deaths": MOST_DEATHS - 1, "process": os.getpid(), "started": 1.0}
    (tmp_path / "cat.json").write_text(json.dumps(note))
    with pytest.raises(TitleError), Attempts(tmp_path).attempt("cat", "shots"):
        pytest.fail("the work was begun")


def test_a_note_that_a_power_cut_has_spoilt_stops_nobody(tmp_path: Path):
    (tmp_path / "cat.json").write_text('{"asset"')
    with Attempts(tmp_path).attempt("cat", "shots"):
        pass
