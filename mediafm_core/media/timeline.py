"""One continuous clock for files whose own clock jumps or starts anew.

Pictures and sound of a file share a clock. Recordings that were joined start it anew; recorders
and broadcasters let it jump. Then both go on at once elsewhere, and what follows belongs right
after what came before: players show it so, and so does this module, for pictures and sound alike.

A step of one stream alone is something else: a picture that stands while the sound goes on, or a
silence while the pictures do. The clock is right there, and the pause is kept.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

# Formats in which a clock may break off and go on elsewhere (AVFMT_TS_DISCONT in libavformat).
BREAKING_CLOCKS = frozenset({"mpegts", "mpeg", "ogg"})
# Longest step forward that such a clock is believed without a stream that fills it. The program
# ffmpeg takes the same (`-dts_delta_threshold`); mpv takes 5 s.
LONGEST_STEP_S = 10.0
# The same for other formats, which state when each picture and sound begins: a screen recording
# without sound shows one picture for minutes.
LONGEST_PAUSE_S = 600.0
# All pauses of more than `LONGEST_STEP_S` that neither stream fills, in a file with sound: each
# second of them becomes a second of silence, however small the file is.
LONGEST_SILENCE_S = 3600.0
# Streams are cut at different places where recordings are joined, and files interleave loosely.
BACK_TOLERANCE_S = 1.0
_OFFSETS_KEPT = 16
# Most pictures by which H.264 and HEVC show one later than it is decoded.
_REORDERED = 16
_WRAP_S = 2**33 / 90_000  # of the clock of MPEG streams


@dataclass
class _Stream:
    """Place of one stream: its last packet in the file's clock, and what is added; seconds."""

    offset_s: float = 0.0
    raw_s: float = float("-inf")
    raw_end_s: float | None = None
    latest_s: float = 0.0

    @property
    def end_s(self) -> float:
        """End of the stream so far in the continuous clock."""
        return self.offset_s + (self.raw_end_s or 0.0)


@dataclass
class TimelineCoverage:
    """Times at which the streams of a file have packets: runs without a long step, in seconds.

    Attributes:
        runs: start and end of each run by the index of the stream.
    """

    runs: dict[int, list[list[float]]] = field(default_factory=dict)

    def add(self, index: int, time_s: float) -> None:
        """Take the time of a stream's next packet."""
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
    """Moves packets to one continuous clock; those of an ordinary file stay as they are.

    Args:
        format_name: libav's name of the container format.
        start_s: time stamp at which the title's clock stands at zero.
        streams: indices of the streams that are read.
        read_coverage: reads the time stamps of the whole file. It is called at most once, where a
            step of minutes may be filled by a stream that lies elsewhere in the file.

    Attributes:
        jumps: steps of the clock that were closed.
        jumped_s: their lengths in seconds, forward or back.
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
            duration_s: its length where it does not say its own.
        """
        if (packet.dts is None and packet.pts is None) or packet.time_base is None:
            return
        stream = self._streams[packet.stream_index]
        said_s = float((packet.duration or 0) * packet.time_base)
        if 0 < said_s <= LONGEST_PAUSE_S:
            duration_s = said_s
        raw_s, in_order = _decoding_time(packet, duration_s)
        before_s = self._start_s if stream.raw_end_s is None else stream.raw_end_s
        # A step back is one from the start of the packet before: its length may be wrong.
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
                packet.dts = None  # may lie on the other side of the step

    def _step(self, index: int, before_s: float, raw_s: float) -> None:
        """Decide where a stream goes on that does not go on where it has ended."""
        stream = self._streams[index]
        others = [each for other, each in self._streams.items() if other != index]
        begun = [other for other in others if other.raw_end_s is not None]
        end_s = before_s + stream.offset_s
        if self._follow(stream, begun, end_s, raw_s):
            return
        if raw_s > before_s and self._is_pause(index, begun, before_s, raw_s, bool(others)):
            return
        stream.offset_s = max([end_s, *(other.end_s for other in begun)]) - raw_s
        self._offsets.append(stream.offset_s)
        self.jumps += 1
        step_s = raw_s - before_s
        if self._breaks and step_s > _WRAP_S / 2:
            step_s -= _WRAP_S  # libav takes a step back for a clock that has wrapped
        self.jumped_s += abs(step_s)

    def _follow(self, stream: _Stream, others: list[_Stream], end_s: float, raw_s: float) -> bool:
        """Take over an offset that is known: the other stream's, or an earlier one."""
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
        """Return True for a step forward that is time of the title."""
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
    """Time of a packet on the file's clock, and whether those of a stream should be in order.

    It is the time of decoding, or that of presentation where the decoding time lies before a step
    and the presentation behind it. Presentation times alone are out of order where pictures refer
    to later ones.
    """
    base = packet.time_base
    presented_s = None if packet.pts is None else float(packet.pts * base)
    if packet.dts is None:
        return presented_s or 0.0, False
    decoded_s = float(packet.dts * base)
    ahead_s = max(LONGEST_STEP_S, _REORDERED * duration_s)
    stepped = presented_s is not None and presented_s - decoded_s > ahead_s
    return (presented_s if stepped and presented_s is not None else decoded_s), True
