"""Processes are recognised by system, number and start."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mediafm_core.runtime import process as module
from mediafm_core.runtime.process import ProcessMark, listens_here, start_of

SAY = (
    "import sys; from mediafm_core.runtime.process import ProcessMark; "
    "print(ProcessMark.of_this_process().model_dump_json(), flush=True); sys.stdin.read()"
)


def start(*before: str) -> tuple[subprocess.Popen[str], ProcessMark]:
    """Start a process that waits; return it and the identity that it prints."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", SAY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, ProcessMark.model_validate_json(process.stdout.readline())


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("")


def test_a_process_lives_until_it_ends():
    process, identity = start()
    assert identity.pid == process.pid
    assert identity.state == "alive"
    end(process)
    assert identity.state == "dead"
    assert ProcessMark.of_this_process().state == "alive"


def test_a_process_that_has_ended_and_not_been_waited_for_is_gone():
    process, identity = start()
    assert process.stdin
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identity.state == "dead"
    assert start_of(process.pid) is None
    process.wait()


def test_a_later_process_with_the_same_number_is_another():
    mark = ProcessMark.of_this_process()
    assert mark.model_copy(update={"started": f"{mark.started}0"}).state == "dead"


@pytest.mark.parametrize(
    ("other", "state"),
    [
        ({"host": "another"}, "unknown"),
        ({"machine": "another"}, "unknown"),
        ({"namespace": "another"}, "unknown"),
        ({"boot": "another"}, "dead"),
    ],
)
def test_a_process_of_another_system_is_only_known_where_the_machine_has_booted_since(
    other: dict[str, str], state: str, monkeypatch: pytest.MonkeyPatch
):
    system = {"host": "studio", "machine": "id", "boot": "first", "namespace": "pid:[1]"}
    monkeypatch.setattr(module, "_system", lambda: system)
    mark = ProcessMark.of_this_process()
    assert mark.state == "alive"
    assert mark.model_copy(update=other).state == state
    # Without an id the other boot may be another machine's, of the same name.
    monkeypatch.setattr(module, "_system", lambda: {**system, "machine": ""})
    unnamed = ProcessMark.of_this_process().model_copy(update=other)
    assert unnamed.state == "unknown"


def test_a_container_is_another_system_although_its_host_name_is_the_same():
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("needs root and unshare: apt install util-linux")
    inside, mark = start(unshare, "--pid", "--fork", "--mount-proc")
    assert mark.host == socket.gethostname()
    assert mark.state == "unknown"
    end(inside)


def test_who_listens_on_a_socket_is_seen(tmp_path: Path):
    path = str(tmp_path / "socket")
    assert not listens_here(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert listens_here(path)


def test_a_server_in_a_container_listens_elsewhere(tmp_path: Path):
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("needs root and unshare: apt install util-linux")
    path = str(tmp_path / "socket")
    listen = (
        "import socket, sys; server = socket.socket(socket.AF_UNIX); "
        "server.bind(sys.argv[1]); server.listen(); print(flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [unshare, "--pid", "--fork", "--mount-proc", sys.executable, "-c", listen, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.readline()
    assert not listens_here(path)
    end(process)
