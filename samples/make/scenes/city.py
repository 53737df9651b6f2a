"""The city: its skyline, a window sill above it, a street in the rain and an elevated railway."""

import math
import random

import skia

from ..drawing import (
    HEIGHT,
    WIDTH,
    Scene,
    box,
    cloud,
    curve,
    ellipse,
    fill,
    glow,
    line,
    mix,
    polygon,
    shade,
    sky,
    stars,
    vertical,
    vignette,
)


def towers(
    canvas: skia.Canvas,
    seed: int,
    foot: float,
    low: float,
    high: float,
    code: str,
    lit: float,
    t: float,
    shift: float = 0.0,
) -> None:
    """Draw a row of buildings; a share `lit` of the windows glows, a few switch as time passes."""
    chance = random.Random(seed)
    x = -60.0
    while x < WIDTH + 200:
        width, height = chance.uniform(44, 92), chance.uniform(low, high)
        left, top = x - shift, foot - height
        box(
            canvas,
            left,
            top,
            width,
            height + 200,
            vertical(top, foot, [mix(code, "#ffffff", 0.07), code]),
        )
        if chance.random() < 0.4:
            canvas.drawLine(left + width / 2, top, left + width / 2, top - 22, line(code, 2.5))
        for row in range(int(height // 15)):
            for column in range(int(width // 13)):
                draw, phase = chance.random(), chance.uniform(0, 40)
                on = draw < lit * (0.85 + 0.3 * math.sin(t * 0.5 + phase))
                tone = chance.choice(("#ffd98a", "#ffe9b8", "#ffc46b", "#cfe6ff"))
                place = (left + 5 + column * 13, top + 7 + row * 15, 7, 8)
                box(canvas, *place, fill(tone, 0.95) if on else fill("#0b1024", 0.35))
        x += width + chance.uniform(2, 10)


def skyline(night: bool = False) -> Scene:
    """Towers over a river with traffic on the bridge; the camera drifts sideways."""

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        if night:
            sky(canvas, "#050818", "#111c44", "#31386b")
            stars(canvas, 150, 3, t, floor=200)
            glow(canvas, 500, 66, 120, "#dfe8ff", 0.5)
            canvas.drawCircle(500, 66, 22, fill("#f5f2e2"))
            canvas.drawCircle(492, 60, 5, fill("#d8d3be"))
            canvas.drawCircle(507, 73, 4, fill("#d8d3be"))
        else:
            sky(canvas, "#35427f", "#c4688a", "#ffb46a")
            glow(canvas, 190, 214, 230, "#ffe0a0", 0.9)
            canvas.drawCircle(190, 206 + 22 * progress, 26, fill("#fff2cc", 1, 1.5))
            for index in range(5):
                cloud(
                    canvas,
                    (index * 170 + 10 * t) % 820 - 80,
                    44 + (index * 37) % 74,
                    46,
                    "#ffc9b8",
                    0.6,
                )
        drift = 16 * t
        far, near = ("#1b2450", "#0c1230") if night else ("#6b5288", "#352a55")
        towers(canvas, 8, 270, 60, 150, far, 0.45 if night else 0.2, t, drift * 0.4)
        towers(canvas, 19, 280, 30, 112, near, 0.6 if night else 0.3, t, drift)
        river = ["#131a3c", "#0a0f26"] if night else ["#8a5a7d", "#33305c"]
        box(canvas, 0, 278, WIDTH, 90, vertical(278, HEIGHT, river))
        chance = random.Random(4)
        for _ in range(70):
            x, y = chance.uniform(0, WIDTH), chance.uniform(284, 356)
            bright = 0.15 + 0.3 * abs(math.sin(t * 1.6 + chance.uniform(0, 6)))
            canvas.drawLine(x, y, x + chance.uniform(8, 34), y, line("#ffd28a", 1.4, bright))
        box(canvas, 0, 272, WIDTH, 9, fill("#151126"))
        for pier in range(6):
            box(canvas, 40 + pier * 120, 280, 12, 26, fill("#151126"))
        for car in range(9):
            right = (car * 83 + 62 * t) % 760 - 60
            box(canvas, right, 265, 20, 8, fill(("#d9513d", "#e8ebf2", "#3f6fb5")[car % 3]), 3)
            glow(canvas, right + 22, 269, 16, "#fff2c0", 0.9)
            left = 700 - (car * 97 + 48 * t) % 780
            glow(canvas, left, 270, 9, "#ff5040", 0.9)
        vignette(canvas)

    return scene


def cat(
    canvas: skia.Canvas, x: float, foot: float, size: float, t: float, asleep: bool = False
) -> None:
    """Draw a tabby seen from behind or, asleep, curled up."""
    coat, dark = "#8a6642", "#4d3522"
    canvas.save()
    canvas.translate(x, foot)
    canvas.scale(size, size)
    if asleep:
        breath = 1.5 * math.sin(t * 2)
        ellipse(canvas, 0, -26 - breath / 2, 62, 28 + breath, fill(coat))
        for stripe in range(5):
            x_stripe = -34 + stripe * 17
            canvas.drawLine(x_stripe, -50 - breath, x_stripe + 7, -32, line(dark, 4, 0.6))
        ellipse(canvas, 48, -20, 25, 21, fill(mix(coat, "#ffffff", 0.08)))
        polygon(canvas, [(32, -34), (36, -54), (50, -39)], fill(coat))
        polygon(canvas, [(54, -39), (68, -50), (68, -30)], fill(coat))
        canvas.drawArc(skia.Rect.MakeXYWH(42, -26, 10, 8), 20, 140, False, line(dark, 2))
        canvas.drawArc(skia.Rect.MakeXYWH(56, -26, 10, 8), 20, 140, False, line(dark, 2))
        canvas.drawPath(curve([(-56, -14), (-40, 4), (4, 4), (26, -4)]), line(dark, 11))
    else:
        swing = 22 * math.sin(t * 2.4)
        canvas.drawPath(
            curve([(26, -10), (70, -4), (84 + swing * 0.4, -34), (70 + swing, -62)]), line(dark, 11)
        )
        body = skia.Path()
        body.moveTo(-36, 0)
        body.cubicTo(-48, -60, -26, -92, 0, -94)
        body.cubicTo(26, -92, 48, -60, 36, 0)
        body.close()
        canvas.drawPath(body, fill(coat))
        for stripe in range(4):
            y = -70 + stripe * 17
            canvas.drawPath(curve([(-24, y), (0, y + 7), (24, y)]), line(dark, 4.5, 0.65))
        turn = 6 * math.sin(t * 0.9)
        ellipse(canvas, turn, -108, 33, 28, fill(mix(coat, "#ffffff", 0.06)))
        for side in (-1, 1):
            ear = [(turn + side * 30, -116), (turn + side * 27, -148), (turn + side * 8, -132)]
            polygon(canvas, ear, fill(coat))
        for stripe in (-10, 0, 10):
            canvas.drawLine(turn + stripe, -134, turn + stripe * 0.7, -118, line(dark, 3.6, 0.7))
    canvas.restore()


def window_sill(asleep: bool = False, night: bool = False, flick: float = 1.0) -> Scene:
    """The cat on the sill between curtains, the lit city outside."""

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        if night:
            sky(canvas, "#070b20", "#18234f", "#343a6b")
            stars(canvas, 90, 12, t, floor=190)
        else:
            sky(canvas, "#3a4788", "#b9648c", "#ffb877")
        far, near = ("#182046", "#0d1330") if night else ("#5f4b80", "#31294f")
        towers(canvas, 31, 300, 60, 170, far, 0.5, t, 6 * progress)
        towers(canvas, 44, 320, 40, 120, near, 0.55, t, 14 * progress)
        wall = "#2a1e2c" if night else "#6d4458"
        for left in (-10, 545):
            box(canvas, left, 0, 105, HEIGHT, fill(wall))
        box(canvas, 95, 0, 450, 14, fill("#e6ddd0"))
        for post in (90, 314, 538):
            box(canvas, post, 0, 12, 292, fill("#e6ddd0"))
        for side in (-1, 1):
            for fold in range(5):
                edge = 320 + side * (250 - fold * 17) + 3 * math.sin(t * 1.2 + fold)
                tone = mix("#b5483f", "#5f1d22", fold % 2)
                box(
                    canvas,
                    edge - 12,
                    -5,
                    24,
                    300,
                    fill(mix(tone, "#000000", 0.35 if night else 0)),
                    8,
                )
        box(canvas, -10, 288, 660, 18, vertical(288, 306, ["#f3ece0", "#b9ac9a"]))
        box(canvas, -10, 306, 660, 60, vertical(306, HEIGHT, ["#4a3340", "#241821"]))
        box(canvas, 448, 246, 44, 44, vertical(246, 290, ["#c66b42", "#7d3d22"]), 6)
        for leaf in range(7):
            sway = 3 * math.sin(t * 1.4 + leaf)
            tip = (470 + (leaf - 3) * 15 + sway, 200 + abs(leaf - 3) * 11)
            canvas.drawPath(
                curve([(470, 248), (470 + (leaf - 3) * 5, 224), tip]), line("#4d8a4f", 6)
            )
        cat(canvas, 246, 290, 1.12, t * flick, asleep)
        if night:
            glow(canvas, 60, 190, 210, "#ffb45e", 0.4)
        vignette(canvas, 0.4)

    return scene


def umbrella(canvas: skia.Canvas, x: float, foot: float, size: float, t: float, code: str) -> None:
    """Draw a passer-by under an umbrella, in mid-stride."""
    canvas.save()
    canvas.translate(x, foot + 1.5 * abs(math.sin(t * 5)))
    canvas.scale(size, size)
    step = 15 * math.sin(t * 5)
    for leg in (step, -step):
        canvas.drawLine(0, -52, leg, 0, line("#15172b", 9))
    box(canvas, -17, -118, 34, 74, fill("#23284a"), 14)
    canvas.drawCircle(0, -130, 13, fill("#d9a583"))
    canvas.drawLine(10, -94, 14, -170, line("#101225", 3))
    dome = skia.Path()
    dome.addArc(skia.Rect.MakeXYWH(-46, -196, 120, 84), 180, 180)
    dome.close()
    canvas.drawPath(dome, fill(code))
    for rib in (-1, 1):
        canvas.drawPath(
            curve([(14, -196), (14 + rib * 22, -178), (14 + rib * 26, -154)]),
            line("#000000", 1.5, 0.3),
        )
    canvas.restore()


def rainy_street(with_cat: bool = False) -> Scene:
    """Shop fronts, lamps, reflections, rain and passers-by; the cat may trot through."""
    chance = random.Random(14)
    drops = [
        (chance.uniform(-80, 720), chance.uniform(0, 400), chance.uniform(0.6, 1.4))
        for _ in range(150)
    ]
    ripples = [
        (chance.uniform(0, 640), chance.uniform(262, 352), chance.random()) for _ in range(34)
    ]
    shops = (
        ("#b5533c", "#ffd48a"),
        ("#3d6a7d", "#bfe8ff"),
        ("#7d4a78", "#ffc0d8"),
        ("#4f7a4a", "#e9ffb8"),
    )

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        sky(canvas, "#1c2540", "#2e3a58", "#2e3a58")
        for index in range(6):
            left = index * 150 - 40 - 12 * progress
            front, light = shops[index % 4]
            box(
                canvas,
                left,
                20,
                144,
                232,
                vertical(20, 252, [mix(front, "#10142a", 0.6), mix(front, "#10142a", 0.25)]),
            )
            for window in range(4):
                pane = (left + 14 + (window % 2) * 64, 36 + (window // 2) * 58, 48, 42)
                box(canvas, *pane, fill(light if (index + window) % 3 else "#151a30", 0.75), 3)
            box(canvas, left + 10, 172, 124, 80, fill(light, 0.9), 3)
            for stripe in range(8):
                tone = front if stripe % 2 else "#f3ece0"
                edge = left + 4 + stripe * 17
                polygon(
                    canvas,
                    [(edge, 154), (edge + 17, 154), (edge + 15, 178), (edge - 2, 178)],
                    fill(tone),
                )
            glow(canvas, left + 72, 214, 96, light, 0.4)
        box(canvas, 0, 250, WIDTH, 112, vertical(250, HEIGHT, ["#3a4260", "#141829"]))
        for index in range(6):
            left = index * 150 - 40 - 12 * progress
            light = shops[index % 4][1]
            wobble = 4 * math.sin(t * 2 + index)
            box(canvas, left + 20 + wobble, 256, 104, 96, fill(light, 0.17, 12))
        for post in (120, 420):
            canvas.drawLine(post, 268, post, 84, line("#0e1122", 6))
            glow(canvas, post, 78, 110, "#ffdf9a", 0.75)
            canvas.drawCircle(post, 78, 10, fill("#fff4d2"))
            box(canvas, post - 8, 272, 16, 84, fill("#ffdf9a", 0.3, 8))
        for index, code in enumerate(("#d9513d", "#f0b440", "#3f8f8a")):
            x = (index * 260 + 46 * t + 40) % 840 - 100
            umbrella(canvas, x, 300 - index * 7, 0.82, t + index * 0.6, code)
        if with_cat:
            x, bob = 40 + 118 * t, 3 * abs(math.sin(t * 9))
            for leg in range(4):
                swing = 11 * math.sin(t * 11 + leg * 2.2)
                canvas.drawLine(
                    x + leg * 17, 318 - bob, x + leg * 17 + swing, 344, line("#3c2817", 6)
                )
            ellipse(canvas, x + 26, 311 - bob, 42, 16, fill("#7a5836"))
            for stripe in range(4):
                canvas.drawLine(
                    x + 4 + stripe * 14,
                    297 - bob,
                    x + 8 + stripe * 14,
                    312 - bob,
                    line("#3c2817", 4, 0.8),
                )
            canvas.drawCircle(x + 72, 298 - bob, 15, fill("#8a6642"))
            for ear in (-1, 1):
                polygon(
                    canvas,
                    [
                        (x + 72 + ear * 13, 294 - bob),
                        (x + 72 + ear * 11, 275 - bob),
                        (x + 72 + ear * 2, 286 - bob),
                    ],
                    fill("#8a6642"),
                )
            canvas.drawPath(
                curve([(x - 12, 308), (x - 34, 296), (x - 36, 270 + 5 * math.sin(t * 6))]),
                line("#3c2817", 7),
            )
        for x, y, age in ripples:
            phase = (age + t * 1.3) % 1
            ellipse(
                canvas,
                x,
                y,
                3 + 13 * phase,
                1 + 3.6 * phase,
                line("#cfdcff", 1.2, 0.5 * (1 - phase)),
            )
        for x, y, speed in drops:
            top = (y + 520 * speed * t) % 420 - 40
            left = x - 0.16 * top
            canvas.drawLine(left, top, left - 3, top + 17, line("#d5e2ff", 1.1, 0.36))
        shade(canvas, "#0c1230", 0.06)
        vignette(canvas, 0.4)

    return scene
