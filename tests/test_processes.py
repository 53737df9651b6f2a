"""Processes are recognised by machine, number and start."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mediafm_core.processes import ProcessIdentity, listens_here, start_of, this_machine

SAY = (
    "import json, sys; from mediafm_core.processes import ProcessIdentity; "
    "print(json.dumps(ProcessIdentity.current()), flush=True); sys.stdin.read()"
)


def start(*before: str) -> tuple[subprocess.Popen[str], ProcessIdentity]:
    """A process that waits, and its identity as it says itself."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", SAY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, ProcessIdentity(*json.loads(process.stdout.readline()))


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("")


def test_a_process_lives_until_it_ends():
    process, identity = start()
    assert identity.pid == process.pid
    assert identity.state() == "alive"
    end(process)
    assert identity.state() == "gone"
    assert ProcessIdentity.current().state() == "alive"


def test_a_process_that_has_ended_and_not_been_waited_for_is_gone():
    process, identity = start()
    assert process.stdin
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identity.state() == "gone"
    assert start_of(process.pid) is None
    process.wait()


def test_a_later_process_with_the_same_number_is_another():
    process, earlier = start()
    later = ProcessIdentity.current()
    assert later._replace(started=earlier.started + "0").state() == "gone"
    end(process)


def test_a_process_of_another_machine_cannot_be_seen():
    assert ProcessIdentity("another", os.getpid(), "1").state() == "elsewhere"


def test_a_container_is_another_machine_although_its_host_name_is_the_same():
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("needs root and unshare: apt install util-linux")
    process, inside = start(unshare, "--pid", "--fork", "--mount-proc")
    assert inside.machine.startswith(f"{socket.gethostname()} ")
    assert inside.machine != this_machine()
    assert inside.state() == "elsewhere"
    end(process)


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
