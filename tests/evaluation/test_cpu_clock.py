"""CPU seconds are divided among kinds of work without counting any twice."""

import time

import pytest

from mediafm_core.evaluation.cpu_clock import CpuClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> CpuClock:
    """Return a clock of a processor that works one second between any two readings."""
    seconds = iter(range(100))
    monkeypatch.setattr(time, "process_time", lambda: float(next(seconds)))
    return CpuClock()


def test_work_within_work_counts_for_the_inner_kind(clock: CpuClock) -> None:
    with clock.working("probes", "flat"):
        pass
    with clock.working("probes", "in_context"), clock.working("training", "in_context"):
        pass
    assert clock.seconds() == {
        "total": 7.0,
        "rest": 3.0,
        "probes": {"flat": 1.0, "in_context": 2.0},
        "training": {"in_context": 1.0},
    }


def test_work_that_fails_counts(clock: CpuClock) -> None:
    with pytest.raises(ValueError, match="broken"), clock.working("intervals"):
        raise ValueError("broken")
    assert clock.seconds() == {"total": 3.0, "rest": 2.0, "intervals": 1.0}
