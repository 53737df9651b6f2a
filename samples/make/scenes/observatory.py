"""The observatory: its dome on the hill, the dish, and the northern lights."""

import math
import random

import skia

from ..drawing import (
    HEIGHT,
    Scene,
    box,
    colour,
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
)


def milky_way(canvas: skia.Canvas, t: float) -> None:
    """Draw a band of haze and faint stars across the sky."""
    canvas.save()
    canvas.rotate(-32 + t * 0.5, 320, 200)
    for index in range(18):
        x = -180.0 + index * 60
        tone = ("#6a7fd0", "#a884c8", "#d8a8a0")[index % 3]
        ellipse(canvas, x, 120 + 10 * math.sin(index * 1.9), 76, 30, fill(tone, 0.13, 18))
    chance = random.Random(88)
    for _ in range(240):
        x, y = chance.uniform(-220, 900), chance.gauss(120, 24)
        canvas.drawCircle(x, y, chance.uniform(0.4, 0.9), fill("#ffffff", chance.uniform(0.3, 0.8)))
    canvas.restore()


def dome(time: str = "night", laser: bool = False) -> Scene:
    """The dome turns under the `dusk`, `night` or `dawn` sky; it may send up its guide star."""
    skies = {
        "dusk": ("#1c2356", "#8a4f86", "#ffa56b"),
        "night": ("#03061a", "#0d1a44", "#24386e"),
        "dawn": ("#4a6ab0", "#f0a08c", "#ffe6b0"),
    }

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        sky(canvas, *skies[time])
        dark = {"dusk": 0.45, "night": 1.0, "dawn": 0.0}[time]
        if dark:
            stars(
                canvas,
                round(240 * dark),
                51,
                t,
                floor=280,
                turn=t * (1.1 if time == "night" else 0.5),
            )
        if time == "night":
            milky_way(canvas, t)
        if time == "dawn":
            glow(canvas, 160, 236 - 30 * progress, 260, "#fff0b0", 0.95)
            canvas.drawCircle(160, 236 - 30 * progress, 24, fill("#fffbe6", 1, 1.5))
        tone = mix("#5a5f8a", "#101a3a", dark)
        mountains(canvas, 290, 110, 33, tone)
        hills(canvas, 286, 22, 18, fill(mix("#4f6a55", "#0a142c", min(1, dark + 0.3))))
        if laser:
            reach = min(max(t, 0) / 1.2, 1.0)
            end = (420 + 130 * reach, 190 - 230 * reach)
            canvas.drawLine(420, 190, *end, line("#ffb84a", 9, 0.35, 5))
            canvas.drawLine(420, 190, *end, line("#fff0c0", 2.2, 0.95))
            glow(canvas, 420, 190, 60, "#ffb84a", 0.6)
        white = mix("#fffaf0", "#8b98c0", dark * 0.75)
        box(canvas, 346, 216, 128, 84, vertical(216, 300, [white, mix(white, "#000000", 0.4)]), 3)
        for window in range(4):
            box(
                canvas,
                360 + window * 28,
                250,
                13,
                18,
                fill("#ffd98a", 0.35 + 0.65 * min(1, dark + 0.2)),
                2,
            )
        shell = skia.Path()
        shell.addArc(skia.Rect.MakeXYWH(338, 146, 144, 144), 180, 180)
        shell.close()
        canvas.save()
        canvas.clipPath(shell, True)
        box(canvas, 338, 140, 144, 90, vertical(146, 220, [white, mix(white, "#000000", 0.35)]))
        turn = 46 * math.sin(-0.7 + t * 0.22)
        for rib in range(-4, 5):
            x = 410 + rib * 22 + turn * 0.4
            canvas.drawPath(
                curve([(x, 220), (410 + (x - 410) * 0.9, 180), (410, 142)]),
                line("#30385a", 1.3, 0.4),
            )
        slit = 410 + turn * 0.5
        polygon(
            canvas,
            [(slit - 13, 222), (slit + 15, 222), (slit + 9, 144), (slit - 7, 144)],
            fill("#0a0d1e"),
        )
        polygon(
            canvas,
            [(slit - 3, 204), (slit + 7, 204), (slit + 9, 160), (slit + 1, 160)],
            fill("#c9d2e8"),
        )
        canvas.restore()
        box(canvas, 340, 214, 140, 8, fill(mix(white, "#000000", 0.45)), 3)
        hills(canvas, 326, 15, 29, fill(mix("#37513f", "#060d1e", min(1, dark + 0.25))))
        for index in range(12):
            pine(
                canvas,
                index * 24 + 4,
                330 + (index * 7) % 14,
                46 + (index * 23) % 34,
                mix("#27442f", "#050b18", dark),
            )
        vignette(canvas)

    return scene


def dish() -> Scene:
    """A radio dish swings across the sky."""

    def scene(canvas: skia.Canvas, t: float, progress: float) -> None:
        sky(canvas, "#0a0f33", "#3a2a6a", "#b5577a")
        stars(canvas, 150, 23, t, floor=230, turn=t * 0.4)
        hills(canvas, 280, 16, 5, fill("#221a44"))
        for small in range(3):
            x = 70 + small * 60
            canvas.drawLine(x, 286, x, 266, line("#1a1436", 4))
            canvas.drawArc(skia.Rect.MakeXYWH(x - 17, 240, 34, 34), 160, 180, True, fill("#c9c4e0"))
        polygon(canvas, [(372, 330), (396, 214), (424, 214), (450, 330)], fill("#8f8ab5"))
        for step in range(4):
            y = 240 + step * 24
            canvas.drawLine(390 - step * 5, y, 434 + step * 5, y + 20, line("#3a3560", 2.5))
            canvas.drawLine(430 + step * 5, y, 386 - step * 5, y + 20, line("#3a3560", 2.5))
        canvas.save()
        canvas.translate(410, 204)
        canvas.rotate(-42 + 50 * progress)
        bowl = skia.Path()
        bowl.moveTo(-128, -58)
        bowl.quadTo(0, 66, 128, -58)
        bowl.close()
        canvas.drawPath(bowl, vertical(-60, 20, ["#f2f0fa", "#7f7aa8"]))
        ellipse(canvas, 0, -58, 128, 17, fill("#d9d4ee"))
        ellipse(canvas, 0, -56, 112, 12, fill("#a29cc8"))
        for foot in (-84, 84, 0):
            canvas.drawLine(foot, -58, 0, -136, line("#5a5485", 3))
        canvas.drawCircle(0, -138, 9, fill("#f2f0fa"))
        for ring in range(4):
            age = (t * 0.7 + ring / 4) % 1
            span = 26 + 120 * (1 - age)
            canvas.drawArc(
                skia.Rect.MakeXYWH(-span, -150 - span, 2 * span, 2 * span),
                -120,
                60,
                False,
                line("#8fe0ff", 2.5, 0.7 * age),
            )
        canvas.restore()
        hills(canvas, 336, 8, 9, fill("#120d2a"))
        vignette(canvas)

    return scene


def aurora() -> Scene:
    """Northern lights over snow."""

    def scene(canvas: skia.Canvas, t: float, _progress: float) -> None:
        sky(canvas, "#020617", "#06213a", "#0f4a55")
        stars(canvas, 170, 61, t, floor=240, turn=t * 0.4)
        for band, (top, tone) in enumerate(((36, "#4dffb0"), (66, "#5ad0ff"), (18, "#b07aff"))):
            for step in range(54):
                x = -30 + step * 13
                swing = 26 * math.sin(x * 0.011 + t * 0.8 + band * 2) + 12 * math.sin(
                    x * 0.031 - t * 1.1
                )
                bright = 0.1 + 0.24 * (0.5 + 0.5 * math.sin(x * 0.05 + t * 1.6 + band))
                high = 110 + 30 * math.sin(x * 0.02 + t)
                y = top + swing
                shader = skia.GradientShader.MakeLinear(
                    [skia.Point(0, y), skia.Point(0, y + high)],
                    [colour(tone, 0), colour(tone, bright), colour(tone, 0)],
                    [0.0, 0.72, 1.0],
                )
                paint = skia.Paint(AntiAlias=True, Shader=shader)
                paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, 5))
                box(canvas, x, y, 17, high, paint)
        mountains(canvas, 300, 130, 57, "#10243a", "#9fe8d8")
        hills(canvas, 306, 12, 45, vertical(290, HEIGHT, ["#8fd0cf", "#2d5f73"]))
        for index in range(11):
            pine(
                canvas, index * 64 + 10, 322 + (index * 11) % 22, 50 + (index * 29) % 36, "#0a1f26"
            )
        vignette(canvas)

    return scene
