"""The one pass over a media file: pictures and sound with their times, streaming."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mediafm_core.errors import TitleError
from mediafm_core.media.container import open_media, stream_at
from mediafm_core.media.probe import LONGEST_S, MediaProbe
from mediafm_core.titles.own_file import OwnFile

if TYPE_CHECKING:
    import av

# Headers round and editors trim: a stream may end this much before its declared end. Measured on
# ordinary files the difference is below 0.1 s; a file cut off in copying lacks far more.
END_TOLERANCE_S = 1.0
# Share of packets that may be damaged. A broadcast recording has single ones; each is counted and
# reported. Packets before a stream's first picture or sound do not count: a recording may begin
# anywhere.
DAMAGE_TOLERANCE = 1e-3
# How far sound may step beyond the title's end, or back, before its time stamps count as damaged.
# A step within the title is a pause in the sound, however long. Programs that join recordings leave
# steps of seconds; damaged stamps lie hours or years away.
SOUND_STEP_TOLERANCE_S = 60.0
_FALLBACK_RATE = 25.0


class Picture(NamedTuple):
    """A decoded frame of the film, stored orientation, and when it appears, in seconds."""

    time_s: float
    frame: "av.VideoFrame"


class Sound(NamedTuple):
    """Decoded samples and when the first of them sounds, in seconds; may be before zero."""

    time_s: float
    frame: "av.AudioFrame"


class FrameClock:
    """Times of the frames of one stream in display order, strictly increasing.

    A frame without a time stamp, or with one that does not lie after its predecessor's, follows
    its predecessor at the predecessor's duration.

    Args:
        start_s: time stamp at which the clock stands at zero, seconds.
        frame_s: duration of a frame that does not say its own, seconds.
    """

    def __init__(self, start_s: float, frame_s: float) -> None:
        self._start_s = start_s
        self._frame_s = frame_s
        self.end_s: float | None = None
        self._last_s = float("-inf")

    def time_of(self, frame: "av.VideoFrame") -> float:
        """The time of the next frame in seconds; `end_s` becomes the time at which it ends."""
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
    packets: int = 0
    damaged: int = 0
    begun: bool = False


class MediaDecoder:
    """Decodes the probed streams of a file once, from start to end.

    Iterate over it once; afterwards `end_s` and `damaged_packets` are final.

    Args:
        file: the media file.
        probe: its description; says which streams to decode.

    Attributes:
        end_s: when the last picture so far ends, seconds.
        damaged_packets: packets so far that could not be decoded.
    """

    def __init__(self, file: OwnFile, probe: MediaProbe) -> None:
        self._file = file
        self._probe = probe
        self._clock = FrameClock(probe.start_s, 1.0 / (probe.video.average_rate or _FALLBACK_RATE))
        self._sound_end_s = 0.0
        self._states: dict[int, _StreamState] = {}

    @property
    def end_s(self) -> float:
        """When the last picture so far ends, seconds."""
        return self._clock.end_s or 0.0

    @property
    def damaged_packets(self) -> int:
        """Packets so far that could not be decoded, after each stream's first frame."""
        return sum(state.damaged for state in self._states.values())

    def __iter__(self) -> Iterator[Picture | Sound]:
        """Pictures in display order and sound in its order, interleaved as in the file.

        Raises:
            TitleError: the file cannot be decoded to its end, too much of it is damaged, or its
                sound steps out of the title or back in it.
        """
        import av
        from av.stream import Discard

        indices = {"video": self._probe.video.index}
        if self._probe.audio is not None:
            indices["audio"] = self._probe.audio.index
        with open_media(self._file) as container:
            streams = [
                stream_at(container, self._file, index, kind) for kind, index in indices.items()
            ]
            for stream in container.streams:
                if stream not in streams:
                    stream.discard = Discard.all  # the demuxer passes over what nobody asked for
            streams[0].codec_context.thread_type = "AUTO"
            packets = container.demux(*streams)
            try:
                for packet in packets:
                    yield from self._decode(packet)
            except av.FFmpegError as error:
                raise TitleError(
                    f"{self._file} cannot be read past {self.end_s:.1f} s ({error.strerror}): it "
                    "is truncated or damaged; copy or export it again."
                ) from error
        self._require_complete()

    def _decode(self, packet: "av.Packet") -> Iterator[Picture | Sound]:
        import av

        state = self._states.setdefault(packet.stream_index, _StreamState())
        state.packets += 1
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            state.damaged += state.begun
            return
        state.damaged += packet.is_corrupt and state.begun
        for frame in frames:
            state.begun = True
            if isinstance(frame, av.VideoFrame):
                yield Picture(self._clock.time_of(frame), frame)
            elif isinstance(frame, av.AudioFrame):
                time_s = self._sound_end_s
                if frame.pts is not None and frame.time_base is not None:
                    time_s = float(frame.pts * frame.time_base) - self._probe.start_s
                    self._require_near(time_s)
                self._sound_end_s = time_s + frame.samples / frame.sample_rate
                yield Sound(time_s, frame)

    def _require_near(self, sound_s: float) -> None:
        """Refuse sound at a time that the title cannot have.

        The soundtrack fills what a step leaves out with silence and drops what it already has: a
        damaged stamp would cost a file of any size and all the sound up to it. Sound may go on
        without a step for as long as it likes. Its limit is the declared end of the pictures, or
        else of the file; in a file that declares none (a live recording, whose sound and pictures
        alternate), it is the last picture so far.
        """
        video_s, file_s = self._probe.video.duration_s, self._probe.duration_s
        declared_s = file_s if video_s is None else video_s
        title_s = min(self.end_s if declared_s is None else declared_s, LONGEST_S)
        latest_s = max(title_s, self._sound_end_s) + SOUND_STEP_TOLERANCE_S
        if not self._sound_end_s - SOUND_STEP_TOLERANCE_S <= sound_s <= latest_s:
            raise TitleError(
                f"{self._file}: the sound steps from {self._sound_end_s:.1f} s to {sound_s:.1f} s "
                f"in a title of {title_s:.1f} s: its time stamps are damaged; convert the file "
                "anew with its sound's time stamps mended."
            )

    def _require_complete(self) -> None:
        video = self._probe.video
        if self._clock.end_s is None:
            raise TitleError(
                f"{self._file}: video stream {video.index} has no picture that can be decoded: "
                "the file is empty or damaged; export it again."
            )
        frame_s = 1.0 / (video.average_rate or _FALLBACK_RATE)
        tolerance_s = max(END_TOLERANCE_S, 2 * frame_s)
        declared_s, reached_s = video.duration_s, self.end_s
        if declared_s is None and not self._probe.subtitles:
            # Only the file's own length is known: that of the longest stream.
            declared_s, reached_s = self._probe.duration_s, max(self.end_s, self._sound_end_s)
        if declared_s is not None and reached_s < declared_s - tolerance_s:
            raise TitleError(
                f"{self._file} ends after {reached_s:.1f} of {declared_s:.1f} declared seconds: "
                "it is truncated; copy or export it again."
            )
        packets = sum(state.packets for state in self._states.values())
        if self.damaged_packets > DAMAGE_TOLERANCE * packets:
            raise TitleError(
                f"{self._file}: {self.damaged_packets} of {packets} packets cannot be decoded: "
                "the file is truncated or damaged; copy or export it again."
            )
