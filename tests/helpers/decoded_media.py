"""A media file after the one decode: times of its pictures, its sound, and counts of faults."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile

from mediafm_core.media.decoding import MediaDecoder, Picture
from mediafm_core.media.probe import MediaProbe, probe
from mediafm_core.media.soundtrack import SAMPLE_RATE, SoundtrackWriter
from mediafm_core.titles.title_file import TitleFile


@dataclass(frozen=True)
class Decoded:
    """Result of `decode`; times in seconds, `sound` mono at 16 kHz."""

    probe: MediaProbe
    times: np.ndarray
    sound_s: float
    decoder: MediaDecoder
    facts: dict[str, float]
    flac: Path

    @cached_property
    def sound(self) -> np.ndarray:
        """Return the soundtrack, `[samples]` float32; empty without any."""
        if not self.flac.exists():
            return np.empty(0, np.float32)
        return soundfile.read(self.flac, dtype="float32")[0]

    def loudness(self, start_s: float, end_s: float) -> float:
        """Return the root mean square of a stretch of sound."""
        return float(np.sqrt(np.mean(self._stretch(start_s, end_s) ** 2)))

    def pitch(self, start_s: float, end_s: float) -> float:
        """Return the loudest frequency of a stretch of sound, hertz."""
        stretch = self._stretch(start_s, end_s)
        return float(np.abs(np.fft.rfft(stretch)).argmax() * SAMPLE_RATE / len(stretch))

    def _stretch(self, start_s: float, end_s: float) -> np.ndarray:
        return self.sound[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)]


def decode(path: Path, language: str = "en") -> Decoded:
    """Probe and decode a file as the pipeline does."""
    flac = path.with_name(f"{path.name}.flac")
    times: list[float] = []
    with TitleFile.at(path) as file:
        described = probe(file, language)
        decoder = MediaDecoder(file, described)
        with SoundtrackWriter(flac) as writer:
            for item in decoder:
                if isinstance(item, Picture):
                    times.append(item.time_s)
                else:
                    writer.write(item)
    return Decoded(described, np.array(times), writer.seconds, decoder, writer.facts(), flac)
