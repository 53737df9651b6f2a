"""Display of a command's work, in terminals of several widths and without one."""

import os
import threading
from collections.abc import Callable

import pytest
from terminal import open_terminal, screens_of

from mediafm_core.cli.progress_display import Display, progress_display
from mediafm_core.runtime.progress import WorkProgress

FIGURES = {
    "share": 0.31,
    "done": 12,
    "total": 60,
    "unit": "assets",
    "rate": "4.2x real time",
    "seconds_left": 250.0,
}


def screens(columns: int, work: Callable[[Display], None]) -> list[str]:
    """Return the screens of a command's work in a terminal."""
    reader, writer = open_terminal(columns)
    seen: list[str] = []
    watching = threading.Thread(target=lambda: seen.extend(screens_of(reader, columns)))
    watching.start()
    with os.fdopen(writer, "w") as stream, progress_display(stream) as display:
        work(display)
    watching.join()
    os.close(reader)
    return seen


def keep(doing: str) -> Callable[[Display], None]:
    def work(display: Display) -> None:
        display.keep()
        display.show(WorkProgress(doing, **FIGURES))

    return work


@pytest.fixture(autouse=True)
def _no_size_in_the_environment(monkeypatch: pytest.MonkeyPatch):
    for name in ("COLUMNS", "LINES", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_bar_takes_two_lines_as_wide_as_the_terminal(columns: int):
    lines = screens(columns, keep("shots 42.0 % of film"))[-1].splitlines()
    assert len(lines) == 2
    assert lines[0] == "shots 42.0 % of film"
    assert len(lines[1]) == columns
    assert "12/60  31 %  4.2x real time  0:04:10 left" in lines[1]


@pytest.mark.parametrize(
    "name", ["x" * 300, "映画" * 60, "a\nb\r\x1b[2J\x07c" + "d" * 100, "[red]"]
)
def test_no_name_breaks_the_bar(name: str):
    lines = screens(80, keep(f"shots 42.0 % of {name}"))[-1].splitlines()
    assert len(lines) == 2, "neither wrapped nor torn"
    assert lines[0].startswith(f"shots 42.0 % of {name[0]}")
    assert "12/60" in lines[1]


def test_lines_that_stay_come_above_the_bar():
    def work(display: Display) -> None:
        display.show(WorkProgress("first step"))
        display.write("training for 200 steps")
        display.write("Muon: 10 tensors")
        keep("training")(display)

    lines = screens(80, work)[-1].splitlines()
    assert lines[:3] == ["training for 200 steps", "Muon: 10 tensors", "training"]
    assert len(lines) == 4


def test_the_bar_disappears_unless_it_is_kept():
    assert screens(80, lambda display: display.show(WorkProgress("comparing")))[-1] == ""


def test_redirecting_the_descriptor_does_not_redirect_the_bar(tmp_path):
    """Redirect descriptors as Dagster does while a step runs."""

    def work(display: Display) -> None:
        elsewhere = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
        kept = os.dup(stream.fileno())
        os.dup2(elsewhere, stream.fileno())
        keep("shots of film")(display)
        os.dup2(kept, stream.fileno())
        os.close(kept)
        os.close(elsewhere)

    reader, writer = open_terminal(80)
    seen: list[str] = []
    watching = threading.Thread(target=lambda: seen.extend(screens_of(reader, 80)))
    watching.start()
    with os.fdopen(writer, "w") as stream, progress_display(stream) as display:
        work(display)
    watching.join()
    os.close(reader)
    assert seen[-1].startswith("shots of film")
    assert (tmp_path / "log").read_text() == ""


def test_without_a_terminal_there_are_lines(tmp_path):
    with (tmp_path / "log").open("w") as stream, progress_display(stream) as display:
        display.write("training for 200 steps")
        keep("shots of a\x1b[2J\nfilm")(display)
    first, last = (tmp_path / "log").read_text().splitlines()
    assert first == "training for 200 steps"
    time, _, line = last.partition(" ")
    assert time == "0:00:00"
    assert line == ("shots of a�[2J�film: 12 of 60 assets, 31 %, 4.2x real time, 0:04:10 left")


def test_a_terminal_whose_cursor_cannot_move_has_lines(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "dumb")
    seen = screens(120, keep("shots of film"))[-1]
    assert seen.startswith("0:00:00 shots of film: 12 of 60 assets, 31 %")


def test_short_work_without_a_terminal_is_silent(tmp_path):
    with (tmp_path / "log").open("w") as stream, progress_display(stream) as display:
        display.show(WorkProgress("comparing"))
    assert (tmp_path / "log").read_text() == ""
