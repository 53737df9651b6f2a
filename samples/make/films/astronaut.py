"""The Astronaut's Coffee."""

from fractions import Fraction

from ..drawing import framed
from ..film import Clip, Film, Line, Shot
from ..scenes.photograph import photograph
from ..scenes.space import droplets, galley, launch, orbit, seaside_cafe

FILM = Film(
    title_id="the_astronauts_coffee",
    name="The Astronaut's Coffee",
    synopsis=(
        "A small robot aboard a space station has promised the commander a real cup of coffee. "
        "In free fall no cup will stay full, and the robot remembers a morning by the sea."
    ),
    tags=("science fiction", "comedy", "space", "robot", "coffee", "short film"),
    credit=(
        "Photographs: astronaut (NASA), galaxies (NASA/ESA), rocket (SpaceX), "
        "coffee (Rachel Michetti). "
        "NASA, ESA and the people shown do not endorse this film."
    ),
    rate=Fraction(25),
    music="wonder",
    captions="vtt",
    seed=3,
    shots=(
        Shot(3.6, photograph("rocket", (0.5, 0.56, 0.74), (0.5, 0.44, 0.8)), "wind"),
        Shot(3.4, launch(), "rocket"),
        Shot(
            4.0, photograph("galaxies", (0.34, 0.4, 0.62), (0.6, 0.55, 0.6)), "space", dissolve=14
        ),
        Shot(3.2, orbit(), "space"),
        Shot(3.8, galley(talking=True), "hum"),
        Shot(2.8, photograph("astronaut", (0.5, 0.32, 0.98), (0.44, 0.24, 0.74)), "hum"),
        Shot(3.6, galley(talking=True, spill=True), "hum"),
        Shot(2.8, droplets(), "hum"),
        Shot(3.2, photograph("coffee", (0.5, 0.5, 0.98), (0.47, 0.42, 0.7)), "air"),
        Shot(4.0, seaside_cafe(), "waves", dissolve=5),
        Shot(
            3.6,
            framed(galley(talking=True, bag=True), (0.58, 0.56, 0.74), (0.56, 0.56, 0.66)),
            "hum",
        ),
        Shot(2.4, photograph("astronaut", (0.42, 0.24, 0.72), (0.58, 0.3, 0.8)), "hum"),
        Shot(3.6, orbit(sunrise=True), "space"),
        Shot(3.6, photograph("galaxies", (0.6, 0.6, 0.5), (0.5, 0.5, 0.76)), "space", fade_out=20),
    ),
    lines=(
        Line(0, 0.7, "narrator", "Before dawn, a rocket waits on its pad."),
        Line(2, 0.2, "narrator", "Four hundred kilometres up, there is no café."),
        Line(4, 0.3, "robot", "Commander, I have made you a coffee."),
        Line(6, 0.3, "robot", "But it will not stay in the cup!"),
        Line(8, 0.3, "narrator", "The robot remembers a real cup,"),
        Line(9, 0.3, "narrator", "on a table by the sea, at sunrise."),
        Line(10, 0.3, "robot", "Then we shall drink it from a bag."),
        Line(12, 0.3, "narrator", "And that was the best coffee in orbit."),
    ),
    clips=(
        Clip("launch", 0, 1, {"tone": "tense", "place": "launch pad"}),
        Clip("arrival", 2, 3, {"tone": "calm", "place": "space"}),
        Clip("spill", 4, 7, {"tone": "funny", "place": "station"}),
        Clip("memory", 8, 9, {"tone": "tender", "place": "seaside"}),
        Clip("toast", 10, 13, {"tone": "calm", "place": "station"}),
    ),
)
