"""Resource limits of a child: CPU time, memory, open files, written bytes, time without progress.

They are derived from the size and description of the input, with a wide margin: a film of two
hours in 1080p takes about half an hour of CPU time, and may take nine hours.
"""

import math
import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mediafm_core.config.media_settings import LimitSettings

if TYPE_CHECKING:
    from mediafm_core.media.probe import MediaProbe

_MIB = 1 << 20
_START_CPU_S = 60.0
_CPU_S_PER_MIB = 1.0
# CPU seconds allowed per second of video of one megapixel at 25 frames per second. 1080p in High
# profile takes 0.1 on a Xeon.
_CPU_S_PER_SECOND = 2.0
_USUAL_RATE, _MOST_TIMES_RATE = 25.0, 10.0
_UNDECLARED_BYTES_PER_S = 12_500  # assumed for a film without a declared length: 100 kbit/s
# A declared length is accepted up to the size divided by this rate, 2 kbit/s, which is too little
# for moving pictures, plus ten minutes of a still image.
_LEAST_BYTES_PER_S, _STILL_S = 250, 600.0
# A decoder keeps 16 reference frames, one or two for each of its threads, and some in its queue.
# 4 bytes hold a pixel of 4:2:0 in 16 bits with padding.
_PICTURES, _BYTES_PER_PIXEL = 48, 4
_STACK_BYTES = 16 * _MIB  # of each thread, with its allocator's reserve
_SHARED_BYTES = 4096 * _MIB  # address space beside private memory: mapped libraries, reserves
_SOUND_BYTES_PER_S = 32_000  # 16 kHz, 16 bit, uncompressed
_START_WRITTEN = 64 * _MIB
_OPEN_FILES = 64
# Also ends, much later, a child that reports progress but uses no CPU time.
_WALL_PER_CPU, _START_WALL_S = 4.0, 600.0


class Limits(NamedTuple):
    """Limits of one child.

    Attributes:
        cpu_s: CPU seconds of all its threads.
        memory_bytes: private memory in addition to that of a new child.
        written_bytes: largest size of a file that it writes.
        no_progress_s: wall time without a message and without reading or writing.
        wall_s: total wall time, without the time in which it waits for this process.
        frames: largest number of video frames that it may send.
    """

    cpu_s: float
    memory_bytes: int
    written_bytes: int
    no_progress_s: float
    wall_s: float
    frames: int

    @property
    def picture_bytes(self) -> int:
        """Largest total size of its keyframes, bytes: many times that of the sound."""
        return 32 * self.written_bytes

    @property
    def memory(self) -> str:
        """The memory limit for people, in GiB."""
        return f"{self.memory_bytes / (1 << 30):.1f} GiB"


def limits_for(
    settings: LimitSettings, size_bytes: int, probe: "MediaProbe | None" = None
) -> Limits:
    """Return the limits for reading a file.

    Args:
        settings: of the platform.
        size_bytes: of the file.
        probe: its description, if it is to be decoded. The child that made it may have been taken
            over by its input, so every number in it is bounded here.
    """
    from mediafm_core.media.probe import LONGEST_S, MAX_PIXELS

    seconds, pixels, rate = 0.0, 0, _USUAL_RATE
    if probe is not None:
        longest_s = min(_STILL_S + size_bytes / _LEAST_BYTES_PER_S, LONGEST_S)
        seconds = _bounded(probe.duration_s, size_bytes / _UNDECLARED_BYTES_PER_S, longest_s)
        pixels = min(max(probe.video.width * probe.video.height, 0), MAX_PIXELS)
        rate = _bounded(probe.video.average_rate, _USUAL_RATE, _MOST_TIMES_RATE * _USUAL_RATE)
    work = seconds * max(1.0, pixels / 1e6) * max(1.0, rate / _USUAL_RATE)
    cpu_s = _START_CPU_S + _CPU_S_PER_SECOND * work + _CPU_S_PER_MIB * size_bytes / _MIB
    cpu_s = math.ceil(settings.cpu_factor * cpu_s)
    return Limits(
        cpu_s=cpu_s,
        memory_bytes=settings.memory_mb * _MIB + _PICTURES * _BYTES_PER_PIXEL * pixels,
        written_bytes=_START_WRITTEN + round(_SOUND_BYTES_PER_S * seconds),
        no_progress_s=settings.no_progress_s,
        wall_s=_START_WALL_S + _WALL_PER_CPU * cpu_s,
        frames=100_000 + size_bytes,
    )


def apply(limits: Limits) -> None:
    """Apply limits to the calling process, before it reads anything.

    The memory limit is on private memory and not on address space, because allocators reserve much
    address space that they never use. Shared memory does not count as private memory, so address
    space has a wider limit of its own.
    """
    threads = _STACK_BYTES * (os.cpu_count() or 1)
    data_bytes, mapped_bytes = _memory_in_use()
    _limit(resource.RLIMIT_CPU, round(limits.cpu_s), grace=1)
    _limit(resource.RLIMIT_DATA, data_bytes + limits.memory_bytes + threads)
    address_space = mapped_bytes + 2 * limits.memory_bytes + 8 * threads + _SHARED_BYTES
    _limit(resource.RLIMIT_AS, address_space)
    _limit(resource.RLIMIT_FSIZE, limits.written_bytes)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)


def _bounded(value: float | None, otherwise: float, most: float) -> float:
    chosen = otherwise if value is None or not math.isfinite(value) else value
    return min(max(chosen, 0.0), most)


def _limit(which: int, value: int, grace: int = 0) -> None:
    """Lower a resource limit of this process; a limit that is lower already stays.

    Args:
        which: the limit, a `resource.RLIMIT_*` constant.
        value: the soft limit.
        grace: added to the soft limit for the hard limit.
    """
    _, hard = resource.getrlimit(which)
    end = value + grace
    if hard != resource.RLIM_INFINITY:
        value, end = min(value, hard), min(end, hard)
    with suppress(ValueError, OSError):  # a system that does not support this limit
        resource.setrlimit(which, (value, end))


def _memory_in_use() -> tuple[int, int]:
    """Return the bytes of private writable memory and of address space of this process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        return 0, 0
    found = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return tuple(1024 * int(found[name].split()[0]) for name in ("VmData", "VmSize"))  # type: ignore[return-value]
