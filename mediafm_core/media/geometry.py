"""Orientation and size of decoded frames as they are meant to be displayed."""

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mediafm_core.media.side_data import side_data_of

if TYPE_CHECKING:
    from av import VideoFrame

_MATRIX = struct.Struct("=9i")  # a b u, c d v, x y w; 16.16 fixed point, native byte order


class Orientation(BaseModel):
    """Operations that turn a stored frame upright: transpose, then flip.

    The eight combinations cover the display matrices of real files; a matrix that rotates by
    another angle is taken for the nearest combination.
    """

    model_config = ConfigDict(frozen=True)

    transpose: bool = False
    flip_horizontal: bool = False
    flip_vertical: bool = False

    @property
    def rotation(self) -> int:
        """Clockwise rotation, 0, 90, 180 or 270 degrees; in mirrored frames, after mirroring."""
        if self.transpose:
            return 90 if self.flip_horizontal else 270
        return 180 if self.flip_vertical else 0

    def upright(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Turn a stored frame `[..., height, width, channels]` upright; returns a view."""
        if self.transpose:
            picture = picture.swapaxes(-3, -2)
        rows = slice(None, None, -1 if self.flip_vertical else 1)
        columns = slice(None, None, -1 if self.flip_horizontal else 1)
        return picture[..., rows, columns, :]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height after turning; the inverse turn swaps them in the same way."""
        return (height, width) if self.transpose else (width, height)


def orientation_of(frame: "VideoFrame") -> Orientation:
    """Return the orientation in a decoded frame's display matrix; upright without a matrix.

    The matrix maps stored (x, y) to displayed (a x + c y, b x + d y), see libavutil/display.h.
    """
    side_data = side_data_of(frame)
    if "DISPLAYMATRIX" not in side_data:
        return Orientation()
    a, b, _, c, d, *_ = _MATRIX.unpack_from(side_data["DISPLAYMATRIX"])
    transpose = abs(b) + abs(c) > abs(a) + abs(d)
    shown_x, shown_y = (c, b) if transpose else (a, d)
    return Orientation(transpose=transpose, flip_horizontal=shown_x < 0, flip_vertical=shown_y < 0)


def display_size(width: int, height: int, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Return width and height in square pixels: the height stays, the width is stretched."""
    if not pixel_aspect or pixel_aspect <= 0:
        return width, height
    return max(1, round(width * pixel_aspect)), height


def fitted_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return the size scaled down, if need be, to a shorter side of `short_side` pixels."""
    scale = min(1.0, short_side / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
