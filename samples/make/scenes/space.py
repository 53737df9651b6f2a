"""Launch pad, orbit and the galley of a small space station."""

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
    colour,
    curve,
    ellipse,
    fill,
    glow,
    line,
    mix,
    mountains,
    polygon,
    radial,
    shade,
    sky,
    stars,
    vertical,
    vignette,
    water,
)


def launch() -> Scene:
    """A rocket climbs on a column of fire and smoke."""
    chance = random.Random(11)
    puffs = [(chance.uniform(-1, 1), chance.random(), chance.uniform(0.6, 1.3)) for _ in range(90)]

    def scene(canvas: skia.Canvas, t: float, _progress: float) -> None:
        lift = 26 * max(t, 0) ** 1.75
        x, foot = 320 + 0.8 * math.sin(t * 31), 268 - lift
        sky(canvas, "#0a1433", "#233a6b", "#c7734d")
        stars(canvas, 120, 4, t, floor=170)
        mountains(canvas, 300, 70, 21, "#1b2140")
        glow(canvas, x, foot + 30, 330, "#ff9a3d", 0.75)
        box(canvas, 0, 292, WIDTH, 70, vertical(292, HEIGHT, ["#3a2a2c", "#120d12"]))
        for tower in (150, 505):
            for level in range(9):
                y = 292 - level * 24
                canvas.drawLine(tower, y, tower + 16, y - 24, line("#0b0e1a", 2))
                canvas.drawLine(tower + 16, y, tower, y - 24, line("#0b0e1a", 2))
            canvas.drawLine(tower, 292, tower, 76, line("#0b0e1a", 3))
            canvas.drawLine(tower + 16, 292, tower + 16, 76, line("#0b0e1a", 3))
        for side, birth, size in puffs:
            age = (max(t, 0) * 0.55 + birth) % 1.0
            spread = side * (30 + 330 * age)
            height = 294 - 50 * age * size
            tone = mix("#ffb36b", "#8d8794", min(1, age * 2 + abs(side) * 0.4))
            canvas.drawCircle(
                x + spread, height, 14 + 46 * age * size, fill(tone, 0.5 * (1 - age), 7)
            )
        for step in range(26):
            share = step / 26
            wobble = math.sin(t * 40 + step * 2.1) * 2.5 * share
            y = foot + 4 + share * 130
            width = 9 * (1 - share) + 3
            canvas.drawCircle(
                x + wobble, y, width, fill(mix("#fff6d8", "#ff6a1f", share), 0.75 * (1 - share), 3)
            )
        body = vertical(foot - 150, foot, ["#ffffff", "#d7dbe6"])
        box(canvas, x - 11, foot - 118, 22, 118, body, 4)
        polygon(
            canvas, [(x - 11, foot - 114), (x, foot - 152), (x + 11, foot - 114)], fill("#d8533c")
        )
        polygon(
            canvas, [(x - 11, foot - 30), (x - 24, foot + 2), (x - 11, foot - 4)], fill("#d8533c")
        )
        polygon(
            canvas, [(x + 11, foot - 30), (x + 24, foot + 2), (x + 11, foot - 4)], fill("#b03f2e")
        )
        box(canvas, x + 3, foot - 114, 8, 112, fill("#5b678a", 0.35))
        canvas.drawCircle(x, foot - 92, 5, fill("#2c4f8f"))
        vignette(canvas)

    return scene


def station(canvas: skia.Canvas, x: float, y: float, size: float, t: float) -> None:
    """Draw a space station with two pairs of solar panels."""
    canvas.save()
    canvas.translate(x, y)
    canvas.rotate(-8 + 2 * math.sin(t * 0.4))
    canvas.scale(size, size)
    box(canvas, -150, -4, 300, 8, fill("#9aa3b4"))
    for left in (-150, -104, 64, 110):
        for top in (-74, 10):
            panel = vertical(top, top + 64, ["#3b5fa8", "#16244d"])
            box(canvas, left, top, 38, 64, panel, 2)
            for row in range(1, 5):
                canvas.drawLine(
                    left, top + row * 12.8, left + 38, top + row * 12.8, line("#9fb6e8", 0.8, 0.6)
                )
            canvas.drawLine(left + 19, top, left + 19, top + 64, line("#9fb6e8", 0.8, 0.6))
    box(canvas, -52, -20, 104, 40, vertical(-20, 20, ["#ffffff", "#8f97a8"]), 14)
    box(canvas, -14, -46, 28, 92, vertical(-46, 46, ["#f3f5fa", "#7d8597"]), 11)
    for window in (-36, -22, 26, 40):
        canvas.drawCircle(window, -3, 4.2, fill("#ffd98a"))
    blink = 0.5 + 0.5 * math.sin(t * 6)
    canvas.drawCircle(0, -50, 3, fill("#ff5a4a", 0.3 + 0.7 * blink))
    canvas.restore()


def orbit(sunrise: bool = False) -> Scene:
    """The station crosses the sky above the blue edge of the Earth."""
    chance = random.Random(5)
    clouds = [
        (chance.uniform(-1100, 1100), chance.uniform(10, 190), chance.uniform(20, 80))
        for _ in range(80)
    ]

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        sky(canvas, "#02030a", "#050a1d", "#0a1838")
        stars(canvas, 230, 8, t, turn=t * 0.5)
        x, y, radius = 320.0, 1010.0, 800.0
        if sunrise:
            height = 236 - 46 * progress
            glow(canvas, 500, height, 300, "#ffb45a", 0.9)
            canvas.drawCircle(500, height, 17, fill("#fff6dc", 1, 2))
        halo = [("#7cc4ff", 0.9), ("#3f86e0", 0.25), ("#3f86e0", 0.0)]
        ring = radial(x, y, radius + 40, halo)
        ring.setShader(
            skia.GradientShader.MakeRadial(
                skia.Point(x, y),
                radius + 40,
                [colour(code, alpha) for code, alpha in halo],
                [0.94, 0.965, 1.0],
            )
        )
        canvas.drawCircle(x, y, radius + 40, ring)
        canvas.drawCircle(x, y, radius, vertical(210, HEIGHT, ["#5fb0ee", "#1f62b4", "#123a7c"]))
        canvas.save()
        clip = skia.Path()
        clip.addCircle(x, y, radius)
        canvas.clipPath(clip, True)
        canvas.rotate(-t * 1.3, x, y)
        for left, depth, size in clouds:
            tilt = math.degrees(math.atan2(left, radius))
            canvas.save()
            canvas.rotate(tilt, x, y)
            land = depth > 70 and size > 52
            tone = "#4f8a55" if land else "#ffffff"
            ellipse(
                canvas,
                x,
                y - radius + depth,
                size * 1.3,
                size * (0.3 if land else 0.11),
                fill(tone, 0.55, 4),
            )
            canvas.restore()
        canvas.restore()
        station(canvas, 150 + 300 * progress, 140 - 18 * progress, 0.78 + 0.1 * progress, t)
        vignette(canvas, 0.25)

    return scene


def robot(
    canvas: skia.Canvas, x: float, y: float, t: float, talking: bool, size: float = 1.0
) -> None:
    """Draw the station's small round robot, hovering."""
    canvas.save()
    canvas.translate(x, y + 4 * math.sin(t * 1.6))
    canvas.rotate(4 * math.sin(t * 1.1))
    canvas.scale(size, size)
    wave = 14 * math.sin(t * 3) if talking else 4 * math.sin(t)
    for side in (-1, 1):
        arm = [(side * 52, 30), (side * 78, 44), (side * 86, 24 - (wave if side > 0 else 0))]
        canvas.drawPath(curve(arm), line("#7a8598", 9))
        canvas.drawCircle(arm[-1][0], arm[-1][1], 8, fill("#e8ebf2"))
    box(canvas, -46, 14, 92, 74, vertical(14, 88, ["#ffffff", "#b7bfce"]), 30)
    box(canvas, -20, 40, 40, 26, fill("#3a4560"), 6)
    for lamp, code in ((-10, "#ff7a59"), (0, "#ffd166"), (10, "#6fe3a5")):
        bright = 0.5 + 0.5 * math.sin(t * 5 + lamp)
        canvas.drawCircle(lamp, 53, 3.6, fill(code, 0.4 + 0.6 * bright))
    box(canvas, -62, -62, 124, 82, vertical(-62, 20, ["#ffffff", "#ccd3df"]), 38)
    box(canvas, -50, -46, 100, 52, vertical(-46, 6, ["#16213d", "#27375f"]), 24)
    blink = 0.12 if (t % 2.7) < 0.12 else 1.0
    for eye in (-22, 22):
        glow(canvas, eye, -24, 22, "#66e0ff", 0.5)
        ellipse(canvas, eye, -24, 9, 11 * blink, fill("#9df0ff"))
    mouth = 2.0 + (5 * abs(math.sin(t * 11)) if talking else 0)
    ellipse(canvas, 0, -6, 11, mouth, fill("#9df0ff", 0.85))
    canvas.drawLine(0, -62, 0, -82, line("#7a8598", 4))
    canvas.drawCircle(0, -86, 6, fill("#ff7a59"))
    canvas.restore()


def blob(canvas: skia.Canvas, x: float, y: float, radius: float, t: float, phase: float) -> None:
    """Draw a quivering ball of coffee, lit from the upper left."""
    points = []
    for step in range(25):
        angle = step / 24 * math.tau
        r = radius * (
            1 + 0.07 * math.sin(3 * angle + t * 3 + phase) + 0.05 * math.sin(2 * angle - t * 2.3)
        )
        points.append((x + r * math.cos(angle), y + r * math.sin(angle)))
    paint = radial(
        x - radius * 0.35,
        y - radius * 0.4,
        radius * 1.5,
        [("#b9743a", 1), ("#6b3415", 1), ("#2a1108", 1)],
    )
    canvas.drawPath(curve(points, close=True), paint)
    ellipse(
        canvas,
        x - radius * 0.36,
        y - radius * 0.42,
        radius * 0.24,
        radius * 0.14,
        fill("#ffffff", 0.8, 1),
    )


def galley(talking: bool = False, spill: bool = False, bag: bool = False) -> Scene:
    """The galley: lockers, a window on the Earth, a coffee machine and the robot."""

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        canvas.save()
        drift = 1.04 + 0.03 * progress
        canvas.translate(WIDTH / 2, HEIGHT / 2)
        canvas.scale(drift, drift)
        canvas.translate(-WIDTH / 2, -HEIGHT / 2)
        sky(canvas, "#8794ad", "#c3cad8", "#75819a")
        for column in range(5):
            for row in range(2):
                left, top = 10 + column * 126, 8 + row * 64
                if 1 <= column <= 2:
                    continue
                box(canvas, left, top, 116, 56, vertical(top, top + 56, ["#eef1f6", "#b9c2d2"]), 8)
                box(canvas, left + 44, top + 42, 28, 5, fill("#6d7890"), 2)
        box(canvas, 136, 10, 246, 120, fill("#55617c"), 60)
        canvas.save()
        clip = skia.Path()
        clip.addRoundRect(skia.Rect.MakeXYWH(146, 20, 226, 100), 50, 50)
        canvas.clipPath(clip, True)
        box(canvas, 146, 20, 226, 100, fill("#040817"))
        stars(canvas, 160, 6, t, turn=t)
        canvas.drawCircle(260, 330, 240, fill("#2b78cc"))
        canvas.drawCircle(260, 326, 240, line("#a6dcff", 3, 0.9, 2))
        for index in range(7):
            middle = (index * 61 + t * 16) % 330 + 90
            ellipse(canvas, middle, 106 + (index % 3) * 6, 30, 5, fill("#ffffff", 0.7, 2))
        canvas.restore()
        box(canvas, -20, 282, 680, 110, vertical(282, HEIGHT, ["#5a6580", "#333c52"]))
        box(canvas, -20, 276, 680, 9, fill("#dfe4ee"))
        box(canvas, 432, 160, 124, 118, vertical(160, 278, ["#d9513d", "#8f2b22"]), 12)
        box(canvas, 448, 176, 92, 30, fill("#2a1a1e"), 6)
        box(canvas, 456, 222, 76, 56, fill("#2a1a1e"), 6)
        for lamp in range(3):
            lit = 0.5 + 0.5 * math.sin(t * 4 + lamp * 2)
            canvas.drawCircle(464 + lamp * 18, 191, 5, fill("#ffe08a", 0.4 + 0.6 * lit))
        box(canvas, 488, 220, 12, 16, fill("#c8cfdb"), 2)
        if bag:
            box(canvas, 470, 232, 48, 46, vertical(232, 278, ["#f2f4f8", "#aab4c6"]), 8)
            box(canvas, 476, 250, 36, 16, fill("#6b3415"), 3)
            canvas.drawPath(curve([(494, 232), (500, 214), (516, 206)]), line("#ffffff", 3))
        else:
            box(canvas, 474, 250, 40, 28, fill("#ffffff"), 7)
            canvas.drawArc(
                skia.Rect.MakeXYWH(506, 254, 20, 18), -90, 180, False, line("#ffffff", 4)
            )
        if spill:
            for index in range(9):
                angle = index * 2.4
                reach = 24 + 95 * progress * (0.6 + 0.1 * index)
                x = 494 + math.cos(angle) * reach * 0.9 - 30 * progress
                y = 218 - abs(math.sin(angle)) * reach - 26 * progress
                blob(canvas, x, y, 6 + (index * 5) % 11, t, index)
        robot(canvas, 236 + 14 * math.sin(t * 0.7), 214, t, talking)
        for strip in (70, 320, 570):
            glow(canvas, strip, -6, 120, "#fff3d6", 0.5)
        canvas.restore()
        vignette(canvas, 0.4)

    return scene


def droplets() -> Scene:
    """Close view of coffee hanging in the air."""
    chance = random.Random(2)
    drops = [
        (
            chance.uniform(40, 600),
            chance.uniform(30, 330),
            chance.uniform(10, 40),
            chance.uniform(-14, 14),
            chance.uniform(-9, 9),
            chance.uniform(0, 6),
        )
        for _ in range(13)
    ]

    def scene(canvas: skia.Canvas, t: float, _progress: float) -> None:
        sky(canvas, "#f4d6ae", "#d99a62", "#7d4526")
        for index in range(6):
            canvas.drawCircle(
                80 + index * 110 + t * 4, 80 + (index * 97) % 220, 46, fill("#fff0d2", 0.16, 10)
            )
        for x, y, radius, dx, dy, phase in sorted(drops, key=lambda drop: drop[2]):
            blob(canvas, x + dx * t, y + dy * t, radius, t, phase)
        blob(canvas, 330 - 6 * t, 180 + 4 * math.sin(t), 84, t, 1.0)
        vignette(canvas, 0.4)

    return scene


def seaside_cafe() -> Scene:
    """A table by the sea at sunrise, with a steaming cup: the robot's memory of the ground."""

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        sky(canvas, "#4a76b8", "#f2a97a", "#ffe1a8")
        sun = 176 - 26 * progress
        glow(canvas, 430, sun, 240, "#fff0b8", 0.95)
        canvas.drawCircle(430, sun, 26, fill("#fffbe6", 1, 1.5))
        for index in range(4):
            cloud(canvas, (index * 190 + 9 * t) % 800 - 60, 46 + index * 17, 44, "#ffe9df", 0.75)
        birds(canvas, 190 + 24 * t, 90, t, "#4a4a68")
        water(canvas, 196, t, ["#e9a77c", "#5b82a8", "#2c5078"], "#fff3cf")
        box(canvas, -10, 286, 660, 90, vertical(286, HEIGHT, ["#a8693a", "#5f361c"]))
        for plank in range(6):
            canvas.drawLine(
                plank * 130 - 30, 286, plank * 150 - 80, HEIGHT, line("#4a2913", 2, 0.7)
            )
        ellipse(canvas, 190, 306, 76, 13, fill("#3a2012", 0.5, 4))
        ellipse(canvas, 188, 300, 72, 12, fill("#f4f0e8"))
        box(canvas, 150, 232, 76, 64, vertical(232, 296, ["#ffffff", "#d6d0c6"]), 16)
        canvas.drawArc(skia.Rect.MakeXYWH(212, 242, 34, 34), -95, 190, False, line("#e9e4da", 8))
        ellipse(canvas, 188, 236, 36, 8, fill("#5d3216"))
        for index in range(3):
            points = [
                (174 + index * 14 + 7 * math.sin(t * 1.8 + index + step * 0.8), 226 - step * 15)
                for step in range(7)
            ]
            canvas.drawPath(curve(points), line("#ffffff", 4, 0.42, 3))
        shade(canvas, "#ffcf8a", 0.06)
        vignette(canvas, 0.3)

    return scene
