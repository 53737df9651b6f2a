"""Continuous time stamps for files whose time stamps jump or restart (discontinuities).

The video and audio streams of a file share a clock. In joined recordings it restarts; recorders and
broadcasters let it jump. All streams then jump together, and the packets after the jump directly
follow those before it. Players display such files without a gap, and so does this module, for video
and audio alike.

A jump of a single stream is a pause: a frame that stays while the sound continues, or silence while
the video continues. The time stamps are right, and the pause is kept.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

# Formats whose time stamps may be discontinuous (AVFMT_TS_DISCONT in libavformat).
BREAKING_CLOCKS = frozenset({"mpegts", "mpeg", "ogg"})
# Longest step forward that is accepted in these formats if no other stream fills it. The program
# ffmpeg uses the same value (`-dts_delta_threshold`); mpv uses 5 s.
LONGEST_STEP_S = 10.0
# The same for other formats, whose time stamps are explicit: a screen recording without sound may
# show one frame for minutes.
LONGEST_PAUSE_S = 600.0
# Largest total of pauses of more than `LONGEST_STEP_S` that neither stream fills, in a file with
# sound: each second of them becomes a second of silence, however small the file is.
LONGEST_SILENCE_S = 3600.0
# In joined recordings, streams end at slightly different times, and files interleave loosely.
BACK_TOLERANCE_S = 1.0
_OFFSETS_KEPT = 16
# Largest number of frames by which H.264 and HEVC delay a frame's presentation after its decoding.
_REORDERED = 16
_WRAP_S = 2**33 / 90_000  # period of the clock of MPEG streams


@dataclass
class _Stream:
    """Position of one stream: its last packet in the file's clock, and its offset, in seconds."""

    offset_s: float = 0.0
    raw_s: float = float("-inf")
    raw_end_s: float | None = None
    latest_s: float = 0.0

    @property
    def end_s(self) -> float:
        """End of the stream so far in the continuous clock, seconds."""
        return self.offset_s + (self.raw_end_s or 0.0)


@dataclass
class TimelineCoverage:
    """Intervals in which the streams of a file have packets, in seconds.

    Attributes:
        runs: start and end of each run of packets without a long step, by stream index.
    """

    runs: dict[int, list[list[float]]] = field(default_factory=dict)

    def add(self, index: int, time_s: float) -> None:
        """Add the time of a stream's next packet."""
        runs = self.runs.setdefault(index, [])
        if runs and abs(time_s - runs[-1][1]) <= LONGEST_STEP_S:
            runs[-1][1] = max(runs[-1][1], time_s)
        else:
            runs.append([time_s, time_s])

    def fills(self, index: int, start_s: float, end_s: float) -> bool:
        """Return True if a stream other than `index` has packets well inside an interval."""
        return any(
            run[0] < end_s - LONGEST_STEP_S and run[1] > start_s + LONGEST_STEP_S
            for other, runs in self.runs.items()
            if other != index
            for run in runs
        )


class Timeline:
    """Mapping of packets to one continuous clock; packets of an ordinary file are not changed.

    Args:
        format_name: libav's name of the container format.
        start_s: time stamp that becomes time zero of the title, seconds.
        streams: indices of the streams that are read.
        read_coverage: reads the time stamps of the whole file. Called at most once, when a step of
            minutes may be filled by a stream stored elsewhere in the file.

    Attributes:
        jumps: number of jumps of the clock that were closed.
        jumped_s: their total length, forward or back, seconds.
    """

    def __init__(
        self,
        format_name: str,
        start_s: float,
        streams: Iterable[int],
        read_coverage: Callable[[], TimelineCoverage],
    ) -> None:
        self.jumps = 0
        self.jumped_s = 0.0
        self._start_s = start_s
        self._breaks = not BREAKING_CLOCKS.isdisjoint(format_name.split(","))
        self._longest_s = LONGEST_STEP_S if self._breaks else LONGEST_PAUSE_S
        self._streams = {index: _Stream() for index in streams}
        self._offsets = deque([0.0], maxlen=_OFFSETS_KEPT)
        self._silence_s = 0.0
        self._read_coverage = read_coverage
        self._coverage: TimelineCoverage | None = None

    @property
    def stamped_until_s(self) -> float:
        """Latest end of a stream on the file's own clock so far, seconds."""
        return max(stream.latest_s for stream in self._streams.values())

    def place(self, packet: "av.Packet", duration_s: float) -> None:
        """Move a packet's time stamps to the continuous clock, in place.

        Args:
            packet: the next packet of one of the streams.
            duration_s: its duration in seconds, used if the packet has none of its own.
        """
        if (packet.dts is None and packet.pts is None) or packet.time_base is None:
            return
        stream = self._streams[packet.stream_index]
        declared_s = float((packet.duration or 0) * packet.time_base)
        if 0 < declared_s <= LONGEST_PAUSE_S:
            duration_s = declared_s
        raw_s, in_order = _decoding_time(packet, duration_s)
        before_s = self._start_s if stream.raw_end_s is None else stream.raw_end_s
        # A step back is measured from the previous packet's start, since its duration may be wrong.
        back = in_order and raw_s < stream.raw_s - BACK_TOLERANCE_S
        if raw_s - before_s > LONGEST_STEP_S or back:
            self._step(packet.stream_index, before_s, raw_s)
        if in_order or raw_s > before_s:
            stream.raw_s, stream.raw_end_s = raw_s, raw_s + duration_s
            stream.latest_s = max(stream.latest_s, stream.raw_end_s - self._start_s)
        if stream.offset_s:
            shift = round(stream.offset_s / packet.time_base)
            if packet.pts is None and packet.dts is not None:
                packet.dts += shift
            elif packet.pts is not None:
                packet.pts += shift
                packet.dts = None  # may be on the other side of the jump

    def _step(self, index: int, before_s: float, raw_s: float) -> None:
        """Handle a packet that does not follow its stream's last one: a pause or a jump."""
        stream = self._streams[index]
        others = [each for other, each in self._streams.items() if other != index]
        started = [other for other in others if other.raw_end_s is not None]
        end_s = before_s + stream.offset_s
        if self._follow(stream, started, end_s, raw_s):
            return
        if raw_s > before_s and self._is_pause(index, started, before_s, raw_s, bool(others)):
            return
        stream.offset_s = max([end_s, *(other.end_s for other in started)]) - raw_s
        self._offsets.append(stream.offset_s)
        self.jumps += 1
        step_s = raw_s - before_s
        if self._breaks and step_s > _WRAP_S / 2:
            step_s -= _WRAP_S  # libav interprets a step back as a clock that has wrapped
        self.jumped_s += abs(step_s)

    def _follow(self, stream: _Stream, others: list[_Stream], end_s: float, raw_s: float) -> bool:
        """Apply a known offset, of another stream or an earlier one, if the packet then follows."""
        known = [(other.offset_s, max(end_s, other.end_s)) for other in others]
        known += [(offset_s, end_s) for offset_s in reversed(self._offsets)]
        for offset_s, now_s in known:
            placed_s = raw_s + offset_s
            if (
                offset_s != stream.offset_s
                and end_s - LONGEST_STEP_S / 2 <= placed_s <= now_s + LONGEST_STEP_S / 2
            ):
                stream.offset_s = offset_s
                return True
        return False

    def _is_pause(
        self,
        index: int,
        others: list[_Stream],
        before_s: float,
        raw_s: float,
        has_others: bool,
    ) -> bool:
        """Return True if a step forward is a pause, which belongs to the title."""
        middle_s = (before_s + raw_s) / 2
        offset_s = self._streams[index].offset_s
        if any(
            other.offset_s == offset_s and (other.raw_end_s or 0.0) > middle_s for other in others
        ):
            return True
        silence_s = self._silence_s + (raw_s - before_s if has_others else 0.0)
        if raw_s - before_s <= self._longest_s and silence_s <= LONGEST_SILENCE_S:
            self._silence_s = silence_s
            return True
        if self._breaks:
            return False
        if self._coverage is None:
            self._coverage = self._read_coverage()
        return self._coverage.fills(index, before_s, raw_s)


def _decoding_time(packet: "av.Packet", duration_s: float) -> tuple[float, bool]:
    """Return the time of a packet on the file's clock, and True if such times are ascending.

    The time is the decoding time, or the presentation time if the two are on different sides of a
    jump. Without decoding times, the times are not ascending, because frames may refer to later
    ones.
    """
    base = packet.time_base
    presented_s = None if packet.pts is None else float(packet.pts * base)
    if packet.dts is None:
        return presented_s or 0.0, False
    decoded_s = float(packet.dts * base)
    ahead_s = max(LONGEST_STEP_S, _REORDERED * duration_s)
    stepped = presented_s is not None and presented_s - decoded_s > ahead_s
    return (presented_s if stepped and presented_s is not None else decoded_s), True
