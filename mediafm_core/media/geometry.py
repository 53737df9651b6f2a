"""How a decoded picture has to be turned and stretched to be seen as meant."""

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
    """What to do to a stored picture so that it stands upright: transpose, then flip.

    The eight ways to lay a picture cover all that display matrices of real files say; a matrix
    that turns by another angle means the nearest of them.
    """

    model_config = ConfigDict(frozen=True)

    transpose: bool = False
    flip_horizontal: bool = False
    flip_vertical: bool = False

    @property
    def rotation(self) -> int:
        """Clockwise degrees, 0, 90, 180 or 270; of a mirrored picture, those after mirroring."""
        if self.transpose:
            return 90 if self.flip_horizontal else 270
        return 180 if self.flip_vertical else 0

    def upright(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Turn a picture `[..., height, width, channels]`; returns a view."""
        if self.transpose:
            picture = picture.swapaxes(-3, -2)
        rows = slice(None, None, -1 if self.flip_vertical else 1)
        columns = slice(None, None, -1 if self.flip_horizontal else 1)
        return picture[..., rows, columns, :]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after turning; turning back swaps them in the same way."""
        return (height, width) if self.transpose else (width, height)


def orientation_of(frame: "VideoFrame") -> Orientation:
    """Orientation that a decoded frame's display matrix asks for; upright without one.

    The matrix maps stored (x, y) to shown (a x + c y, b x + d y), see libavutil/display.h.
    """
    side_data = side_data_of(frame)
    if "DISPLAYMATRIX" not in side_data:
        return Orientation()
    a, b, _, c, d, *_ = _MATRIX.unpack_from(side_data["DISPLAYMATRIX"])
    transpose = abs(b) + abs(c) > abs(a) + abs(d)
    shown_x, shown_y = (c, b) if transpose else (a, d)
    return Orientation(transpose=transpose, flip_horizontal=shown_x < 0, flip_vertical=shown_y < 0)


def display_size(width: int, height: int, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Size in square pixels of a stored picture: rows stay, columns are stretched."""
    if not pixel_aspect or pixel_aspect <= 0:
        return width, height
    return max(1, round(width * pixel_aspect)), height


def fitted_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """The largest size of the same shape whose shorter side is at most `short_side`."""
    scale = min(1.0, short_side / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
