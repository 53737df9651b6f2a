"""Limits are derived from size and description of the input, and every number is bounded."""

import math
from itertools import pairwise

import pytest
from media_probes import described

from mediafm_core.config.media_settings import LimitSettings
from mediafm_core.isolation.limits import limits_for

MIB = 1 << 20
HOUR = 3600.0


def test_the_limits_of_an_ordinary_film_are_wide() -> None:
    film = described(width=1920, height=1080, duration_s=2 * HOUR, average_rate=25.0)
    limits = limits_for(LimitSettings(), 5000 * MIB, film)
    taken_s = 2 * 760.0  # High profile, decoding and scaling, two hours
    assert 10 * taken_s < limits.cpu_s < 100 * taken_s
    assert limits.written_bytes > 2 * HOUR * 32_000
    assert limits.frames > 2 * HOUR * 60


def test_limits_grow_with_inputs_and_settings() -> None:
    sizes = [limits_for(LimitSettings(), size) for size in (0, MIB, 1000 * MIB)]
    lengths = [
        limits_for(LimitSettings(), 1000 * MIB, described(duration_s=hours * HOUR))
        for hours in (0.1, 1, 3)
    ]
    pictures = [
        limits_for(LimitSettings(), MIB, described(width=16 * side, height=9 * side))
        for side in (120, 240, 480)
    ]
    for group in (sizes, lengths, pictures):
        assert all(less.cpu_s < more.cpu_s for less, more in pairwise(group))
    assert pictures[0].memory_bytes < pictures[2].memory_bytes
    doubled = limits_for(LimitSettings(cpu_factor=2.0, memory_mb=4096, no_progress_s=9.0), MIB)
    assert doubled.cpu_s == pytest.approx(2 * sizes[1].cpu_s, abs=1)
    assert doubled.memory_bytes == 4096 * MIB
    assert doubled.no_progress_s == 9.0


@pytest.mark.parametrize(
    "forged",
    [
        {"duration_s": 239 * HOUR},
        {"duration_s": math.inf},
        {"duration_s": math.nan},
        {"duration_s": -1.0},
        {"average_rate": 1e9},
        {"average_rate": math.nan},
        {"width": 1 << 40, "height": 1 << 40},
        {"width": -5},
    ],
)
def test_a_small_file_with_a_forged_header_gets_low_limits(forged: dict) -> None:
    limits = limits_for(LimitSettings(), 6000, described(**forged))
    honest = limits_for(LimitSettings(), 6000, described())
    assert all(map(math.isfinite, limits))
    assert 60 <= limits.cpu_s < 20 * 24 * HOUR
    assert limits.written_bytes < 128 * MIB
    if "width" not in forged and "average_rate" not in forged:
        assert limits.cpu_s <= 60 + 2 * 700
    assert limits.frames == honest.frames
