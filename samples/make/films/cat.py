"""A Cat in the City."""

from fractions import Fraction

from ..film import Clip, Film, Line, Shot
from ..scenes.city import rainy_street, skyline, window_sill
from ..scenes.photograph import photograph

FILM = Film(
    title_id="a_cat_in_the_city",
    name="A Cat in the City",
    synopsis=(
        "Every evening a cat watches the lights of the city come on. One rainy night she goes down "
        "to the street, where a photographer is waiting for something worth a picture."
    ),
    tags=("drama", "city", "cat", "rain", "photography", "short film"),
    credit=(
        "Photographs: Chelsea the cat (Stéfan van der Walt), photographer (Lav Varshney), "
        "dahlia (as credited in CREDITS.md, CC BY 2.0)."
    ),
    rate=Fraction(24),
    music="evening",
    captions="srt",
    seed=5,
    shots=(
        Shot(4.2, skyline(), "city"),
        Shot(3.6, window_sill(), "purr"),
        Shot(2.8, photograph("cat", (0.5, 0.5, 0.94), (0.52, 0.36, 0.7)), "purr"),
        Shot(3.0, window_sill(flick=2.2), "purr"),
        Shot(4.0, rainy_street(), "rain"),
        Shot(3.2, photograph("photographer", (0.5, 0.34, 0.98), (0.42, 0.28, 0.78)), "rain"),
        Shot(3.8, rainy_street(with_cat=True), "rain"),
        Shot(2.6, photograph("cat", (0.36, 0.42, 0.66), (0.6, 0.46, 0.66)), "rain"),
        Shot(3.2, photograph("photographer", (0.4, 0.25, 0.62), (0.5, 0.26, 0.7)), "rain"),
        Shot(3.4, photograph("dahlia", (0.5, 0.5, 0.96), (0.48, 0.46, 0.72)), "wind", dissolve=4),
        Shot(3.6, skyline(night=True), "city"),
        Shot(4.4, window_sill(asleep=True, night=True), "purr", fade_out=40),
    ),
    lines=(
        Line(0, 0.8, "narrator", "Every evening the city switches itself on."),
        Line(1, 0.3, "narrator", "And every evening, Chelsea watches."),
        Line(4, 0.4, "narrator", "Tonight she goes down, into the rain."),
        Line(5, 0.2, "photographer", "Three hours, and not one good picture."),
        Line(7, 0.1, "photographer", "Oh! Hello there, cat."),
        Line(8, 0.2, "photographer", "Hold still. Just one picture."),
        Line(9, 0.2, "narrator", "He had come to photograph a flower."),
        Line(11, 0.4, "narrator", "The cat, of course, was prettier."),
    ),
    clips=(
        Clip("watching", 0, 3, {"tone": "calm", "place": "window"}),
        Clip("street", 4, 6, {"tone": "tense", "place": "street"}),
        Clip("meeting", 7, 9, {"tone": "tender", "place": "street"}),
        Clip("home", 10, 11, {"tone": "calm", "place": "window"}),
    ),
)
