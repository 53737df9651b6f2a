"""Small media files with unusual properties of real ones."""

import subprocess
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from imageio_ffmpeg import get_ffmpeg_exe

RATE = 25
SOUND_RATE = 44_100
_TICKS = 1000  # of the video time base, per second


def gradient(width: int, height: int, level: int = 0) -> np.ndarray:
    """Make a picture that is brighter and redder to the right and greener downwards."""
    x = np.linspace(0, 200, width, dtype=np.uint8)[None, :].repeat(height, 0)
    y = np.linspace(0, 200, height, dtype=np.uint8)[:, None].repeat(width, 1)
    return np.stack([x, y, np.full_like(x, level % 256)], axis=2)


def write_media(
    path: Path,
    pictures: Iterable[np.ndarray],
    times_s: Iterable[float] | None = None,
    *,
    codec: str = "mpeg4",
    pixel_aspect: Fraction | None = None,
    rotation: int | None = None,
    sound: np.ndarray | None = None,
    sound_start_s: float = 0.0,
    sound_gap: tuple[float, float] | None = None,
    sound_languages: tuple[str, ...] = ("",),
) -> Path:
    """Write pictures `[height, width, 3]` and mono float sound at 44.1 kHz.

    `sound_gap` (from, to) moves everything from second `from` on to second `to`. One stream of
    sound per language.
    """
    pictures = list(pictures)
    times = list(times_s) if times_s is not None else [n / RATE for n in range(len(pictures))]
    with av.open(str(path), "w") as container:
        height, width = pictures[0].shape[:2]
        video = container.add_stream(codec, rate=RATE)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = Fraction(1, _TICKS)
        video.codec_context.bit_rate = 4_000_000
        if pixel_aspect is not None:
            video.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation is not None:
            video.set_display_rotation(rotation)
        streams = []
        if sound is not None:
            for language in sound_languages:
                stream = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
                if language:
                    stream.metadata["language"] = language
                streams.append(stream)
        for picture, time_s in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time_s * _TICKS), Fraction(1, _TICKS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for stream in streams:
            for start in range(0, len(sound), 1024):
                samples = sound[None, start : start + 1024].astype(np.float32)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.sample_rate = SOUND_RATE
                at_s = start / SOUND_RATE
                if sound_gap and at_s >= sound_gap[0]:
                    at_s += sound_gap[1] - sound_gap[0]
                frame.pts = round((sound_start_s + at_s) * SOUND_RATE)
                frame.time_base = Fraction(1, SOUND_RATE)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def moving(count: int, width: int = 96, height: int = 64) -> list[np.ndarray]:
    """Make pictures that differ slightly from each other."""
    return [gradient(width, height, 2 * n) for n in range(count)]


def tone(seconds: float, hertz: float = 440.0) -> np.ndarray:
    """Make a sine of half amplitude."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE)


def ffmpeg(*arguments: object) -> None:
    """Run the program ffmpeg without questions; raise an error if it fails."""
    command = [get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y", "-threads", "1"]
    subprocess.run([*command, *map(str, arguments)], check=True, timeout=120)
