"""Keyframes: a few frames of each shot at uniform intervals, chosen in a streaming decode."""

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from mediafm_core.media.geometry import Orientation
from mediafm_core.media.hdr import is_hdr, to_sdr

if TYPE_CHECKING:
    import av

KEYFRAME_SCHEMA = pa.schema(
    [
        pa.field("title_id", pa.string(), nullable=False),
        pa.field("shot_index", pa.int32(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("time_s", pa.float64(), nullable=False),
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("jpeg", pa.binary(), nullable=False),
    ]
)
"""`position` counts the keyframes of a shot in the order of their times."""

CANDIDATES_PER_KEYFRAME = 16


class KeyframeCandidate(NamedTuple):
    """A frame that may become a keyframe: its number and time in the title, and its pixels."""

    frame: int
    time_s: float
    picture: "av.VideoFrame"


class OpenShot:
    """A bounded number of keyframe candidates of a shot whose end is not known yet.

    Every `stride`-th frame is kept; when there are too many, every other one is dropped and the
    stride doubles. At least half of `CANDIDATES_PER_KEYFRAME` frames per keyframe remain, evenly
    spread: a chosen frame is within 1/16 of the keyframe spacing of its ideal time, and is the
    nearest frame of all in a shot with no more frames than candidates.

    Args:
        per_shot: keyframes wanted.
    """

    def __init__(self, per_shot: int) -> None:
        self._per_shot = per_shot
        self._stride = 1
        self._frames = 0
        self._candidates: list[KeyframeCandidate] = []

    def add(self, candidate: KeyframeCandidate) -> None:
        """Add the next frame of the shot."""
        if self._frames % self._stride == 0:
            self._candidates.append(candidate)
            if len(self._candidates) > self._per_shot * CANDIDATES_PER_KEYFRAME:
                self._candidates = self._candidates[::2]
                self._stride *= 2
        self._frames += 1

    @property
    def first(self) -> KeyframeCandidate:
        """The first frame of the shot."""
        return self._candidates[0]

    def keyframes(self, end_s: float) -> list[KeyframeCandidate]:
        """Choose the frames nearest to the centres of equal parts of the shot.

        Args:
            end_s: end of the shot, seconds.

        Returns:
            `per_shot` frames in order, or all frames of a shot that has fewer.
        """
        start_s = self.first.time_s
        centres = (np.arange(self._per_shot) + 0.5) / self._per_shot  # [per_shot]
        half_frame_s = (end_s - start_s) / self._frames / 2
        ideal = start_s + centres * (end_s - start_s) - half_frame_s
        times = np.array([candidate.time_s for candidate in self._candidates])  # [candidates]
        nearest = np.unique(np.abs(times[:, None] - ideal).argmin(axis=0))
        return [self._candidates[index] for index in nearest]


class KeyframeEncoder:
    """Encoder of keyframes to JPEG, as record batches of `KEYFRAME_SCHEMA`.

    Args:
        title_id: written to each row.
        orientation: operations that turn the frames upright.
        quality: of the JPEG files, 1 to 100.
    """

    def __init__(self, title_id: str, orientation: Orientation, quality: int) -> None:
        self._title_id = title_id
        self._orientation = orientation
        self._quality = quality
        self._rows: list[dict[str, object]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, shot_index: int, keyframes: list[KeyframeCandidate]) -> None:
        """Encode the keyframes of one shot."""
        from PIL import Image

        for position, candidate in enumerate(keyframes):
            frame = candidate.picture
            stored = to_sdr(frame) if is_hdr(frame) else frame.to_ndarray(format="rgb24")
            picture = self._orientation.upright(stored)
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "JPEG", quality=self._quality)
            self._rows.append(
                {
                    "title_id": self._title_id,
                    "shot_index": shot_index,
                    "position": position,
                    "time_s": candidate.time_s,
                    "frame": candidate.frame,
                    "width": picture.shape[1],
                    "height": picture.shape[0],
                    "jpeg": file.getvalue(),
                }
            )

    def take(self) -> pa.RecordBatch:
        """Return the rows that were added since the last call."""
        rows, self._rows = self._rows, []
        return pa.RecordBatch.from_pylist(rows, schema=KEYFRAME_SCHEMA)
