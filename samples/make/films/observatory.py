"""Signals from the Observatory."""

from fractions import Fraction

from ..drawing import framed
from ..film import Film, Line, Shot
from ..scenes.control_room import control_room, message
from ..scenes.observatory import aurora, dish, dome
from ..scenes.photograph import photograph

FILM = Film(
    title_id="signals_from_the_observatory",
    name="Signals from the Observatory",
    synopsis=(
        "Two astronomers on the night shift hear three notes that repeat every second. By dawn "
        "they have turned them into a picture, and it is not what anyone expected."
    ),
    tags=("science fiction", "mystery", "astronomy", "night", "short film"),
    credit=(
        "Photographs: galaxies (NASA/ESA), coffee (Rachel Michetti). "
        "NASA and ESA do not endorse this film."
    ),
    rate=Fraction(30_000, 1_001),
    music="mystery",
    seed=7,
    shots=(
        Shot(4.0, dome("dusk"), "wind"),
        Shot(3.4, control_room(speaker=1), "static"),
        Shot(3.4, photograph("galaxies", (0.4, 0.62, 0.5), (0.6, 0.5, 0.5)), "space"),
        Shot(
            3.0,
            framed(control_room(signal=True, speaker=1), (0.44, 0.44, 0.7), (0.44, 0.42, 0.62)),
            "signal",
        ),
        Shot(3.4, dish(), "wind"),
        Shot(3.6, aurora(), "wind", dissolve=5),
        Shot(4.0, control_room(signal=True, speaker=2), "signal"),
        Shot(3.0, dome("night", laser=True), "crickets"),
        Shot(3.2, photograph("galaxies", (0.44, 0.38, 0.72), (0.42, 0.34, 0.42)), "space"),
        Shot(3.4, message(), "signal"),
        Shot(
            3.6,
            framed(control_room(signal=True, speaker=2), (0.62, 0.6, 0.76), (0.64, 0.62, 0.66)),
            "signal",
        ),
        Shot(2.8, photograph("coffee", (0.46, 0.42, 0.66), (0.5, 0.48, 0.94)), "air"),
        Shot(4.4, dome("dawn"), "birdsong", dissolve=14, fade_out=48),
    ),
    lines=(
        Line(1, 0.3, "operator", "Nothing tonight, professor. Only static."),
        Line(3, 0.3, "operator", "Wait. There it is again!"),
        Line(6, 0.3, "professor", "Three notes, every second. That is no star."),
        Line(8, 0.3, "operator", "It comes from the edge of the picture."),
        Line(10, 0.3, "professor", "It is a cup. They are sending us a cup."),
        Line(12, 0.4, "operator", "Then I shall put the kettle on."),
    ),
)
