"""A pseudo-terminal to run commands in, and the screens that a person would see."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

ROWS = 40
_TOKENS = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|[^\x1b]", re.DOTALL)


class Seen(NamedTuple):
    """Exit code of a command, and every screen that differs from the one before."""

    exit_code: int
    screens: list[str]


class Screen:
    """Terminal with the operations of progress bars: lines, returns, erasing, moving up."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._lines = [[" "] * columns]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        for token in _TOKENS.finditer(text):
            match token[2], token[0]:
                case None, "\r":
                    self._column = 0
                case None, "\n":
                    self._down()
                case None, character:
                    self._put(character)
                case "A", _:
                    self._row = max(0, self._row - int(token[1] or 1))
                case "K", _:
                    start = 0 if token[1] == "2" else self._column
                    self._lines[self._row][start:] = [" "] * (self._columns - start)
                case (("m" | "h" | "l"), _):  # colours, and the cursor that is hidden and shown
                    pass
                case _, unknown:
                    raise AssertionError(f"unknown: {unknown!r}")

    def __str__(self) -> str:
        return "\n".join("".join(line).rstrip() for line in self._lines).rstrip()

    def _put(self, character: str) -> None:
        width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if self._column + width > self._columns:
            self._column = 0
            self._down()
        self._lines[self._row][self._column : self._column + width] = [character, ""][:width]
        self._column += width

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append([" "] * self._columns)


def open_terminal(columns: int) -> tuple[int, int]:
    """Open a terminal; return the descriptors to read screens from and to write to."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    return reader, writer


def screens_of(reader: int, columns: int) -> list[str]:
    """Read a terminal, empty at first, until the last program has closed it."""
    screen, seen = Screen(columns), [""]
    rest = b""
    while True:
        try:
            data = os.read(reader, 1 << 16)
        except OSError:  # EIO: closed
            data = b""
        if not data:
            return seen
        whole, rest = _whole(rest + data)
        screen.feed(whole)
        if str(screen) != seen[-1]:
            seen.append(str(screen))


def run_in_terminal(command: Sequence[str], environment: Mapping[str, str], columns: int) -> Seen:
    """Run a command to its end in a terminal of its own; it has no standard input."""
    reader, writer = open_terminal(columns)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, env=dict(environment)
    ) as process:
        os.close(writer)
        screens = screens_of(reader, columns)
        os.close(reader)
    return Seen(process.returncode, screens)


def _whole(data: bytes) -> tuple[str, bytes]:
    """Split off a sequence or character that is cut at the end of the text."""
    end = len(data)
    escape = data.rfind(b"\x1b", max(0, end - 16))
    if escape >= 0 and not re.match(rb"\x1b\[[?0-9;]*[A-Za-z]", data[escape:]):
        end = escape
    for cut in range(end, max(end - 4, -1), -1):
        try:
            return data[:cut].decode(), data[cut:]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""
