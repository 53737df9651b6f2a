"""Processes end on signals, with the right exit code and last line."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

GUARD_S = 120

_PRELUDE = """
import click, signal, sys, time
from mediafm_core.cli import main as cli
from mediafm_core.runtime import interruption
from mediafm_core.runtime.interruption import (
    cleaning_up_with, closing_with, deferring_interrupts, interrupted
)
interruption.GRACE_S = interruption._state.grace_s = 1.0

def ready():
    print("ready", flush=True)

def stuck():
    steps = iter([ready])
    while True:
        try:
            next(steps, signal.pause)()
        except BaseException:
            pass

def command(work):
    group = cli.Commands("mediafm", params=[click.Option(["--debug"], is_flag=True)])
    group.get_command = lambda _context, _name: click.Command("work", callback=work)
    group(["work"], prog_name="mediafm")
"""


def end(body: str, *signals: signal.Signals, **options: object) -> tuple[int, str, str]:
    """Run a command, send signals once it is ready; return exit code, output and errors."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", (line, process.communicate()[1])
    for number in signals:
        process.send_signal(number)
    output, errors = process.communicate(timeout=GUARD_S)
    return process.returncode, output, errors


_WAITS = """
def work():
    with closing_with(lambda: "3 of 5 are done; the same command goes on"):
        ready()
        signal.pause()
command(work)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_with_one_line(number: signal.Signals, code: int):
    returned, _, errors = end(_WAITS, number)
    assert returned == code
    line = f"Interrupted ({number.name}): 3 of 5 are done; the same command goes on.\n"
    assert errors == line


def test_a_command_without_a_word_of_its_own_has_a_line_too():
    body = "def work():\n    ready()\n    signal.pause()\ncommand(work)"
    code, _, errors = end(body, signal.SIGTERM)
    assert (code, errors.count("\n")) == (143, 1)
    assert errors.startswith("Interrupted (SIGTERM): ")


_SWALLOWS = """
def work():
    cleaned = lambda: print("cleaned", flush=True)
    with closing_with(lambda: "the work is stuck"), cleaning_up_with(cleaned):
        stuck()
command(work)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_process_that_ignores_the_exception_is_ended(number: signal.Signals, code: int):
    returned, output, errors = end(_SWALLOWS, number)
    assert (returned, output) == (code, "cleaned\n")
    assert errors.strip() == f"Interrupted ({number.name}): the work is stuck."


# All threads but one block the signal, and that one never runs Python code for the main thread.
_DEAF = """
import ctypes, threading
threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
def work():
    with closing_with(lambda: "in a native call"):
        ready()
        while True:
            ctypes.CDLL(None).sleep(3600)
command(work)
"""


def test_a_native_call_that_no_signal_interrupts_is_ended():
    code, _, errors = end(_DEAF, signal.SIGTERM)
    assert code == 143
    assert errors.strip() == "Interrupted (SIGTERM): in a native call."


_PATIENT = """
interruption.GRACE_S = interruption._state.grace_s = 3600.0
def work():
    with closing_with(lambda: "the work is stuck"):
        while True:
            try:
                ready()
                signal.pause()
            except KeyboardInterrupt:
                while not interrupted():  # the watching thread has seen the first one
                    time.sleep(0.01)
command(work)
"""


def test_a_second_ctrl_c_ends_a_command_at_once():
    with subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + _PATIENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=GUARD_S)
    assert process.returncode == 130
    assert errors.strip() == "Interrupted (SIGINT): the work is stuck."


_TURNED = """
def work():
    ready()
    try:
        signal.pause()
    except KeyboardInterrupt:
        raise RuntimeError("Query interrupted")
command(work)
"""


def test_an_interrupt_that_a_library_turned_into_its_own_error_is_one():
    code, _, errors = end(_TURNED, signal.SIGINT)
    assert code == 130
    assert errors.startswith("Interrupted (SIGINT): ")
    assert "RuntimeError" not in errors


_IN_EXEC = """
def work():
    exec("ready()\\nsignal.pause()")
command(work)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_code_that_is_executed_as_text_ends_with_the_same_code(number: signal.Signals, code: int):
    """As the code of dataclasses is, which are made while modules are imported."""
    assert end(_IN_EXEC, number)[0] == code


_HELD = """
def work():
    try:
        with deferring_interrupts() as came:
            ready()
            while not came():
                time.sleep(0.01)
            print("whole", flush=True)
        print("never", flush=True)
    finally:
        print("left", flush=True)
command(work)
"""


def test_deferred_interrupts_come_when_the_block_ends():
    code, output, _ = end(_HELD, signal.SIGTERM)
    assert (code, output) == (143, "whole\nleft\n")


def test_a_command_in_the_background_ignores_sigint_and_heeds_sigterm():
    """Non-interactive shells start commands in the background with SIGINT ignored."""
    code, _, errors = end(
        _WAITS,
        signal.SIGINT,
        signal.SIGTERM,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert code == 143
    assert "(SIGTERM)" in errors


def test_children_end_with_a_process_that_is_ended(tmp_path: Path):
    body = f"""
import subprocess
from pathlib import Path
def work():
    child = subprocess.Popen(["sleep", "3600"])
    Path({str(tmp_path / "child")!r}).write_text(str(child.pid))
    stuck()
command(work)
"""
    assert end(body, signal.SIGTERM)[0] == 143
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + GUARD_S
    while not has_ended(child):  # its files are closed a moment before it has ended
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_ended(process_id: int) -> bool:
    """Return True if a process is gone, or is a zombie that init has not reaped."""
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
