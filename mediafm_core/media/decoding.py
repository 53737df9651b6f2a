"""Streaming decode of a media file in one pass: video frames and audio samples with their times."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mediafm_core.errors import TitleError
from mediafm_core.media.container import cause_in, open_media, packets_of, stream_at
from mediafm_core.media.damage import SUSPICIOUS_FORMATS, undecodable_packets
from mediafm_core.media.mono import MAX_CHANNELS
from mediafm_core.media.probe import MEASURED_FORMATS, MediaProbe
from mediafm_core.media.timeline import LONGEST_PAUSE_S, Timeline, TimelineCoverage
from mediafm_core.titles.title_file import TitleFile

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

# A stream may end this much before its declared end, because headers round and editors trim.
# In ordinary files the measured difference is below 0.1 s; a file truncated in copying lacks more.
END_TOLERANCE_S = 1.0
# Fraction of packets that may be damaged. Broadcast recordings have single ones; each is counted
# and reported. Packets before a stream's first frame do not count, because a recording may begin
# anywhere.
DAMAGE_TOLERANCE = 1e-3
# Number of incomplete frames that even the shortest file may have: the decoder returns them with
# the missing parts concealed.
INCOMPLETE_TOLERANCE = 1
# Kinds of streams that may be longer than the film, so that the file's length is not the film's.
_OUTLASTING = frozenset({"subtitle", "data"})
_FALLBACK_RATE = 25.0


class Picture(NamedTuple):
    """A decoded video frame in stored orientation, and its presentation time in seconds."""

    time_s: float
    frame: "av.VideoFrame"


class Sound(NamedTuple):
    """Decoded audio samples and the time of the first one in seconds, which may be negative."""

    time_s: float
    frame: "av.AudioFrame"


class FrameClock:
    """Strictly increasing times of one stream's frames in display order.

    A frame with no time stamp, or with one that is not later than its predecessor's, is placed at
    the end of its predecessor.

    Args:
        start_s: time stamp that becomes time zero, seconds.
        frame_s: duration of a frame that has no duration of its own, seconds.
    """

    def __init__(self, start_s: float, frame_s: float) -> None:
        self._start_s = start_s
        self._frame_s = frame_s
        self.end_s: float | None = None
        self._last_s = float("-inf")

    def time_of(self, frame: "av.VideoFrame") -> float:
        """Return the time of the next frame in seconds, and set `end_s` to the time of its end."""
        time_s = self.end_s if self.end_s is not None else 0.0
        if frame.pts is not None and frame.time_base is not None:
            stamp_s = float(frame.pts * frame.time_base) - self._start_s
            if stamp_s > self._last_s:
                time_s = stamp_s
        duration_s = self._frame_s
        if frame.duration and frame.time_base is not None:
            duration_s = float(frame.duration * frame.time_base)
        self._last_s = time_s
        self.end_s = time_s + duration_s
        return time_s


@dataclass
class _StreamState:
    """Counts of one stream's packets and frames.

    Attributes:
        damaged: packets that the decoder refused, after the first frame.
        suspected: packets that the container marks as corrupt, which may be wrong.
        started: a frame has been decoded.
        due: packets from the first key frame on.
    """

    packets: int = 0
    damaged: int = 0
    suspected: int = 0
    started: bool = False
    due: int = 0
    frames: int = 0

    @property
    def missing(self) -> int:
        """Packets without a frame; 0 for interlaced streams with one packet per field."""
        return 0 if self.due > 1.9 * self.frames else max(0, self.due - self.frames)


class MediaDecoder:
    """Streaming decoder of the probed streams of a file, once, from start to end.

    Iterate over it once; the attributes are final afterwards.

    Args:
        file: the media file.
        probe: its description, with the streams to decode.

    Attributes:
        end_s: end of the title decoded so far, in seconds: the end of its last frame. If the sound
            is longer by more than `END_TOLERANCE_S`, the last frame is taken to last until the
            sound ends.
        damaged_packets: packets so far that could not be decoded, or not completely.
        clock_jumps: number of jumps of the file's clock that were closed, see `Timeline`.
        clock_jumped_s: their total length, seconds.
    """

    def __init__(self, file: TitleFile, probe: MediaProbe) -> None:
        self._file = file
        self._probe = probe
        self._frame_s = 1.0 / (probe.video.average_rate or _FALLBACK_RATE)
        if self._frame_s > LONGEST_PAUSE_S:  # an average rate over a long gap
            self._frame_s = 1.0 / _FALLBACK_RATE
        self._clock = FrameClock(probe.start_s, self._frame_s)
        self._sound_end_s = 0.0
        self._states = {index: _StreamState() for index in self._indices.values()}
        self._timeline = Timeline(
            probe.container, probe.start_s, self._indices.values(), self._read_coverage
        )
        self._has_other_streams = False
        self._incomplete = 0
        self._finished = False

    @property
    def end_s(self) -> float:
        """End of the title decoded so far, seconds; see the class."""
        video_end_s = self._clock.end_s or 0.0
        sound_is_longer = self._finished and self._sound_end_s > video_end_s + END_TOLERANCE_S
        return self._sound_end_s if sound_is_longer else video_end_s

    @property
    def damaged_packets(self) -> int:
        """Packets so far that could not be decoded completely, after each stream's first frame."""
        return sum(state.damaged for state in self._states.values()) + self._incomplete

    @property
    def clock_jumps(self) -> int:
        """Number of jumps of the file's clock that were closed."""
        return self._timeline.jumps

    @property
    def clock_jumped_s(self) -> float:
        """Total length of those jumps, seconds."""
        return self._timeline.jumped_s

    @property
    def _indices(self) -> dict[str, int]:
        """Indices of the streams to decode, by kind."""
        indices = {"video": self._probe.video.index}
        if self._probe.audio is not None:
            indices["audio"] = self._probe.audio.index
        return indices

    def __iter__(self) -> Iterator[Picture | Sound]:
        """Yield frames in display order and sound in its order, interleaved as in the file.

        Raises:
            TitleError: the file cannot be decoded to its end, or too much of it is damaged.
        """
        import av

        with self._open() as (container, streams):
            self._has_other_streams = any(
                stream.type in _OUTLASTING and stream not in streams for stream in container.streams
            )
            streams[0].codec_context.thread_type = "AUTO"
            try:
                for packet in packets_of(container, *streams):
                    yield from self._decode(packet)
            except av.FFmpegError as error:
                raise TitleError(
                    f"{self._file} cannot be read past {self.end_s:.1f} s ({error.strerror}): it "
                    "is truncated or damaged; copy or export it again."
                ) from cause_in(self._file, error)
        self._require_complete()
        self._require_undamaged()
        self._finished = True

    @contextmanager
    def _open(self) -> "Iterator[tuple[InputContainer, list[Any]]]":
        """Open the file and its probed streams; the demuxer discards the others."""
        from av.stream import Discard

        with open_media(self._file) as container:
            streams = [
                stream_at(container, self._file, index, kind)
                for kind, index in self._indices.items()
            ]
            for stream in container.streams:
                if stream not in streams:
                    stream.discard = Discard.all
            yield container, streams

    def _read_coverage(self) -> TimelineCoverage:
        """Read the time stamps of the whole file, without decoding.

        The running decode reads the same descriptor, so its position is restored.
        """
        coverage = TimelineCoverage()
        position = os.lseek(self._file.fileno(), 0, os.SEEK_CUR)
        with self._open() as (container, streams):
            for packet in packets_of(container, *streams):
                stamp = packet.pts if packet.dts is None else packet.dts
                if stamp is not None and packet.time_base is not None:
                    time_s = float(stamp * packet.time_base)
                    coverage.add(packet.stream_index, time_s)
        os.lseek(self._file.fileno(), position, os.SEEK_SET)
        return coverage

    def _decode(self, packet: "av.Packet") -> Iterator[Picture | Sound]:
        import av

        index = packet.stream.index  # the empty packet at the end has no `stream_index` of its own
        is_video = index == self._probe.video.index
        state = self._states[index]
        state.packets += 1
        state.due += packet.size > 0 and (packet.is_keyframe or state.due > 0)
        self._timeline.place(packet, self._frame_s if is_video else 0.0)
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            state.damaged += state.started
            return
        if packet.is_corrupt and state.started:
            if self._probe.container in SUSPICIOUS_FORMATS:
                state.suspected += 1
            else:  # truncated: the file ends within it
                state.damaged += 1
        for frame in frames:
            state.started = True
            state.frames += 1
            if isinstance(frame, av.VideoFrame):
                yield Picture(self._clock.time_of(frame), frame)
            elif isinstance(frame, av.AudioFrame):
                self._require_mixable(frame)
                time_s = self._sound_end_s
                if frame.pts is not None and frame.time_base is not None:
                    time_s = float(frame.pts * frame.time_base) - self._probe.start_s
                self._sound_end_s = time_s + frame.samples / frame.sample_rate
                yield Sound(time_s, frame)

    def _require_mixable(self, frame: "av.AudioFrame") -> None:
        """Refuse audio of a format that cannot be mixed and that the header did not announce.

        `probe` does not choose streams whose header announces such a format.
        """
        channels = frame.layout.nb_channels
        if frame.sample_rate <= 0 or not 0 < channels <= MAX_CHANNELS:
            raise TitleError(
                f"{self._file}: its sound has {channels} channels at {frame.sample_rate} Hz after "
                f"{self._sound_end_s:.1f} s: convert the sound to stereo at 48000 Hz."
            )

    def _require_complete(self) -> None:
        """Refuse a file that ends before the length in its header."""
        video = self._probe.video
        if self._clock.end_s is None:
            raise TitleError(
                f"{self._file}: video stream {video.index} has no picture that can be decoded: "
                "the file is empty or damaged; export it again."
            )
        tolerance_s = max(END_TOLERANCE_S, 2 * self._frame_s)
        declared_s = video.duration_s
        reached_s = self._clock.end_s
        if (
            declared_s is None
            and not self._has_other_streams
            and self._probe.container not in MEASURED_FORMATS
        ):
            # Only the container's length is known, which is that of the longest stream.
            declared_s, reached_s = self._probe.duration_s, max(reached_s, self._sound_end_s)
        if self.clock_jumps:  # the declared length includes the jumps that were closed
            reached_s = max(reached_s, self._timeline.stamped_until_s)
        if declared_s is not None and reached_s < declared_s - tolerance_s:
            raise TitleError(
                f"{self._file} ends after {reached_s:.1f} of {declared_s:.1f} declared seconds: "
                "it is truncated; copy or export it again."
            )

    def _require_undamaged(self) -> None:
        """Refuse a file with too many damaged packets."""
        video = self._probe.video.index
        state = self._states[video]
        if state.suspected:
            failed = undecodable_packets(self._file, video) - state.damaged
            if failed > 0:
                self._incomplete = max(min(state.suspected, failed), state.missing)
        packets = sum(state.packets for state in self._states.values())
        allowed = DAMAGE_TOLERANCE * packets
        undecoded = self.damaged_packets - self._incomplete
        if undecoded > allowed or self.damaged_packets > max(allowed, INCOMPLETE_TOLERANCE):
            raise TitleError(
                f"{self._file}: {self.damaged_packets} of {packets} packets cannot be decoded: "
                "the file is truncated or damaged; copy or export it again."
            )
