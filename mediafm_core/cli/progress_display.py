"""Progress display of a command: a bar in a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mediafm_core.runtime.progress import Show, WorkProgress, clock, progress_lines

if TYPE_CHECKING:
    from rich.console import RenderableType

_REFRESHES_PER_S = 4
_DUMB = ("dumb", "unknown")  # terminals whose cursor cannot be moved
_LEAST_BAR = 8  # columns
_QUIET_S = 5.0  # shorter work prints no lines


class Display:
    """Display of a command's progress, made by `progress_display`.

    Args:
        show: shows a state of the work.
        write: writes a permanent line, above the bar if there is one.
        keep: keeps the last state visible after the end.
    """

    def __init__(
        self, show: Show, write: Callable[[str], None], keep: Callable[[], None] = lambda: None
    ) -> None:
        self.show = show
        self.write = write
        self.keep = keep


@contextmanager
def progress_display(stream: TextIO | None = None) -> Iterator[Display]:
    """Show the progress of the work in the block.

    The display writes to a duplicate of the stream's file descriptor, since Dagster redirects
    descriptors 1 and 2 to its compute log while a step runs. At the end the last state stays if
    `keep` was called; otherwise the bar disappears, and short work has written no line.

    Args:
        stream: standard output by default.
    """
    with _duplicate(stream or sys.stdout) as file:
        can_move = os.environ.get("TERM", "").lower() not in _DUMB
        show = _bar if file.isatty() and can_move else _lines
        with show(file) as display:
            yield display


@contextmanager
def _duplicate(stream: TextIO) -> Iterator[TextIO]:
    """Yield a stream on a duplicate of the descriptor; the stream itself if it has none."""
    stream.flush()
    try:
        descriptor = os.dup(stream.fileno())
    except OSError:  # in memory, as in a notebook
        yield stream
        return
    with os.fdopen(
        descriptor, "w", buffering=1, encoding=stream.encoding, errors="backslashreplace"
    ) as file:
        yield file


@contextmanager
def _lines(file: TextIO) -> Iterator[Display]:
    started = time.monotonic()

    def write(line: str) -> None:
        file.write(f"{printable(line)}\n")
        file.flush()

    def write_with_time(line: str) -> None:
        write(f"{clock(time.monotonic() - started)} {line}")

    kept: list[bool] = []
    with progress_lines(write_with_time, _QUIET_S) as lines:
        yield Display(lines.show, write, lambda: kept.append(True))
        lines.finish(always=bool(kept))


@contextmanager
def _bar(file: TextIO) -> Iterator[Display]:
    console = _TerminalConsole(file=file, markup=False, highlight=False, emoji=False)
    picture = _Picture()

    def write(line: str) -> None:
        console.print(printable(line), soft_wrap=True)

    with Live(
        get_renderable=picture.render,
        console=console,
        refresh_per_second=_REFRESHES_PER_S,
        transient=True,
    ) as live:

        def keep() -> None:
            live.transient = False

        yield Display(picture.show, write, keep)


class _TerminalConsole(Console):
    """Console with the size of its own file's terminal, whatever descriptors 0 to 2 are."""

    @property  # type: ignore[misc]  # rich's property has a setter, which is not needed here
    def size(self) -> ConsoleDimensions:
        """Return the current columns and rows; `COLUMNS` and `LINES` override them."""
        found = super().size
        with suppress(OSError):  # the terminal is gone
            columns, rows = os.get_terminal_size(self.file.fileno())
            found = ConsoleDimensions(self._width or columns, self._height or rows)
        return found


class _Picture:
    """Two lines: the current activity, and a bar with its figures."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._progress = WorkProgress("starting")

    def show(self, progress: WorkProgress) -> None:
        self._progress = progress

    def render(self) -> "RenderableType":
        progress = self._progress
        figures = [] if progress.total is None else [f"{progress.done:,}/{progress.total:,}"]
        figures += [*progress.figures, clock(time.monotonic() - self._started)]
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(ratio=1, min_width=_LEAST_BAR)
        row.add_column(no_wrap=True, overflow="ellipsis")
        share = progress.share
        row.add_row(
            ProgressBar(total=1.0, completed=share or 0.0, pulse=share is None),
            Text("  ".join(figures)),
        )
        doing = Text(printable(progress.doing), no_wrap=True, overflow="ellipsis")
        return Group(doing, row)


def printable(text: str) -> str:
    """Replace control characters, which could move the cursor, with U+FFFD."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
