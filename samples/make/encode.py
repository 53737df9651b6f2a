"""Encoding of pictures and sound to a media file with PyAV."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from .drawing import HEIGHT, WIDTH
from .sound import RATE

FORMATS: dict[str, tuple[str, dict[str, str], str, int]] = {
    # container: video codec and its options, audio codec and its bits per second
    "mp4": ("libx264", {"crf": "27", "preset": "slow", "profile": "high"}, "aac", 96_000),
    "webm": (
        "libvpx-vp9",
        {"crf": "40", "b": "0", "cpu-used": "4", "row-mt": "1"},
        "libopus",
        80_000,
    ),
}


def encode(
    path: Path, frames: Iterator[NDArray[np.uint8]], rate: Fraction, sound: NDArray[np.float32]
) -> None:
    """Encode a film.

    Args:
        path: the file to write; its suffix chooses the codecs.
        frames: uint8 pictures, 360 x 640 x 3.
        rate: frames per second.
        sound: float32 stereo samples, 2 x n, at `sound.RATE`.
    """
    video_codec, options, audio_codec, audio_bits = FORMATS[path.suffix[1:]]
    # "bitexact" leaves out random identifiers and dates: the same film gives the same file.
    muxing = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if path.suffix == ".mp4" else {})
    with av.open(str(path), "w", options=muxing) as container:
        video = container.add_stream(video_codec, rate=rate, options=options)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.gop_size = round(5 * rate)
        audio = container.add_stream(audio_codec, rate=RATE, layout="stereo")
        assert isinstance(audio, av.AudioStream)
        audio.bit_rate = audio_bits
        written = 0
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(video.encode(frame))
            until = min(round((index + 1) / rate * RATE), sound.shape[1])
            samples = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound[:, written:until]), format="fltp", layout="stereo"
            )
            samples.sample_rate, samples.pts, samples.time_base = RATE, written, Fraction(1, RATE)
            container.mux(audio.encode(samples))
            written = until
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
