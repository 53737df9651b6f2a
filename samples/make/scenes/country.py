"""The country: a valley with a viaduct, a small station, a lake and a meadow at night."""

import math
import random

import skia

from ..drawing import (
    HEIGHT,
    WIDTH,
    Scene,
    birds,
    box,
    cloud,
    curve,
    ellipse,
    fill,
    glow,
    hills,
    line,
    mix,
    mountains,
    pine,
    polygon,
    sky,
    stars,
    vertical,
    vignette,
    water,
)

COACHES = ("#b5382f", "#e0b04a", "#e0b04a", "#e0b04a")


def train(
    canvas: skia.Canvas, x: float, rail: float, size: float, t: float, back: bool = False
) -> None:
    """Draw a steam train whose nose is at `x`, heading right (or left, `back`)."""
    canvas.save()
    canvas.translate(x, rail)
    canvas.scale(-size if back else size, size)
    for puff in range(12):
        age = (puff / 12 + t * 0.5) % 1.0
        canvas.drawCircle(
            -22 - 150 * age,
            -58 - 44 * age + 5 * math.sin(puff * 2.0),
            6 + 20 * age,
            fill("#ffffff", 0.65 * (1 - age), 3),
        )
    for index, code in enumerate(COACHES[1:], start=1):
        left = -86 - index * 92
        box(
            canvas,
            left,
            -40,
            84,
            32,
            vertical(-40, -8, [mix(code, "#ffffff", 0.2), mix(code, "#000000", 0.2)]),
            5,
        )
        box(canvas, left - 2, -44, 88, 6, fill("#5d4630"), 3)
        for window in range(5):
            box(canvas, left + 7 + window * 15, -34, 10, 12, fill("#fff3c4"), 2)
        box(canvas, left + 84, -14, 8, 4, fill("#222222"))
        for wheel in (14, 32, 54, 72):
            canvas.drawCircle(left + wheel, -6, 6.5, fill("#2b2b33"))
    box(canvas, -62, -38, 56, 27, vertical(-38, -11, ["#d9574c", "#7d1f1a"]), 10)
    box(canvas, -84, -54, 30, 43, vertical(-54, -11, ["#d9574c", "#7d1f1a"]), 3)
    box(canvas, -87, -58, 36, 6, fill("#2b2b33"), 2)
    box(canvas, -79, -48, 17, 14, fill("#fff3c4"), 2)
    box(canvas, -26, -56, 10, 20, fill("#2b2b33"), 2)
    box(canvas, -29, -60, 16, 6, fill("#2b2b33"), 2)
    ellipse(canvas, -42, -40, 6, 6, fill("#e0b04a"))
    canvas.drawCircle(-6, -26, 5, fill("#fff3c4"))
    polygon(canvas, [(-8, -12), (4, -1), (-12, -1)], fill("#2b2b33"))
    for wheel in (-72, -50, -30, -14):
        radius = 9 if wheel < -40 else 7
        canvas.drawCircle(wheel, -radius, radius, fill("#2b2b33"))
        angle = t * 7
        for spoke in range(3):
            turn = angle + spoke * math.pi / 3
            dx, dy = radius * 0.8 * math.cos(turn), radius * 0.8 * math.sin(turn)
            canvas.drawLine(
                wheel - dx, -radius - dy, wheel + dx, -radius + dy, line("#c9c9cf", 1.3)
            )
    shift = 5 * math.cos(t * 7)
    canvas.drawLine(
        -72 + shift,
        -8 + 4 * math.sin(t * 7),
        -30 + shift,
        -8 + 4 * math.sin(t * 7),
        line("#c9c9cf", 2.4),
    )
    canvas.restore()


def valley(evening: bool = False) -> Scene:
    """A train crosses the viaduct in front of mountains; birds, clouds and a river."""

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        if evening:
            sky(canvas, "#38396e", "#e0745f", "#ffc77d")
            land = ("#6a4a70", "#7a4f5c", "#5a4a48", "#3d3d3a")
            sun, snow, puff = (500, 150 + 26 * progress, "#ffe2a6"), "#ffc9b0", "#ff9f8a"
        else:
            sky(canvas, "#4f9ddf", "#a6d8f5", "#e8f6f4")
            land = ("#7f9cc0", "#7fb27a", "#5b9a55", "#3f7d45")
            sun, snow, puff = (130, 82 - 16 * progress, "#fff6c8"), "#ffffff", "#ffffff"
        glow(canvas, sun[0], sun[1], 190, sun[2], 0.9)
        canvas.drawCircle(sun[0], sun[1], 23, fill("#fffbe8", 1, 1.5))
        mountains(canvas, 230, 140, 9, land[0], snow)
        for index in range(5):
            cloud(
                canvas,
                (index * 173 + (8 + index) * t) % 840 - 90,
                48 + (index * 41) % 80,
                40,
                puff,
                0.8,
            )
        hills(canvas, 226, 20, 3, vertical(200, 300, [land[1], land[2]]), 5 * t)
        for index in range(16):
            pine(
                canvas,
                18 + index * 43 - 5 * t,
                296 + (index * 7) % 6,
                34 + (index * 11) % 15,
                mix(land[2], "#123018", 0.4),
            )
        water(
            canvas,
            298,
            t,
            [mix(land[0], "#9fd0ee", 0.5), mix(land[0], "#1d3a5a", 0.6)],
            "#ffffff",
            6,
        )
        stone = "#a08a78" if evening else "#c9b8a0"
        rail = 212
        nose = 760 - 150 * t if evening else -60 + 165 * t
        train(canvas, nose, rail, 0.92, t, back=evening)
        box(
            canvas,
            0,
            rail,
            WIDTH,
            18,
            vertical(rail, rail + 18, [mix(stone, "#ffffff", 0.25), stone]),
        )
        for arch in range(7):
            left = -30 + arch * 100
            box(
                canvas,
                left,
                rail + 16,
                26,
                120,
                vertical(rail, 330, [stone, mix(stone, "#000000", 0.35)]),
            )
            path = skia.Path()
            path.moveTo(left + 26, rail + 66)
            path.cubicTo(left + 28, rail + 22, left + 98, rail + 22, left + 100, rail + 66)
            path.lineTo(left + 100, rail + 14)
            path.lineTo(left + 26, rail + 14)
            path.close()
            canvas.drawPath(path, fill(mix(stone, "#000000", 0.1)))
        hills(canvas, 342, 10, 12, fill(land[3]), 20 * t)
        birds(canvas, 420 - 30 * t, 116, t, "#30384a")
        vignette(canvas, 0.25)

    return scene


def platform(sunrise: bool = False, train_at: str = "") -> Scene:
    """Country station: clock, lamp, bench; a train `leaves`, `arrives` or is not there."""

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        if sunrise:
            sky(canvas, "#5a6fb5", "#f5a98c", "#ffe6b8")
            glow(canvas, 540, 190 - 20 * progress, 230, "#fff0b0", 0.95)
            canvas.drawCircle(540, 190 - 20 * progress, 24, fill("#fffbe6", 1, 1.5))
            land, roof = "#7d7f6a", "#8a3f35"
        else:
            sky(canvas, "#6db3e8", "#c2e4f5", "#eef7ee")
            land, roof = "#5f9a5a", "#a8443a"
        for index in range(4):
            cloud(canvas, (index * 210 + 9 * t) % 840 - 90, 44 + index * 16, 42, "#ffffff", 0.75)
        hills(canvas, 214, 18, 7, fill(mix(land, "#9fb8d8", 0.4)))
        hills(canvas, 240, 12, 9, fill(land))
        for index in range(9):
            pine(canvas, 320 + index * 42, 256, 52 + (index * 17) % 22, mix(land, "#103018", 0.5))
        if train_at == "leaves":
            train(canvas, 560 + 60 * max(t, 0) ** 1.7, 284, 1.5, t)
        elif train_at == "arrives":
            train(
                canvas, 560 - 460 * (1 - min(progress * 1.15, 1)) ** 2, 284, 1.5, t * (1 - progress)
            )
        box(canvas, 0, 284, WIDTH, 6, fill("#5c5c66"))
        box(canvas, 0, 290, WIDTH, 80, vertical(290, HEIGHT, ["#d8cbb5", "#9c8b74"]))
        for slab in range(11):
            canvas.drawLine(slab * 64, 290, slab * 80 - 90, HEIGHT, line("#7d6d58", 1.5, 0.6))
        box(canvas, 0, 290, WIDTH, 5, fill("#f5f0df"))
        box(canvas, 18, 130, 170, 168, vertical(130, 298, ["#f3e3c3", "#cdb48a"]))
        polygon(canvas, [(0, 134), (103, 78), (206, 134)], fill(roof))
        polygon(
            canvas, [(0, 134), (206, 134), (206, 142), (0, 142)], fill(mix(roof, "#000000", 0.3))
        )
        box(canvas, 42, 180, 44, 56, fill("#6fa5c4"), 3)
        box(canvas, 42, 206, 44, 3, fill("#f5f0df"))
        box(canvas, 112, 184, 52, 114, fill("#3f6a52"), 3)
        canvas.drawCircle(103, 112, 15, fill("#f5f0df"))
        for turn, reach in ((t * 2.4, 12), (t * 0.2 + 2, 8)):
            canvas.drawLine(
                103,
                112,
                103 + reach * math.sin(turn),
                112 - reach * math.cos(turn),
                line("#30303a", 2.2),
            )
        canvas.drawLine(430, 320, 430, 170, line("#2d3a3a", 6))
        canvas.drawLine(430, 172, 456, 172, line("#2d3a3a", 5))
        box(canvas, 446, 174, 22, 24, fill("#ffe9a8"), 5)
        box(canvas, 232, 296, 132, 9, fill("#8a5a34"), 3)
        box(canvas, 232, 272, 132, 7, fill("#8a5a34"), 3)
        for leg in (242, 346):
            box(canvas, leg, 270, 6, 56, fill("#3a3a40"))
        if not train_at:
            for index in range(5):
                age = (t * 0.3 + index / 5) % 1
                x = 690 - 760 * age
                canvas.save()
                canvas.translate(x, 318 + 12 * math.sin(t * 3 + index * 2))
                canvas.rotate(t * 200 + index * 70)
                ellipse(canvas, 0, 0, 7, 3.4, fill(("#c9762f", "#d9a83f", "#a8502f")[index % 3]))
                canvas.restore()
            birds(canvas, 260 + 26 * t, 70, t, "#3a4a5a", 3)
        vignette(canvas, 0.28)

    return scene


def lake(evening: bool = False) -> Scene:
    """A sailing boat on a mountain lake."""

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        if evening:
            sky(canvas, "#463f7d", "#e8806a", "#ffd08a")
            ridge, wood, tones = "#6f4f78", "#3d3350", ["#e8946f", "#6a4a78", "#2c2a55"]
            sun, shine = (400, 148 + 14 * progress), "#ffe0a0"
        else:
            sky(canvas, "#3f95d8", "#9fd4f2", "#e4f4f5")
            ridge, wood, tones = "#7795b8", "#3f7550", ["#86c4e0", "#3a83b5", "#1a4f82"]
            sun, shine = (150, 66), "#ffffff"
        glow(canvas, *sun, 170, "#fff2c0", 0.9)
        canvas.drawCircle(*sun, 22, fill("#fffbe8", 1, 1.5))
        mountains(canvas, 200, 130, 17, ridge, "#ffd5c0" if evening else "#ffffff")
        for index in range(3):
            cloud(
                canvas,
                (index * 260 + 11 * t) % 860 - 100,
                50 + index * 20,
                46,
                "#ffb8a0" if evening else "#ffffff",
                0.75,
            )
        for index in range(22):
            pine(canvas, index * 31 - 6, 196 + (index * 5) % 7, 34 + (index * 13) % 18, wood)
        water(canvas, 194, t, tones, shine, 9)
        if evening:
            for step in range(16):
                row = 200 + step * 10
                half = 10 + step * 2.4 + 5 * math.sin(t * 3 + step * 1.7)
                canvas.drawLine(400 - half, row, 400 + half, row, line("#ffe9b0", 3, 0.5, 1))
        x, y = 200 + 26 * t, 262 + 2.5 * math.sin(t * 1.7)
        canvas.save()
        canvas.translate(x, y)
        canvas.rotate(2.5 * math.sin(t * 1.3))
        polygon(canvas, [(4, -104), (4, -14), (64, -14)], fill("#fffaf0"))
        polygon(canvas, [(-3, -96), (-3, -14), (-46, -14)], fill("#f0d8b8"))
        canvas.drawLine(0, -110, 0, -4, line("#5a3a22", 3.5))
        canvas.drawPath(
            curve([(-58, -8), (-48, 18), (44, 18), (64, -8)], close=True), fill("#a8402f")
        )
        canvas.drawLine(-56, -6, 62, -6, line("#fffaf0", 3))
        canvas.restore()
        for step in range(4):
            length = 34 + step * 16
            canvas.drawLine(
                x - length - 40,
                y + 18 + step * 3,
                x + 56,
                y + 18 + step * 3,
                line("#ffffff", 1.4, 0.35),
            )
        chance = random.Random(1)
        for _ in range(46):
            left = chance.uniform(-10, 650)
            tall, sway = chance.uniform(26, 66), 5 * math.sin(t * 1.5 + left * 0.03)
            canvas.drawPath(
                curve([(left, 364), (left, 364 - tall / 2), (left + sway, 364 - tall)]),
                line(mix("#2f4a2a", "#6a8a3a", chance.random()), 2.4),
            )
        vignette(canvas, 0.28)

    return scene


def meadow() -> Scene:
    """Fireflies over a meadow by moonlight."""
    chance = random.Random(77)
    flies = [
        [chance.uniform(0, 7) for _ in range(4)]
        + [chance.uniform(20, 620), chance.uniform(150, 330)]
        for _ in range(46)
    ]

    def scene(canvas: skia.Canvas, t: float, _progress: float) -> None:
        sky(canvas, "#050a22", "#13265a", "#34568a")
        stars(canvas, 190, 41, t, floor=230, turn=t * 0.6)
        glow(canvas, 470, 84, 150, "#dfe9ff", 0.6)
        canvas.drawCircle(470, 84, 27, fill("#f6f3e4"))
        for dx, dy, radius in ((-8, -6, 6), (9, 4, 4.5), (-2, 11, 3.5), (8, -12, 3)):
            canvas.drawCircle(470 + dx, 84 + dy, radius, fill("#d9d5c2"))
        hills(canvas, 236, 24, 15, fill("#16294e"), 4 * t)
        for index in range(15):
            pine(
                canvas,
                index * 47 - 4 * t,
                262 + (index * 7) % 10,
                58 + (index * 19) % 30,
                "#0e2036",
            )
        hills(canvas, 276, 12, 25, vertical(262, HEIGHT, ["#1d4038", "#081a18"]), 9 * t)
        blades = random.Random(6)
        for _ in range(130):
            left, foot = blades.uniform(-10, 650), blades.uniform(316, 372)
            tall, sway = blades.uniform(14, 40), 4 * math.sin(t * 1.4 + left * 0.04)
            canvas.drawPath(
                curve([(left, foot), (left, foot - tall / 2), (left + sway, foot - tall)]),
                line(mix("#123228", "#2f5f3f", blades.random()), 2),
            )
        for a, b, c, d, x, y in flies:
            left = x + 26 * math.sin(t * 0.7 + a) + 12 * math.sin(t * 1.3 + b)
            top = y + 17 * math.sin(t * 0.9 + c)
            bright = max(0.0, math.sin(t * 1.8 + d)) ** 0.7
            glow(canvas, left, top, 20, "#e9ff8a", 0.75 * bright)
            canvas.drawCircle(left, top, 1.9, fill("#fbffd8", bright))
        vignette(canvas, 0.3)

    return scene
