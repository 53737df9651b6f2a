"""Scaling of decoded frames: thumbnails for the shot detector, and keyframes."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mediafm_core.media.geometry import Orientation, fitted_size
from mediafm_core.media.hdr import is_hdr, to_sdr
from mediafm_core.media.probe import VideoStream

if TYPE_CHECKING:
    import av

HDR_FORMAT = "yuv420p10le"


class Thumbnails:
    """Scaler of frames to upright RGB thumbnails of one size, without regard to aspect ratio.

    The filter is libswscale's "bilinear", which averages over all pixels when it scales down. It
    takes two thirds of the time of the default "bicubic", and on Big Buck Bunny it gives one false
    shot boundary less (`benchmarks/shot_boundaries.py`).

    Args:
        width: of an upright thumbnail, pixels.
        height: of an upright thumbnail, pixels.
        orientation: operations that turn frames upright.
    """

    def __init__(self, width: int, height: int, orientation: Orientation) -> None:
        from av.video.reformatter import VideoReformatter

        self._width, self._height = orientation.size(width, height)
        self._orientation = orientation
        self._reformatter = VideoReformatter()

    def scale(self, frame: "av.VideoFrame") -> NDArray[np.uint8]:
        """Return the thumbnail of a frame, `[height, width, 3]`; HDR becomes SDR."""
        if is_hdr(frame):
            small = self._reformatter.reformat(
                frame, self._width, self._height, HDR_FORMAT, interpolation="BILINEAR", threads=1
            )
            return self._orientation.upright(to_sdr(small))
        small = self._reformatter.reformat(
            frame, self._width, self._height, "rgb24", interpolation="BILINEAR", threads=1
        )
        return self._orientation.upright(small.to_ndarray())


class PictureScaler:
    """Scaler of frames to the size of keyframes, in stored orientation, in planar YUV 4:2:0.

    YUV takes half the memory of RGB and is the decoder's own format; only frames that become
    keyframes are converted to RGB. "Area" is the fastest filter without aliasing.

    A scaled frame has at most `short_side` times `MAX_ASPECT_RATIO * short_side` pixels of 1.5
    bytes, because `probe` refuses longer shapes: 1.0 MB at the default of 288, and 0.2 MB at the
    usual 16:9. A detector window of 500 frames that are not assigned to a shot yet takes 0.5 GB at
    most.

    Args:
        video: the stream of the frames.
        short_side: shorter side of a keyframe, pixels; smaller frames are not scaled up.
    """

    def __init__(self, video: VideoStream, short_side: int) -> None:
        from av.video.reformatter import VideoReformatter

        upright = fitted_size(video.display_width, video.display_height, short_side)
        self._width, self._height = video.orientation.size(*upright)
        self._reformatter = VideoReformatter()

    def scale(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """Scale a frame to the size of a keyframe; an HDR frame keeps 10 bits per component."""
        pixels = HDR_FORMAT if is_hdr(frame) else "yuv420p"
        return self._reformatter.reformat(
            frame, self._width, self._height, pixels, interpolation="AREA", threads=1
        )
