"""Writer of the soundtrack that audio encoders read: 16 kHz, mono, 16 bit, FLAC."""

from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from mediafm_core.media.decoding import Sound
from mediafm_core.media.mono import SAMPLE_RATE, MonoResampler

if TYPE_CHECKING:
    import soundfile

# Time stamps jitter by a few milliseconds (FLV and Matroska round to whole ones). If the stamp
# differs by more than this from the end of the sound before it, the sound is moved to its stamp.
RESYNC_S = 0.05
# Shortest gap in the sound that is counted as a pause, seconds.
PAUSE_S = 1.0
_BLOCK_SAMPLES = SAMPLE_RATE  # one second between writes


class _ErrorKeepingFile:
    """A file object for libsndfile that keeps the OSError which libsndfile would lose.

    libsndfile reports every failure as "System error", and reports nothing if the disk is full at
    the last frame of a FLAC file: the file is then truncated and its header has no length.

    Args:
        file: the open file, unbuffered; a buffer would fail late, or when seeking.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.error: OSError | None = None
        self.seek, self.tell, self.read = self._file.seek, self._file.tell, self._file.read

    def write(self, data: bytes) -> int:
        """Write bytes; returns a smaller number after an error, a failure for libsndfile."""
        done = 0
        try:
            while done < len(data):  # the system may write a part and refuse the rest
                done += self._file.write(data[done:]) or 0
        except OSError as error:
            self.error = self.error or error
        return done

    def close(self) -> None:
        """Close the file.

        Raises:
            OSError: closing the file, or an earlier write, has failed.
        """
        self._file.close()
        if self.error is not None:
            raise self.error


class SoundtrackWriter:
    """Writer of decoded sound to a FLAC file whose sample 0 is at time zero of the title.

    Gaps in the sound and a late start become silence. Sound before time zero, or overlapping what
    is already written, is dropped; `Timeline` bounds both. The file is created with the first sound
    and removed if the block ends with an error. Use as a context manager; it raises the OSError of
    a disk that is full or fails.

    Args:
        target: path of the file to write, which is not created for a title without sound. Or an
            open empty file, which is closed at the end and stays empty for a title without sound.

    Attributes:
        seconds: length written so far.
        pauses: number of gaps of at least `PAUSE_S` within the sound so far.
        paused_s: their total length, seconds.
        averaged_channels: see `MonoResampler`; of the latest run with such channels.
        cancelled_s: see `MonoResampler`.
    """

    def __init__(self, target: Path | FileIO) -> None:
        self._target = target
        self._error_keeping_file: _ErrorKeepingFile | None = None
        self._file: soundfile.SoundFile | None = None
        self._resampler: MonoResampler | None = None
        self.pauses = 0
        self.paused_s = 0.0
        self.averaged_channels = 0
        self.cancelled_s = 0.0
        self._format: tuple[str, str, int] | None = None
        self._expected_s = 0.0
        self._drop = 0
        self._samples = 0
        self._block: list[NDArray[np.int16]] = []
        self._block_samples = 0

    @property
    def seconds(self) -> float:
        """Length of the soundtrack so far, seconds; 0.0 without sound."""
        return self._samples / SAMPLE_RATE

    def facts(self) -> dict[str, int | float]:
        """Return unusual facts about the sound by name, without zeros; final after the block."""
        facts: dict[str, int | float] = {
            "pauses": self.pauses,
            "paused_s": round(self.paused_s, 3),
            "averaged_channels": self.averaged_channels,
            "opposite_phase_s": round(self.cancelled_s, 3),
        }
        return {name: value for name, value in facts.items() if value}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._error_keeping_file is None:
            return
        try:
            try:
                if error is None:
                    self._end_run()
                    self._write_block()
            finally:
                self._close(self._error_keeping_file)
        except BaseException:
            self._discard()
            raise
        if error is not None:
            self._discard()

    def _discard(self) -> None:
        if isinstance(self._target, Path):
            self._target.unlink(missing_ok=True)

    def _close(self, error_keeping_file: _ErrorKeepingFile) -> None:
        """Close the file; an OSError takes precedence over the libsndfile error that it caused."""
        try:
            if self._file is not None:
                self._file.close()
        finally:
            error_keeping_file.close()

    def write(self, sound: Sound) -> None:
        """Append sound; consecutive frames of one format are resampled as one run."""
        frame = sound.frame
        frame_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        apart_s = abs(sound.time_s - self._expected_s)
        resampler = self._resampler
        if resampler is None or frame_format != self._format or apart_s > RESYNC_S:
            self._end_run()
            resampler = self._begin_run(sound.time_s)
            self._format = frame_format
            self._expected_s = sound.time_s
        self._expected_s += frame.samples / frame.sample_rate
        for samples in resampler.resample(frame):
            self._append(samples)

    def _begin_run(self, time_s: float) -> MonoResampler:
        import soundfile

        if self._file is None:
            target = self._target
            self._error_keeping_file = _ErrorKeepingFile(
                FileIO(target, "w+") if isinstance(target, Path) else target
            )
            self._file = soundfile.SoundFile(
                self._error_keeping_file,
                "w",
                SAMPLE_RATE,
                channels=1,
                format="FLAC",
                subtype="PCM_16",
            )
        self._resampler = MonoResampler()
        missing = round(time_s * SAMPLE_RATE) - self._samples
        if self._samples and missing >= PAUSE_S * SAMPLE_RATE:
            self.pauses += 1
            self.paused_s += missing / SAMPLE_RATE
        self._drop = max(0, -missing)
        while missing > 0:  # in blocks, because a pause may be as long as the title
            silence = np.zeros(min(missing, _BLOCK_SAMPLES), np.int16)
            self._append(silence)
            missing -= len(silence)
        return self._resampler

    def _end_run(self) -> None:
        """Flush the resampler and take over its figures."""
        if self._resampler is not None:
            for samples in self._resampler.resample(None):
                self._append(samples)
            self.averaged_channels = self._resampler.averaged_channels or self.averaged_channels
            self.cancelled_s += self._resampler.cancelled_s
            self._resampler = None

    def _append(self, samples: NDArray[np.int16]) -> None:
        dropped = min(self._drop, len(samples))
        self._drop -= dropped
        samples = samples[dropped:]
        self._samples += len(samples)
        self._block.append(samples)
        self._block_samples += len(samples)
        if self._block_samples >= _BLOCK_SAMPLES:
            self._write_block()

    def _write_block(self) -> None:
        if self._file is not None and self._block:
            self._file.write(np.concatenate(self._block))
        self._block = []
        self._block_samples = 0
