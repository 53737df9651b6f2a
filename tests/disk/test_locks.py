"""Locks between processes, which the system frees, and files that are there only while locked."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mediafm_core.disk.locks import acquire, locked, locked_if_free

_HOLD = """
import sys
from pathlib import Path
from mediafm_core.disk import locks
with getattr(locks, sys.argv[1])(Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder():
    """Starts processes that hold a lock until their input ends."""
    processes = []

    def start(function: str, path: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, function, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        with process:
            process.kill()


def test_content_of_the_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_text("kept")
    with locked(path):
        assert path.read_text() == "kept"
    assert path.read_text() == "kept"


@pytest.mark.parametrize("function", ["locked", "locked_if_free"])
def test_a_killed_holder_frees_the_lock(tmp_path: Path, holder, function: str) -> None:
    path = tmp_path / "lock"
    process = holder(function, path)
    with pytest.raises(BlockingIOError), locked_if_free(path):
        pass
    taken = threading.Event()
    lock = []

    def wait() -> None:
        lock.append(acquire(path))
        taken.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not taken.wait(0.2)
    process.kill()
    assert taken.wait(60)
    waiting.join()
    lock[0].release()  # by another thread than the one that took it
    with locked(path):
        pass


def test_a_file_that_is_there_only_while_locked(tmp_path: Path, holder) -> None:
    path = tmp_path / "folder" / "lock"
    with locked_if_free(path):
        assert path.exists()
    assert not path.exists()
    path.parent.rmdir()
    process = holder("locked_if_free", path)
    assert process.stdin
    process.stdin.close()
    process.wait()
    assert not path.exists()
    with locked_if_free(path):
        assert path.exists()


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    path, count = tmp_path / "lock", tmp_path / "count"
    count.write_text("0")

    def add() -> None:
        for _ in range(20):
            with locked(path):
                count.write_text(str(int(count.read_text()) + 1))

    threads = [threading.Thread(target=add) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert count.read_text() == "60"


def test_a_file_that_appears_and_goes_is_locked_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    inside, most, taken = [], [], []

    def take() -> None:
        for _ in range(30):
            try:
                with locked_if_free(path):
                    inside.append(1)
                    most.append(len(inside))
                    taken.append(1)
                    inside.pop()
            except BlockingIOError:
                continue

    threads = [threading.Thread(target=take) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(most) == {1}
    assert len(taken) >= 30


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), locked(tmp_path / "file" / "lock"):
        pass
    with pytest.raises(OSError, match="file"), locked_if_free(tmp_path / "file" / "lock"):
        pass
