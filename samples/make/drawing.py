"""Small vocabulary of vector drawing on a Skia canvas: colours, gradients, skies, land, light."""

import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import skia

WIDTH, HEIGHT = 640, 360

Scene = Callable[[skia.Canvas, float, float], None]
"""Draws one moment: canvas, seconds since the shot began (negative while it is still dissolving
in), and its progress from 0 at the first visible frame to 1 at the last."""

Point = tuple[float, float]

View = tuple[float, float, float]
"""Centre of a view in a picture (x and y, 0 to 1) and the share of its width that is seen."""


def colour(code: str, alpha: float = 1.0) -> int:
    """Return the Skia colour of `#rrggbb`."""
    red, green, blue = (int(code[i : i + 2], 16) for i in (1, 3, 5))
    return skia.Color(red, green, blue, round(255 * min(max(alpha, 0.0), 1.0)))


def mix(first: str, second: str, share: float) -> str:
    """Return `#rrggbb` between two others; `share` 0 gives the first."""
    share = min(max(share, 0.0), 1.0)
    pairs = ((int(first[i : i + 2], 16), int(second[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def ease(value: float) -> float:
    """Return a smooth step: 0 to 1 with no jerk at either end."""
    value = min(max(value, 0.0), 1.0)
    return value * value * (3 - 2 * value)


def framed(scene: Scene, start: View, end: View | None = None) -> Scene:
    """Return `scene` seen by a camera that moves from one closer view to another."""
    last = end or start

    def closer(canvas: skia.Canvas, t: float, progress: float) -> None:
        share = ease(progress)
        x, y, part = (a + (b - a) * share for a, b in zip(start, last, strict=True))
        canvas.translate(WIDTH / 2, HEIGHT / 2)
        canvas.scale(1 / part, 1 / part)
        canvas.translate(-x * WIDTH, -y * HEIGHT)
        scene(canvas, t, progress)

    return closer


def fill(code: str, alpha: float = 1.0, blur: float = 0.0) -> skia.Paint:
    """Return paint for a plain, optionally soft, shape."""
    paint = skia.Paint(AntiAlias=True, Color=colour(code, alpha))
    if blur:
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return paint


def line(code: str, width: float, alpha: float = 1.0, blur: float = 0.0) -> skia.Paint:
    """Return paint for a round-ended stroke."""
    paint = fill(code, alpha, blur)
    paint.setStyle(skia.Paint.kStroke_Style)
    paint.setStrokeWidth(width)
    paint.setStrokeCap(skia.Paint.kRound_Cap)
    paint.setStrokeJoin(skia.Paint.kRound_Join)
    return paint


def vertical(top: float, bottom: float, codes: Sequence[str]) -> skia.Paint:
    """Return paint with a vertical gradient through `codes`."""
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(0, top), skia.Point(0, bottom)], [colour(code) for code in codes]
    )
    return skia.Paint(AntiAlias=True, Shader=shader)


def radial(x: float, y: float, radius: float, codes: Sequence[tuple[str, float]]) -> skia.Paint:
    """Return paint with a radial gradient through (colour, alpha) pairs."""
    shader = skia.GradientShader.MakeRadial(
        skia.Point(x, y), radius, [colour(code, alpha) for code, alpha in codes]
    )
    return skia.Paint(AntiAlias=True, Shader=shader)


def glow(canvas: skia.Canvas, x: float, y: float, radius: float, code: str, alpha: float) -> None:
    """Draw light that fades out from a point."""
    codes = [(code, alpha), (code, alpha * 0.3), (code, 0.0)]
    canvas.drawCircle(x, y, radius, radial(x, y, radius, codes))


def box(
    canvas: skia.Canvas,
    left: float,
    top: float,
    width: float,
    height: float,
    paint: skia.Paint,
    corner: float = 0.0,
) -> None:
    """Draw a rectangle given by its corner and size."""
    canvas.drawRoundRect(skia.Rect.MakeXYWH(left, top, width, height), corner, corner, paint)


def ellipse(
    canvas: skia.Canvas, x: float, y: float, width: float, height: float, paint: skia.Paint
) -> None:
    """Draw an ellipse given by its centre and half axes."""
    canvas.drawOval(skia.Rect.MakeXYWH(x - width, y - height, 2 * width, 2 * height), paint)


def polygon(canvas: skia.Canvas, points: Sequence[Point], paint: skia.Paint) -> None:
    """Draw a closed polygon."""
    path = skia.Path()
    path.addPoly([skia.Point(*point) for point in points], True)
    canvas.drawPath(path, paint)


def curve(points: Sequence[Point], close: bool = False) -> skia.Path:
    """Return a smooth path through the middles of `points`' edges, between the end points."""
    path = skia.Path()
    path.moveTo(*points[0])
    for (x, y), (next_x, next_y) in pairwise(points[1:]):
        path.quadTo(x, y, (x + next_x) / 2, (y + next_y) / 2)
    path.lineTo(*points[-1])
    if close:
        path.close()
    return path


def sky(canvas: skia.Canvas, *codes: str) -> None:
    """Draw the whole background as a vertical gradient."""
    box(canvas, 0, 0, WIDTH, HEIGHT, vertical(0, HEIGHT, codes))


def hills(
    canvas: skia.Canvas, height: float, swing: float, seed: int, paint: skia.Paint, shift: float = 0
) -> None:
    """Draw a rolling ridge across the whole picture, moved left by `shift` pixels."""
    chance = random.Random(seed)
    phases = [chance.uniform(0, math.tau) for _ in range(3)]
    points = []
    for x in range(-10, WIDTH + 20, 10):
        place = (x + shift) / 640
        wave = (
            math.sin(place * 4.1 + phases[0])
            + 0.5 * math.sin(place * 9.7 + phases[1])
            + 0.22 * math.sin(place * 23.0 + phases[2])
        )
        points.append((x, height - swing * wave))
    outline = [(-10, HEIGHT + 10), *points, (WIDTH + 20, HEIGHT + 10)]
    canvas.drawPath(curve(outline, close=True), paint)


def mountains(
    canvas: skia.Canvas, base: float, rise: float, seed: int, code: str, snow: str | None = None
) -> None:
    """Draw a jagged range with a lit side and, if wanted, snow on its peaks."""
    chance = random.Random(seed)
    x = -80.0
    while x < WIDTH + 60:
        half = chance.uniform(70, 130)
        peak = base - rise * chance.uniform(0.55, 1.0)
        middle = x + half
        left, right = (x - 30, HEIGHT), (middle + half + 30, HEIGHT)
        polygon(canvas, [left, (middle, peak), right], fill(code))
        shade = [(middle, peak), (middle + half * 0.2, (peak + base) / 2), (middle, base), right]
        polygon(canvas, shade, fill("#000000", 0.16))
        if snow:
            drop = (base - peak) * 0.3
            slope = (half + 30) / (HEIGHT - peak)
            edge = [
                (middle - slope * drop, peak + drop),
                (middle - slope * drop * 0.4, peak + drop * 0.75),
                (middle, peak + drop * 1.1),
                (middle + slope * drop * 0.5, peak + drop * 0.7),
                (middle + slope * drop, peak + drop),
            ]
            polygon(canvas, [(middle, peak), *edge], fill(snow))
        x += half * chance.uniform(0.9, 1.3)


def stars(
    canvas: skia.Canvas, count: int, seed: int, t: float, floor: float = HEIGHT, turn: float = 0.0
) -> None:
    """Draw twinkling stars above `floor`, wheeled by `turn` degrees around a point below."""
    chance = random.Random(seed)
    canvas.save()
    canvas.rotate(turn, WIDTH * 0.5, HEIGHT * 1.1)
    for _ in range(count):
        x, y = chance.uniform(-160, WIDTH + 160), chance.uniform(-120, floor)
        size, phase = chance.choice((0.6, 0.8, 0.9, 1.3)), chance.uniform(0, math.tau)
        bright = 0.6 + 0.3 * math.sin(t * 1.7 + phase)
        canvas.drawCircle(
            x, y, size, fill(chance.choice(("#ffffff", "#ffe9c9", "#cfe0ff")), bright)
        )
    canvas.restore()


def cloud(canvas: skia.Canvas, x: float, y: float, size: float, code: str, alpha: float) -> None:
    """Draw a soft cumulus of overlapping puffs, shaded below."""
    puffs = ((-1.1, 0.1, 0.5), (-0.45, -0.25, 0.7), (0.35, -0.1, 0.62), (1.0, 0.12, 0.45))
    edge = size * 3
    canvas.saveLayerAlpha(
        skia.Rect.MakeLTRB(x - edge, y - edge, x + edge, y + edge), round(255 * alpha)
    )
    for tone, drop in ((mix(code, "#5a4a7a", 0.16), 0.1), (code, 0.0)):
        for dx, dy, radius in puffs:
            puff = (x + dx * size, y + (dy + drop) * size, radius * size * 1.2, radius * size * 0.6)
            ellipse(canvas, *puff, fill(tone, blur=size * 0.07))
    canvas.restore()


def pine(canvas: skia.Canvas, x: float, foot: float, size: float, code: str) -> None:
    """Draw a conifer in three tiers."""
    box(canvas, x - size * 0.05, foot - size * 0.2, size * 0.1, size * 0.22, fill("#2f2018"))
    for tier in range(3):
        top = foot - size * (1.0 - 0.26 * tier)
        half = size * (0.17 + 0.08 * tier)
        polygon(
            canvas,
            [(x, top), (x + half, top + size * 0.42), (x - half, top + size * 0.42)],
            fill(mix(code, "#000000", 0.12 * (2 - tier))),
        )


def birds(canvas: skia.Canvas, x: float, y: float, t: float, code: str, count: int = 5) -> None:
    """Draw a loose flock beating its wings."""
    for index in range(count):
        left, top = x - index * 17, y + (index % 3) * 9 + 3 * math.sin(t + index)
        beat = 4 * math.sin(t * 9 + index * 1.3)
        wing = [(left - 7, top - beat), (left, top), (left + 7, top - beat)]
        path = skia.Path()
        path.moveTo(*wing[0])
        path.quadTo(left - 3, top - beat * 0.6 - 2, *wing[1])
        path.quadTo(left + 3, top - beat * 0.6 - 2, *wing[2])
        canvas.drawPath(path, line(code, 1.6))


def water(
    canvas: skia.Canvas, top: float, t: float, codes: Sequence[str], glint: str, seed: int = 3
) -> None:
    """Draw water up to the lower edge, with drifting glints that grow towards the viewer."""
    box(canvas, 0, top, WIDTH, HEIGHT - top, vertical(top, HEIGHT, codes))
    chance = random.Random(seed)
    for _ in range(110):
        depth = chance.random() ** 1.5
        y = top + 3 + depth * (HEIGHT - top)
        speed, length = 6 + 26 * depth, 5 + 34 * depth
        x = (chance.uniform(0, WIDTH) + speed * t) % (WIDTH + 80) - 40
        bright = 0.16 + 0.3 * (0.5 + 0.5 * math.sin(t * 2.2 + chance.uniform(0, math.tau)))
        canvas.drawLine(x, y, x + length, y, line(glint, 0.8 + 1.4 * depth, bright))


def vignette(canvas: skia.Canvas, alpha: float = 0.35) -> None:
    """Darken the corners, which holds the eye in the picture."""
    codes = [("#000000", 0.0), ("#000000", 0.0), ("#000000", alpha)]
    box(canvas, 0, 0, WIDTH, HEIGHT, radial(WIDTH / 2, HEIGHT / 2, 400, codes))


def shade(canvas: skia.Canvas, code: str, alpha: float) -> None:
    """Lay a colour over the whole picture: dusk, a flash of lightning, a fade."""
    if alpha > 0:
        box(canvas, 0, 0, WIDTH, HEIGHT, fill(code, alpha))
