"""A still photograph under a moving camera."""

from functools import cache
from pathlib import Path

import skia

from ..drawing import HEIGHT, WIDTH, Scene, View, ease

PHOTOGRAPHS = Path(__file__).parents[1] / "photographs"


UNSHARP = (-0.06, -0.12, -0.06, -0.12, 1.72, -0.12, -0.06, -0.12, -0.06)
"""3 x 3 kernel for the photographs that are enlarged, most of them a little."""

SMOOTH = (0.05, 0.1, 0.05, 0.1, 0.4, 0.1, 0.05, 0.1, 0.05)
"""3 x 3 kernel for a grainy one: grain is costly to encode and no pleasure to look at."""

GRAINY = {"galaxies"}


@cache
def load(name: str) -> skia.Image:
    """Load the photograph `name`, slightly sharpened or, where it is grainy, smoothed."""
    image = skia.Image.open(str(PHOTOGRAPHS / f"{name}.jpg"))
    surface = skia.Surface(image.width(), image.height())
    kernel = SMOOTH if name in GRAINY else UNSHARP
    convolution = skia.ImageFilters.MatrixConvolution(
        skia.ISize(3, 3), kernel, 1.0, 0.0, skia.IPoint(1, 1), skia.TileMode.kClamp, False
    )
    paint = skia.Paint(ImageFilter=convolution)
    surface.getCanvas().drawImage(image, 0, 0, skia.SamplingOptions(), paint)
    return surface.makeImageSnapshot()


def photograph(name: str, start: View, end: View) -> Scene:
    """Camera move over a photograph from `start` to `end`, at sub-pixel positions throughout.

    Raises:
        ValueError: the move would show something beyond the photograph's edge.
    """
    image = load(name)
    wide, high = image.width(), image.height()
    for x, y, part in (start, end):
        half_x, half_y = part / 2, part * wide * HEIGHT / WIDTH / high / 2
        if not (half_x <= x <= 1 - half_x and half_y <= y <= 1 - half_y):
            raise ValueError(
                f"{name}: view {(x, y, part)} leaves the photograph; keep x in "
                f"{half_x:.3f}..{1 - half_x:.3f} and y in {half_y:.3f}..{1 - half_y:.3f}"
            )

    def scene(canvas: skia.Canvas, _t: float, progress: float) -> None:
        # Half eased, half steady: no jolt at the cut, yet always moving.
        share = 0.5 * ease(progress) + 0.5 * progress
        x, y, part = (a + (b - a) * share for a, b in zip(start, end, strict=True))
        scale = WIDTH / (part * wide)
        canvas.save()
        canvas.translate(WIDTH / 2, HEIGHT / 2)
        canvas.scale(scale, scale)
        canvas.translate(-x * wide, -y * high)
        if scale >= 1:
            sampling = skia.SamplingOptions(skia.CubicResampler.CatmullRom())
        else:
            sampling = skia.SamplingOptions(skia.FilterMode.kLinear, skia.MipmapMode.kLinear)
        canvas.drawImage(image, 0, 0, sampling)
        canvas.restore()

    return scene
