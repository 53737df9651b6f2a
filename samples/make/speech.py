"""Spoken lines, by the espeak-ng command line program."""

import io
import subprocess
import wave
from dataclasses import dataclass

import numpy as np

from .film import Film, Line
from .sound import RATE, Samples, noise

VOICES: dict[str, tuple[str, int, int]] = {
    # espeak-ng voice, words a minute, pitch
    "narrator": ("en-gb-x-rp+f3", 148, 46),
    "robot": ("en-us+m3", 150, 72),
    "photographer": ("en-us+m7", 152, 40),
    "operator": ("en-us+f4", 156, 52),
    "professor": ("en-gb-scotland+m1", 142, 34),
    "raccoon": ("en-gb+m3", 150, 60),
    "stationmaster": ("en-us+m7", 138, 26),
}


@dataclass(frozen=True)
class Utterance:
    """A spoken line: its time in the film and its sound."""

    line: Line
    start_s: float
    samples: Samples

    @property
    def end_s(self) -> float:
        """Return the end of the speech, in seconds."""
        return self.start_s + len(self.samples) / RATE


def speak(speaker: str, text: str) -> Samples:
    """Speak `text` in a speaker's voice, without silence at either end, at an RMS of about 0.16."""
    voice, pace, pitch = VOICES[speaker]
    command = ["espeak-ng", "-v", voice, "-s", str(pace), "-p", str(pitch), "--stdout", text]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(output)) as reader:
        rate = reader.getframerate()
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2") / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.004)
    samples = samples[loud[0] : loud[-1] + 1]
    count = round(len(samples) * RATE / rate)
    # Band-limited resampling: the same spectrum over a longer transform.
    spectrum = np.zeros(count // 2 + 1, complex)
    original = np.fft.rfft(samples)
    spectrum[: len(original)] = original
    samples = np.fft.irfft(spectrum, count)
    if speaker == "robot":
        delay = round(0.009 * RATE)
        samples[delay:] += 0.55 * samples[:-delay].copy()
    return (0.16 * samples / samples.std()).astype(np.float32)


def utterances(film: Film) -> list[Utterance]:
    """Speak the film's lines at their times.

    Raises:
        ValueError: a line starts before the one before has ended, or outlasts the film.
    """
    spoken: list[Utterance] = []
    for line in film.lines:
        start = film.seconds_at(film.starts[line.shot]) + line.offset
        utterance = Utterance(line, start, speak(line.speaker, line.text))
        if spoken and start < spoken[-1].end_s + 0.1:
            raise ValueError(
                f"{film.title_id}: '{line.text}' starts at {start:.2f} s, while "
                f"'{spoken[-1].line.text}' lasts until {spoken[-1].end_s:.2f} s"
            )
        if utterance.end_s > film.seconds - 0.5:
            raise ValueError(
                f"{film.title_id}: '{line.text}' ends at {utterance.end_s:.2f} s; the film, "
                f"{film.seconds:.2f} s long, needs half a second more"
            )
        spoken.append(utterance)
    return spoken


def voice_track(spoken: list[Utterance], count: int, seed: int) -> Samples:
    """Mix all lines on one track of `count` samples, in a small room."""
    track = np.zeros(count, np.float32)
    for utterance in spoken:
        first = round(utterance.start_s * RATE)
        track[first : first + len(utterance.samples)] += utterance.samples
    length = round(0.35 * RATE)
    echo = noise(length, np.random.default_rng(seed), 200, 5000) * np.exp(
        -np.arange(length) / RATE * 14
    )
    size = count + length
    room = np.fft.irfft(np.fft.rfft(track, size) * np.fft.rfft(echo, size), size)[:count]
    return (track + 0.05 * track.std() * room / max(room.std(), 1e-9)).astype(np.float32)


def captions(spoken: list[Utterance], form: str) -> str:
    """Return WebVTT (`vtt`) or SubRip (`srt`) of the lines."""
    point = "." if form == "vtt" else ","

    def stamp(time: float) -> str:
        thousandths = round(time * 1000)
        hours, rest = divmod(thousandths, 3_600_000)
        minutes, rest = divmod(rest, 60_000)
        whole, part = divmod(rest, 1000)
        return f"{hours:02d}:{minutes:02d}:{whole:02d}{point}{part:03d}"

    cues = []
    for number, utterance in enumerate(spoken, start=1):
        times = f"{stamp(utterance.start_s)} --> {stamp(utterance.end_s)}"
        cues.append(f"{number}\n{times}\n{utterance.line.text}\n")
    return ("WEBVTT\n\n" if form == "vtt" else "") + "\n".join(cues)
