"""One process at a time: the lock of files, on disk and in S3."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from stored_files import LEASE_S, OpenFiles, read, write

from mediafm_core.errors import StorageError
from mediafm_core.storage.files import Files
from mediafm_core.storage.local import LocalFiles

Program = Callable[..., subprocess.Popen[str]]

_OPEN = """
import json, sys
from pathlib import Path
from mediafm_core.config.store_settings import S3Settings
from mediafm_core.config.location import parse_location
from mediafm_core.storage.open_files import open_files
place, settings = json.loads(sys.argv[1])
files = open_files(parse_location(place), S3Settings.model_validate(settings))
"""
_COUNT = """
for _ in range(5):
    with files.exclusive("counter"), files.staging() as folder:
        count = int(files.path("count").read_text())
        (folder / "count").write_text(str(count + 1))
        files.put(folder / "count", "count")
"""
_HOLD = """
with files.exclusive("held"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def program(files: Files, settings: dict[str, Any]) -> Program:
    """Start Python code that has `files` in a process of its own."""

    def start(code: str) -> subprocess.Popen[str]:
        own = {**settings, "cache": str(settings["cache"])}
        place = json.dumps([files.location, own if files.is_remote else {}])
        return subprocess.Popen(
            [sys.executable, "-c", _OPEN + code, place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    return start


def test_no_count_of_several_processes_is_lost(files: Files, program: Program) -> None:
    write(files, "count", b"0")
    processes = [program(_COUNT) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert read(files, "count") == b"15"


@pytest.mark.parametrize("lease_s", [LEASE_S])
def test_the_lock_of_a_killed_holder_becomes_free(files: Files, program: Program) -> None:
    holder = program(_HOLD)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    taken = threading.Event()

    def take() -> None:
        with files.exclusive("held"):
            taken.set()

    waiting = threading.Thread(target=take)
    waiting.start()
    # Longer than a lease: a living holder renews it.
    assert not taken.wait(1.5 * LEASE_S if files.is_remote else 0.2)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert taken.wait(300)
    waiting.join()


@pytest.mark.parametrize("lease_s", [LEASE_S])
def test_it_becomes_free_though_the_clock_of_the_server_was_set_back(
    open_files: OpenFiles, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = open_files()
    own = {**settings, "cache": str(settings["cache"])}
    arguments = [sys.executable, "-c", _OPEN + _HOLD, json.dumps([files.location, own])]
    holder = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate()

    def set_back(text: str) -> datetime:
        return parsedate_to_datetime(text) - timedelta(days=365)

    monkeypatch.setattr("mediafm_core.storage.s3_lease.parsedate_to_datetime", set_back)
    with files.exclusive("held"):  # or this waits for a year
        pass


def test_different_locks_do_not_wait_for_each_other(files: Files) -> None:
    with files.exclusive("one"), files.exclusive("other"):
        write(files, "a", b"a")
    assert read(files, "a") == b"a"


@pytest.mark.parametrize("lease_s", [LEASE_S])
def test_a_holder_that_could_not_renew_writes_nothing_more(
    open_files: OpenFiles, proxy: FaultyProxy, tmp_path: Path
) -> None:
    cut_off = open_files(endpoint_url=proxy.endpoint, max_attempts=1)
    other = open_files(cache=tmp_path / "other")
    with cut_off.exclusive("writer"):
        write(cut_off, "a", b"first")
        proxy.is_down = True
        with other.exclusive("writer"):  # after the lease
            write(other, "a", b"second")
        proxy.is_down = False
        with pytest.raises(StorageError, match=f"could not be renewed within {LEASE_S:g} s"):
            write(cut_off, "a", b"late")
        with pytest.raises(StorageError, match=r"\.writer\.lock"):
            cut_off.remove("a")
    assert read(other, "a") == b"second"
    with cut_off.exclusive("writer"):  # as new
        write(cut_off, "a", b"third")
    assert read(other, "a") == b"third"


def test_an_answer_that_is_lost_is_no_lock_that_is_lost(
    open_files: OpenFiles, proxy: FaultyProxy
) -> None:
    # A lock that is held by mistake would be waited for until its lease is over.
    files = open_files(endpoint_url=proxy.endpoint)
    proxy.shares = {"lost": 0.4}
    for number in range(10):
        with files.exclusive("writer"):
            write(files, "a", b"%d" % number)
    assert proxy.injected["lost"] > 10
    assert read(files, "a") == b"9"


def test_the_lock_of_a_store_that_was_copied_from_a_disk_is_free(open_files: OpenFiles) -> None:
    files = open_files()
    write(files, ".writer.lock", b"")
    with files.exclusive("writer"):
        write(files, "a", b"a")
    assert read(files, "a") == b"a"


def test_local_locks_are_hidden(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    with files.exclusive("a"):
        assert list(files.entries()) == []
