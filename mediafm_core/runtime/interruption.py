"""Interruption by SIGINT or SIGTERM: a clean stop in Python code, in bounded time everywhere.

Python runs signal handlers in the main thread between two bytecodes, so a long native call (a
forward pass, a decoder, a lock of a database) delays them without limit. A thread therefore reads
signals from the wake-up descriptor, which is written at once whatever handler is installed (Dagster
installs its own during a run), and ends the process if it still runs after `GRACE_S`. That is
safe: artefacts are written atomically.

There is one state per process, as signals concern the whole process.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import psutil

GRACE_S = 5.0
"""Seconds that the main thread has to stop by itself."""

CLEANUP_S = 2.0
"""Seconds for the registered clean-up before the process is ended: 7 of the promised 10."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h"  # a progress bar hides it
_NOTHING_TO_ADD = "nothing half-written is left; run the same command again"


class Interrupt(KeyboardInterrupt):
    """Exception for a received SIGINT or SIGTERM.

    A subclass, since CPython ends a process in which code from `exec` (such as that of a dataclass)
    has raised `KeyboardInterrupt` itself as if SIGINT had killed it, whatever its exit code.
    """


class _State:
    """Requests to stop this process, and the functions to call then."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.arrived = threading.Event()
        self.is_raised = False
        self.is_watched = False
        self.grace_s = GRACE_S
        self.summary: str | None = None  # of the block that an interrupt left
        self.is_closed = False  # the closing line is out
        self.closing_lines: list[Callable[[], str]] = []
        self.clean_ups: list[Callable[[], None]] = []


_state = _State()


def interrupted() -> bool:
    """Return True if this process has received a signal to stop."""
    return _state.received is not None


def raise_if_interrupted() -> None:
    """Raise `Interrupt` if this process has received a signal to stop."""
    if interrupted():
        raise Interrupt


def exit_code() -> int:
    """Return 128 plus the number of the received signal, as shells do: 130 or 143.

    Called for an interrupt that may have reached the main thread a moment before the watching
    thread; without any signal, an exception raised by hand for instance, it is that of SIGINT.
    """
    _state.arrived.wait(CLEANUP_S if _state.is_watched else 0)
    return 128 + int(_state.received or signal.SIGINT)


def closing_line() -> str:
    """Return the last line of an interrupted command: what is done, what is left, the next step.

    It comes from the outermost `closing_with`; the caller prints it once.
    """
    _state.is_closed = True
    return summary()


def summary() -> str:
    """Return the summary of the outermost block that an interrupt has left so far."""
    name = (_state.received or signal.SIGINT).name
    text = _state.closing_lines[0]() if _state.closing_lines else _state.summary
    return f"Interrupted ({name}): {text or _NOTHING_TO_ADD}."


@contextmanager
def closing_with(text: Callable[[], str]) -> Iterator[None]:
    """Register the summary of an interrupted command while the block runs.

    Args:
        text: a sentence without its full stop, from what is in memory: it is also called in
            another thread, just before the process is ended.
    """
    with _registered(_state.closing_lines, text):
        try:
            yield
        except BaseException as error:
            if interrupted() or not isinstance(error, Exception):
                _state.summary = text()
            raise


@contextmanager
def cleaning_up_with(action: Callable[[], None]) -> Iterator[None]:
    """Call an action if the process has to be ended while the block runs.

    It replaces the block's own clean-up on an exception. It runs in another thread,
    for at most `CLEANUP_S` together with all others.
    """
    with _registered(_state.clean_ups, action):
        yield


@contextmanager
def stopping_within(seconds: float) -> Iterator[None]:
    """Set another time than `GRACE_S` for the main thread to stop, for signals during the block."""
    before, _state.grace_s = _state.grace_s, seconds
    try:
        yield
    finally:
        if not interrupted():
            _state.grace_s = before


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Interrupt` on SIGINT and SIGTERM, and ensure that the process ends.

    For commands: a second SIGINT ends the process at once. Outside the main thread it does nothing.
    """
    if _state.is_watched or threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    # Shells let commands in the background ignore SIGINT.
    is_background = previous[signal.SIGINT] is signal.SIG_IGN
    heeded = {signal.SIGTERM} if is_background else set(_SIGNALS)
    for number in _SIGNALS:
        signal.signal(number, _raiser(heeded))
    try:
        with watching_signals(heeded, twice_at_once=True):
            yield
    finally:
        if _state.received is None:
            for number, handler in previous.items():
                signal.signal(number, handler)


@contextmanager
def watching_signals(
    heeded: Collection[int] = _SIGNALS, *, twice_at_once: bool = False
) -> Iterator[None]:
    """End the process `GRACE_S` after a signal, whatever its handlers do.

    Inside another such block, or outside the main thread, it does nothing. After a signal the
    process is watched until it ends, even after the block.

    Args:
        heeded: the signals that end the process.
        twice_at_once: end it at once on a second SIGINT, for people who do not want to wait.
    """
    if _state.is_watched or threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.is_watched = True
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    terminal = _duplicate_of_stderr()
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(
        target=_watch,
        args=(reader, terminal, heeded, twice_at_once),
        name="interruption",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        if _state.received is None:
            signal.set_wakeup_fd(before)
            os.close(writer)  # ends the thread
            thread.join()
            os.close(reader)
            os.close(terminal)
            _state.is_watched = False


@contextmanager
def deferring_interrupts() -> Iterator[Callable[[], bool]]:
    """Defer SIGINT and SIGTERM for a block that must not be left in the middle.

    A deferred signal is handled when the block ends. The deadline of `stopping_on_signals` counts
    meanwhile.

    Yields:
        A function that returns whether a signal has come, to end the block early.
    """
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    held: list[tuple[int, FrameType | None]] = []
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, lambda number, frame: held.append((number, frame)))
    try:
        yield lambda: bool(held) or interrupted()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if held:
            _deliver(previous[signal.Signals(held[0][0])], *held[0])


def _deliver(handler: Any, number: int, frame: FrameType | None) -> None:
    if callable(handler):
        handler(number, frame)
    elif handler == signal.SIG_DFL:
        signal.raise_signal(number)


def _raiser(heeded: Collection[int]) -> Callable[[int, FrameType | None], None]:
    """Make the handler of both signals: Dagster installs that of SIGINT for SIGTERM as well."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if number not in heeded:
            return
        _receive(number)
        if not _state.is_raised:  # a second one must not disturb the handling of the first
            _state.is_raised = True
            raise Interrupt

    return handle


def _receive(number: int) -> None:
    if _state.received is None:
        _state.received = signal.Signals(number)
        _state.arrived.set()


def _watch(reader: int, terminal: int, heeded: Collection[int], twice_at_once: bool) -> None:
    """Read signals until the descriptor is closed; after the first, until the deadline."""
    deadline: float | None = None
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([reader], [], [], left)
        if not ready:
            _end_process(terminal)
        numbers = os.read(reader, 64)
        if not numbers:
            return
        for number in numbers:
            if number not in heeded:
                continue
            if deadline is None:
                _receive(number)
                deadline = time.monotonic() + _state.grace_s
            elif twice_at_once and number == signal.SIGINT:
                _end_process(terminal)


def _end_process(terminal: int) -> None:
    """Clean up and end this process and its children."""
    cleaner = threading.Thread(target=_clean_up, args=(terminal,), daemon=True)
    cleaner.start()
    cleaner.join(CLEANUP_S)
    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    os._exit(exit_code())


def _clean_up(terminal: int) -> None:
    cursor = _SHOW_CURSOR if os.isatty(terminal) else b""
    try:
        for action in reversed(_state.clean_ups):
            action()
    finally:
        line = b"" if _state.is_closed else f"\n{closing_line()}\n".encode()
        os.write(terminal, cursor + line)


def _duplicate_of_stderr() -> int:
    """Duplicate the descriptor of stderr, which Dagster redirects during a run."""
    try:
        return os.dup(sys.__stderr__.fileno())  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):  # a process without one
        return os.open(os.devnull, os.O_WRONLY)


@contextmanager
def _registered(entries: list[Any], entry: Any) -> Iterator[None]:
    entries.append(entry)
    try:
        yield
    finally:
        entries.remove(entry)
