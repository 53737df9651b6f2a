"""Decode of a title in one pass: shots, keyframes and soundtrack.

    media -> frames -> thumbnails -> detector -> boundaries -+-> shots
                    -> keyframe candidates ------------------+-> keyframes
          -> sound  -> soundtrack

Frames are kept as scaled-down keyframe candidates until the detector's output assigns them to a
shot: at most one detector window of them. All parts run one after the other in one thread, so that
the CPU time of each can be measured; decoder and network use all cores themselves.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
import pyarrow as pa

from mediafm_core.config.media_settings import KeyframeSettings
from mediafm_core.media.decoding import MediaDecoder, Picture, Sound
from mediafm_core.media.probe import MediaProbe
from mediafm_core.media.scaling import PictureScaler, Thumbnails
from mediafm_core.media.soundtrack import SoundtrackWriter
from mediafm_core.shots.boundaries import BoundaryFinder
from mediafm_core.shots.detector import (
    FRAME_HEIGHT,
    FRAME_WIDTH,
    Probabilities,
    StreamingDetector,
)
from mediafm_core.shots.keyframes import KeyframeCandidate, KeyframeEncoder, OpenShot
from mediafm_core.titles.title_file import TitleFile

SHOT_SCHEMA = pa.schema(
    [
        pa.field("title_id", pa.string(), nullable=False),
        pa.field("shot_index", pa.int32(), nullable=False),
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64(), nullable=False),
        pa.field("start_frame", pa.int64(), nullable=False),
        pa.field("end_frame", pa.int64(), nullable=False),
    ]
)
"""One row per shot: half-open seconds; `end_frame` is the last frame of the shot."""

PARTS = ("decode", "detect", "keyframes", "soundtrack")
_FRAMES_PER_PUSH = 64
_KEYFRAMES_PER_BATCH = 64


@dataclass(frozen=True)
class DecodeSummary:
    """Result of the decode of a title.

    Attributes:
        shots: one row per shot, `SHOT_SCHEMA`.
        frames: number of decoded video frames.
        duration_s: end of the last shot, seconds; see `MediaDecoder.end_s`.
        keyframes: number of keyframes passed to the sink.
        soundtrack_s: length of the soundtrack, 0.0 for a title without sound (then no file).
        damaged_packets: packets that could not be decoded, fewer than the tolerance.
        clock: `clock_jumps`, the number of jumps of the file's clock that were closed (see
            `Timeline`), and `clock_jumped_s`, their total length; empty without jumps.
        sound: see `SoundtrackWriter.facts`.
        cpu_seconds: CPU time of the process by part, see `PARTS`.
    """

    shots: pa.Table
    frames: int
    duration_s: float
    keyframes: int
    soundtrack_s: float
    damaged_packets: int
    clock: dict[str, int | float]
    sound: dict[str, int | float]
    cpu_seconds: dict[str, float]


def decode_title(
    file: TitleFile,
    title_id: str,
    probe: MediaProbe,
    detector: StreamingDetector,
    settings: KeyframeSettings,
    keyframe_sink: Callable[[pa.RecordBatch], None],
    soundtrack_file: Path | FileIO,
    progress: Callable[[float], None] | None = None,
) -> DecodeSummary:
    """Decode a title in one pass, in memory that does not grow with its length.

    Args:
        file: the media file.
        title_id: written to each row.
        probe: description of the media file.
        detector: finds the transitions.
        settings: number, size and quality of keyframes.
        keyframe_sink: called with record batches of `KEYFRAME_SCHEMA`, in the order of shots.
        soundtrack_file: FLAC file to write, 16 kHz mono, sample 0 at time zero; see
            `SoundtrackWriter`.
        progress: called once per batch of frames with the decoded seconds of the title.

    Raises:
        TitleError: the media cannot be decoded to its end.
    """
    stream = detector.stream()  # loads the network, whose CPU time is not counted for this title
    meter = _CpuMeter()
    media = MediaDecoder(file, probe)
    assembler = _ShotAssembler(title_id, probe, detector.threshold, settings, keyframe_sink)
    thumbnails = Thumbnails(FRAME_WIDTH, FRAME_HEIGHT, probe.video.orientation)
    scaler = PictureScaler(probe.video, settings.short_side)
    batch = np.empty((_FRAMES_PER_PUSH, FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
    frames = 0

    with SoundtrackWriter(soundtrack_file) as soundtrack:
        for item in media:
            meter.charge("decode")
            match item:
                case Sound():
                    soundtrack.write(item)
                    meter.charge("soundtrack")
                case Picture(time_s, frame):
                    batch[frames % _FRAMES_PER_PUSH] = thumbnails.scale(frame)
                    meter.charge("decode")
                    assembler.wait(KeyframeCandidate(frames, time_s, scaler.scale(frame)))
                    meter.charge("keyframes")
                    frames += 1
                    if frames % _FRAMES_PER_PUSH == 0:
                        probabilities = stream.push(batch)
                        meter.charge("detect")
                        assembler.advance(probabilities)
                        if progress is not None:
                            progress(time_s)
                        meter.charge("keyframes")
        meter.charge("decode")
    meter.charge("soundtrack")

    remaining = [stream.push(batch[: frames % _FRAMES_PER_PUSH]), stream.finish()]
    meter.charge("detect")
    assembler.advance(np.concatenate(remaining))
    shots = assembler.finish(media.end_s)
    meter.charge("keyframes")
    return DecodeSummary(
        shots=shots,
        frames=frames,
        duration_s=media.end_s,
        keyframes=assembler.keyframes,
        soundtrack_s=soundtrack.seconds,
        damaged_packets=media.damaged_packets,
        clock=_clock_facts(media),
        sound=soundtrack.facts(),
        cpu_seconds=meter.seconds,
    )


def _clock_facts(media: MediaDecoder) -> dict[str, int | float]:
    if not media.clock_jumps:
        return {}
    return {"clock_jumps": media.clock_jumps, "clock_jumped_s": round(media.clock_jumped_s, 3)}


class _ShotAssembler:
    """Assembly of shots from waiting frames, as the detector returns their probabilities."""

    def __init__(
        self,
        title_id: str,
        probe: MediaProbe,
        threshold: float,
        settings: KeyframeSettings,
        sink: Callable[[pa.RecordBatch], None],
    ) -> None:
        self._title_id = title_id
        self._per_shot = settings.per_shot
        self._sink = sink
        self._boundaries = BoundaryFinder(threshold)
        self._encoder = KeyframeEncoder(title_id, probe.video.orientation, settings.jpeg_quality)
        self._waiting: deque[KeyframeCandidate] = deque()
        self._shot = OpenShot(settings.per_shot)
        self._start_s: list[float] = []
        self._start_frame: list[int] = []
        self.keyframes = 0

    def wait(self, candidate: KeyframeCandidate) -> None:
        """Add the next frame, whose shot is not known yet."""
        self._waiting.append(candidate)

    def advance(self, probabilities: Probabilities) -> None:
        """Assign waiting frames to shots by the probabilities of the next frames."""
        starts = {0} if self._boundaries.frames == 0 else set()
        starts.update(self._boundaries.push(probabilities).tolist())
        while self._waiting and self._waiting[0].frame < self._boundaries.frames:
            candidate = self._waiting.popleft()
            if candidate.frame in starts:
                if self._start_s:
                    self._close_shot(candidate.time_s)
                self._start_s.append(candidate.time_s)
                self._start_frame.append(candidate.frame)
                self._shot = OpenShot(self._per_shot)
            self._shot.add(candidate)

    def finish(self, end_s: float) -> pa.Table:
        """End the last shot and return the table of all shots."""
        self._close_shot(end_s)
        self._flush()
        count = len(self._start_s)
        return pa.table(
            {
                "title_id": pa.repeat(self._title_id, count),
                "shot_index": np.arange(count, dtype=np.int32),
                "start_s": np.array(self._start_s),
                "end_s": np.array([*self._start_s[1:], end_s]),
                "start_frame": np.array(self._start_frame, np.int64),
                "end_frame": np.array([*self._start_frame[1:], self._boundaries.frames]) - 1,
            },
            schema=SHOT_SCHEMA,
        )

    def _close_shot(self, end_s: float) -> None:
        keyframes = self._shot.keyframes(end_s)
        self._encoder.add(len(self._start_s) - 1, keyframes)
        self.keyframes += len(keyframes)
        if len(self._encoder) >= _KEYFRAMES_PER_BATCH:
            self._flush()

    def _flush(self) -> None:
        if len(self._encoder):
            self._sink(self._encoder.take())


class _CpuMeter:
    """CPU time of the process, all threads, by part."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._last = time.process_time()

    def charge(self, part: str) -> None:
        """Add the CPU time since the last call to a part."""
        now = time.process_time()
        self.seconds[part] += now - self._last
        self._last = now
