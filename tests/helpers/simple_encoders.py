"""Encoders that can be checked by hand, and inputs for them."""

import io

import numpy as np
import pyarrow as pa
from PIL import Image

from mediafm_core.encoders.base import Usage

RATE = 1000


class MeanColour:
    """Video encoder: the vector of a picture is its mean red, green and blue."""

    dimension = 3

    def __init__(self):
        self.calls = []

    def encode(self, images):
        self.calls.append(len(images))
        return np.array([image.mean(axis=(0, 1)) for image in images], dtype=np.float32)


class FrameTimes:
    """Audio encoder of ten frames a second; a frame's vector is `[1, its mean sample]`."""

    dimension, sample_rate, window_s = 2, RATE, 3.0

    def __init__(self):
        self.seconds = 0.0

    def encode(self, windows):
        self.seconds += sum(map(len, windows)) / RATE
        assert all(0 < len(window) <= RATE * self.window_s for window in windows)
        frames = []
        for window in windows:
            parts = np.array_split(window, max(1, round(len(window) / 100)))
            means = [part.mean() for part in parts]
            frames.append(np.stack([np.ones(len(parts)), means], axis=1).astype(np.float32))
        return frames


class Surroundings(FrameTimes):
    """Audio encoder whose frame vectors depend on all sound of their window, as in real ones."""

    dimension = 3

    def encode(self, windows):
        loudness = [np.full((1, 1), np.square(window).mean()) for window in windows]
        return [
            np.concatenate([frames, whole.repeat(len(frames), axis=0)], axis=1, dtype=np.float32)
            for frames, whole in zip(super().encode(windows), loudness, strict=True)
        ]


class Letters:
    """Text encoder: the vector of a text counts its a, b and c."""

    dimension = 3
    usage = Usage()

    def __init__(self):
        self.seen = []

    def encode(self, texts):
        self.seen.extend(texts)
        counts = [[text.count(letter) for letter in "abc"] for text in texts]
        return np.array(counts, dtype=np.float32)


def jpeg(colour):
    file = io.BytesIO()
    Image.new("RGB", (16, 8), colour).save(file, "JPEG", quality=95)
    return file.getvalue()


RED, GREEN, BLUE = (jpeg(colour) for colour in ("red", "lime", "blue"))


def keyframes(rows, chunk=100):
    table = pa.table(
        {
            "title_id": pa.array(["film"] * len(rows), pa.string()),
            "shot_index": pa.array([shot for shot, _ in rows], pa.int32()),
            "position": pa.array(range(len(rows)), pa.int32()),
            "jpeg": pa.array([picture for _, picture in rows], pa.binary()),
        }
    )
    return table.to_batches(max_chunksize=chunk)


def shots(edges):
    edges = np.asarray(edges, dtype=np.float64)
    count = len(edges) - 1
    return pa.table(
        {
            "title_id": ["film"] * count,
            "shot_index": pa.array(range(count), pa.int32()),
            "start_s": edges[:-1],
            "end_s": edges[1:],
        }
    )
