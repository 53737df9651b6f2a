"""Progress lines of long work are throttled, by a clock that the test sets."""

import threading

from mediafm_core.runtime.progress import (
    ProgressLines,
    WorkProgress,
    beating,
    clock,
    percent,
    progress_lines,
    rate,
    time_left,
)


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def lines_on(clock: Clock, quiet_s: float = 0.0) -> tuple[ProgressLines, list[str]]:
    written: list[str] = []
    return ProgressLines(written.append, quiet_s, clock), written


def step(done: int) -> WorkProgress:
    return WorkProgress("work", done / 100, done, 100, "steps")


def test_a_line_has_counts_share_rate_and_time_left():
    progress = WorkProgress("shots of a", 0.256, 3, 12, "assets", "2.5 assets/min", 3723.4)
    assert progress.line() == "shots of a: 3 of 12 assets, 25 %, 2.5 assets/min, 1:02:03 left"
    assert WorkProgress("publishing").line() == "publishing"


def test_lines_come_at_once_then_not_too_often():
    now = Clock()
    lines, written = lines_on(now)
    for second in range(20):
        now.seconds = 100.0 + second
        lines.show(step(second))
        lines.beat()
    assert [line.split(":")[1].split()[0] for line in written] == ["0", "5", "10", "15"]


def test_what_does_not_change_is_repeated_with_its_age():
    now = Clock()
    lines, written = lines_on(now)
    lines.show(WorkProgress("loading"))
    for second in range(1, 30):
        now.seconds = 100.0 + second
        lines.beat()
    assert written == ["loading", "loading (for 9 s)", "loading (for 18 s)", "loading (for 27 s)"]


def test_a_state_that_came_too_early_for_a_line_is_written_by_the_beat():
    now = Clock()
    lines, written = lines_on(now)
    lines.show(step(0))
    now.seconds += 4
    lines.show(step(1))
    assert len(written) == 1
    now.seconds += 5
    lines.beat()
    assert written[1:] == ["work: 1 of 100 steps, 1 %"]


def test_the_last_state_is_written_once():
    now = Clock()
    lines, written = lines_on(now)
    lines.show(step(99))
    now.seconds += 1
    lines.show(step(100))
    lines.finish()
    lines.finish()
    assert written[1:] == ["work: 100 of 100 steps, 100 %"]


def test_short_work_writes_nothing_unless_its_end_matters():
    now = Clock()
    lines, written = lines_on(now, quiet_s=5.0)
    lines.show(step(1))
    now.seconds += 3
    lines.show(step(2))
    lines.beat()
    lines.finish(always=False)
    assert written == []
    lines.finish()
    assert written == ["work: 2 of 100 steps, 2 %"]


def test_long_work_without_further_reports_has_a_line_after_the_quiet_seconds():
    now = Clock()
    lines, written = lines_on(now, quiet_s=5.0)
    lines.show(WorkProgress("loading"))
    now.seconds += 6
    lines.beat()
    assert written == ["loading"]


def test_beats_come_from_another_thread_while_the_block_is_busy():
    beaten = threading.Event()
    with beating(beaten.set, every_s=0.001):
        assert beaten.wait(60)
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_lines_of_a_block():
    written: list[str] = []
    with progress_lines(written.append) as lines:
        lines.show(step(1))
    assert written == ["work: 1 of 100 steps, 1 %"]


def test_nothing_is_estimated_from_too_little():
    assert time_left(0.005, 60) is None
    assert time_left(0.5, 1) is None
    assert time_left(0.25, 30) == 90
    assert time_left(1.0, 30) is None
    assert rate(0, 10, "titles") == ""
    assert rate(25, 10, "titles") == "2.5 titles/s"
    assert rate(1, 30, "titles") == "2.0 titles/min"
    assert rate(1, 7200, "titles") == "0.5 titles/h"


def test_only_what_is_complete_is_a_hundred_percent():
    assert [percent(share) for share in (0.0, 0.009, 0.999, 1.0)] == ["0 %", "0 %", "99 %", "100 %"]
    assert clock(59.6) == "0:01:00"
