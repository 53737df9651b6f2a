"""The observatory's control room: its displays, the scientists and the message."""

import math
import random

import skia

from ..drawing import (
    HEIGHT,
    WIDTH,
    Scene,
    box,
    curve,
    ellipse,
    fill,
    glow,
    line,
    mix,
    radial,
    sky,
    vertical,
    vignette,
)

CUP = (
    "..#...#...#..",
    "...#...#...#.",
    "..#...#...#..",
    ".............",
    "###########..",
    "###########..",
    "##########.#.",
    "##########..#",
    "##########..#",
    "##########.#.",
    "###########..",
    ".########....",
    "..######.....",
)
"""What the signal turns out to be."""


def screen(
    canvas: skia.Canvas,
    left: float,
    top: float,
    width: float,
    height: float,
    t: float,
    signal: bool,
) -> None:
    """Draw a display with a running trace above a falling spectrum."""
    box(canvas, left - 8, top - 8, width + 16, height + 16, fill("#2a3040"), 10)
    box(canvas, left, top, width, height, fill("#04140f"), 5)
    canvas.save()
    canvas.clipRect(skia.Rect.MakeXYWH(left, top, width, height), skia.ClipOp.kIntersect, True)
    for grid in range(1, 8):
        canvas.drawLine(
            left + grid * width / 8,
            top,
            left + grid * width / 8,
            top + height,
            line("#1a5a44", 0.8, 0.6),
        )
        canvas.drawLine(
            left,
            top + grid * height / 8,
            left + width,
            top + grid * height / 8,
            line("#1a5a44", 0.8, 0.6),
        )
    points = []
    for step in range(97):
        share = step / 96
        noise = 3.5 * math.sin(step * 12.9 + t * 23) + 3 * math.sin(step * 7.7 - t * 31)
        pulse = (
            height
            * 0.24
            * math.exp(-(((share - 0.62) * 26) ** 2))
            * (0.75 + 0.25 * math.sin(t * 9))
            if signal
            else 0
        )
        points.append((left + share * width, top + height * 0.36 + noise - pulse))
    canvas.drawPath(curve(points), line("#6affb8", 5, 0.35, 3))
    canvas.drawPath(curve(points), line("#b5ffdc", 1.7))
    rows = 20
    for row in range(rows):
        stamp = math.floor(t * 12) - row
        chance = random.Random(stamp * 7919 + 13)
        y = top + height * 0.48 + row * height * 0.026
        for column in range(40):
            strength = chance.random() * 0.42
            if signal and abs(column - 25) < 1.5 and stamp % 5 < 3:
                strength = 1.0
            cell = mix("#0a3050", "#ffe27a", strength)
            box(canvas, left + column * width / 40, y, width / 40 - 0.6, height * 0.024, fill(cell))
    canvas.restore()


def person(
    canvas: skia.Canvas,
    x: float,
    foot: float,
    size: float,
    t: float,
    coat: str,
    hair: str,
    talking: bool,
) -> None:
    """Draw a scientist seen from behind, head moving as they speak."""
    canvas.save()
    canvas.translate(x, foot)
    canvas.scale(size, size)
    nod = (3.5 * math.sin(t * 6) if talking else 1.2 * math.sin(t)) + 0.0
    body = skia.Path()
    body.moveTo(-58, 10)
    body.cubicTo(-58, -62, -36, -78, 0, -78)
    body.cubicTo(36, -78, 58, -62, 58, 10)
    body.close()
    canvas.drawPath(
        body, vertical(-78, 10, [mix(coat, "#ffffff", 0.12), mix(coat, "#000000", 0.4)])
    )
    box(canvas, -12, -96, 24, 28, fill("#b98463"), 8)
    ellipse(canvas, nod, -116 + abs(nod) * 0.4, 29, 33, fill(hair))
    ellipse(canvas, nod - 29, -112, 5, 8, fill("#c99472"))
    ellipse(canvas, nod + 29, -112, 5, 8, fill("#c99472"))
    lift = 16 * math.sin(t * 3.4) if talking else 0
    canvas.drawPath(
        curve([(50, -40), (84, -34), (98, -62 - lift)]), line(mix(coat, "#000000", 0.15), 19)
    )
    canvas.drawCircle(98, -68 - lift, 10, fill("#c99472"))
    canvas.restore()


def control_room(signal: bool = False, speaker: int = 0) -> Scene:
    """Two scientists in front of the displays; `speaker` 1 or 2 is talking."""

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        sky(canvas, "#141a2c", "#222c46", "#10141f")
        canvas.save()
        zoom = 1.0 + 0.05 * progress
        canvas.translate(320, 170)
        canvas.scale(zoom, zoom)
        canvas.translate(-320, -170)
        for panel in range(4):
            box(canvas, -10 + panel * 170, 6, 160, 250, fill("#1c243a"), 6)
        screen(canvas, 200, 28, 240, 176, t, signal)
        for side, left in enumerate((36, 472)):
            box(canvas, left - 6, 54, 142, 112, fill("#2a3040"), 8)
            box(canvas, left, 60, 130, 100, fill("#0a1430"), 4)
            centre = (left + 65, 110)
            for ring in (14, 28, 42):
                canvas.drawCircle(*centre, ring, line("#5aa0e8", 1.2, 0.7))
            angle = t * (1.4 if side else -1.1)
            canvas.drawLine(
                *centre,
                centre[0] + 42 * math.cos(angle),
                centre[1] + 42 * math.sin(angle),
                line("#8fd0ff", 2.4),
            )
            for spot in range(6):
                turn = spot * 1.9 + side
                bright = 0.4 + 0.6 * abs(math.sin(t * 2 + spot))
                canvas.drawCircle(
                    centre[0] + 34 * math.cos(turn),
                    centre[1] + 30 * math.sin(turn * 1.4),
                    2.6,
                    fill("#ffe27a", bright),
                )
        glow(canvas, 320, 110, 280, "#4dffb0" if signal else "#3a8a78", 0.22)
        box(canvas, -20, 248, 680, 130, vertical(248, HEIGHT, ["#3a4560", "#151b2c"]))
        for button in range(42):
            lit = 0.3 + 0.7 * (math.sin(t * 3 + button * 2.3) > 0.1)
            code = ("#ff6a5a", "#ffd166", "#6fe3a5", "#6ab8ff")[button % 4]
            canvas.drawCircle(
                22 + (button % 21) * 30, 264 + (button // 21) * 15, 4, fill(code, lit)
            )
        person(canvas, 186, 372, 1.12, t, "#8a4a3f", "#3a2418", speaker == 1)
        person(canvas, 468, 376, 1.18, t + 1, "#e4e6ec", "#b9b5ae", speaker == 2)
        canvas.restore()
        vignette(canvas, 0.45)

    return scene


def message() -> Scene:
    """The display from close by, as the picture builds up dot by dot."""

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        sky(canvas, "#020a08", "#04140f", "#020a08")
        for row in range(0, HEIGHT, 6):
            canvas.drawLine(0, row, WIDTH, row, line("#0a3a2a", 1, 0.6))
        glow(canvas, 320, 180, 320, "#1f8a62", 0.4)
        dots = [(x, y) for y, row in enumerate(CUP) for x, mark in enumerate(row) if mark == "#"]
        shown = progress * 1.15 * len(dots)
        for index, (x, y) in enumerate(dots):
            age = min(max(shown - index, 0), 1)
            left, top = 320 + (x - 6) * 23, 178 + (y - 6) * 23
            rise = 2 * math.sin(t * 2.4 + x) if y < 3 else 0
            box(canvas, left - 9 + rise, top - 9, 18, 18, fill("#4dffb0", 0.35 * age, 5), 4)
            box(canvas, left - 8 + rise, top - 8, 16, 16, fill("#c8ffe4", age), 4)
        sweep = (t * 90) % (HEIGHT + 60) - 30
        box(canvas, 0, sweep, WIDTH, 26, fill("#6affb8", 0.07))
        box(
            canvas,
            0,
            0,
            WIDTH,
            HEIGHT,
            radial(320, 180, 400, [("#000000", 0), ("#000000", 0), ("#000000", 0.6)]),
        )

    return scene
