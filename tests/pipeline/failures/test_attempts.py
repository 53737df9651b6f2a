"""Work that kills its process: only deaths caused by the work count against the title."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mediafm_core.errors import TitleError
from mediafm_core.pipeline.failures.attempts import MAX_DEATHS, AttemptNote, Attempts
from mediafm_core.runtime.process import ProcessMark, out_of_memory_kills

_WORK = """
import ctypes, sys
from pathlib import Path
from mediafm_core.pipeline.failures.attempts import Attempts
with Attempts(Path(sys.argv[1])).attempt(sys.argv[2], sys.argv[3]):
    print("at work", flush=True)
    order = sys.stdin.readline().strip()
    if order == "crash":
        ctypes.string_at(0)
    if order == "bloat":
        hoard = []
        while True:
            hoard.append(bytearray(b"x" * 2**20))
"""


def at_work(folder: Path, title_id: str = "cat", asset: str = "shots") -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", _WORK, str(folder), title_id, asset],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    return process


def crash(folder: Path, title_id: str = "cat", asset: str = "shots") -> None:
    process = at_work(folder, title_id, asset)
    process.communicate("crash\n")
    assert process.returncode == -signal.SIGSEGV


def end_from_outside(folder: Path, number: signal.Signals = signal.SIGKILL) -> None:
    process = at_work(folder)
    process.send_signal(number)
    process.wait()
    process.communicate()
    assert process.returncode == -number


def test_work_that_always_crashes_its_process_is_refused_with_the_cause(tmp_path: Path):
    attempts = Attempts(tmp_path)
    for _ in range(MAX_DEATHS):
        with pytest.raises(ZeroDivisionError), attempts.attempt("dog", "shots"):
            raise ZeroDivisionError
        crash(tmp_path)
    expected = r"cat: computing shots .* 3 times.*Segmentation fault.*crashes.*--titles cat --retry"
    with pytest.raises(TitleError, match=expected), attempts.attempt("cat", "shots"):
        pytest.fail("the work was begun")
    with attempts.attempt("dog", "shots"):
        pass
    attempts.forget("cat")
    with attempts.attempt("cat", "shots"):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_process_ended_from_outside_never_counts(tmp_path: Path, number: signal.Signals):
    for _ in range(MAX_DEATHS + 2):
        end_from_outside(tmp_path, number)
    with Attempts(tmp_path).attempt("cat", "shots"):
        pass


def test_a_process_ended_from_outside_does_not_reset_the_count(tmp_path: Path):
    for _ in range(MAX_DEATHS):
        end_from_outside(tmp_path)
        crash(tmp_path)
    with pytest.raises(TitleError), Attempts(tmp_path).attempt("cat", "shots"):
        pytest.fail("the work was begun")


def test_work_that_runs_out_of_memory_counts(tmp_path: Path):
    group = Path("/sys/fs/cgroup/memory") / f"mediafm_test_{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(300 * 2**20))
    except OSError as error:
        pytest.skip(f"no control group for memory can be made here: {error}")
    before = out_of_memory_kills()
    try:
        for _ in range(MAX_DEATHS):
            process = at_work(tmp_path)
            (group / "cgroup.procs").write_text(str(process.pid))
            process.communicate("bloat\n")
            assert process.returncode == -signal.SIGKILL
    finally:
        group.rmdir()
    if out_of_memory_kills() == before:
        pytest.skip("the kernel does not count what it ends for lack of memory")
    said = "memory ran out"
    with pytest.raises(TitleError, match=said), Attempts(tmp_path).attempt("cat", "shots"):
        pytest.fail("the work was begun")


def test_finished_work_resets_the_count_of_crashes(tmp_path: Path):
    attempts = Attempts(tmp_path)
    for _ in range(MAX_DEATHS):
        for _ in range(MAX_DEATHS - 1):
            crash(tmp_path)
        with attempts.attempt("cat", "shots"):
            pass


def test_crashes_are_counted_per_asset(tmp_path: Path):
    for _ in range(MAX_DEATHS - 1):
        crash(tmp_path, asset="shots")
    crash(tmp_path, asset="video_embeddings")
    with Attempts(tmp_path).attempt("cat", "video_embeddings"):
        pass


def test_a_running_process_on_the_same_title_counts_as_alive(tmp_path: Path):
    attempts = Attempts(tmp_path)
    for _ in range(MAX_DEATHS + 1):
        process = at_work(tmp_path)
        with attempts.attempt("cat", "shots"):
            pass
        process.kill()
        process.wait()
        process.communicate()


@pytest.mark.parametrize("field", ["host", "boot", "namespace"])
def test_a_process_of_another_host_or_boot_does_not_count(tmp_path: Path, field: str):
    """The same process id may be another process there, and its end cannot be observed here."""
    mark = ProcessMark.of_this_process().model_copy(update={field: "elsewhere"})
    note = AttemptNote(
        asset="shots", process=mark, deaths=MAX_DEATHS - 1, memory_kills=-1, crash_report="none"
    )
    (tmp_path / "cat.json").write_text(note.model_dump_json())
    with Attempts(tmp_path).attempt("cat", "shots"):
        pass


def test_a_reused_process_id_is_recognised(tmp_path: Path):
    mark = ProcessMark.of_this_process()
    assert mark.state == "alive"
    assert mark.model_copy(update={"started": 1.0}).state == "dead"


def test_a_damaged_note_is_ignored(tmp_path: Path):
    (tmp_path / "cat.json").write_text('{"asset"')
    with Attempts(tmp_path).attempt("cat", "shots"):
        pass


def test_reports_of_processes_that_did_not_crash_are_removed(tmp_path: Path):
    end_from_outside(tmp_path)
    process = at_work(tmp_path)
    process.communicate("\n")
    assert process.returncode == 0
    assert list((tmp_path / "crashes").iterdir()) == []
