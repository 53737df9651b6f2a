"""The Raccoon Who Missed the Train."""

from fractions import Fraction

from ..film import Clip, Film, Line, Shot
from ..scenes.country import lake, meadow, platform, valley
from ..scenes.photograph import photograph

FILM = Film(
    title_id="the_raccoon_who_missed_the_train",
    name="The Raccoon Who Missed the Train",
    synopsis=(
        "A raccoon misses the only train of the day. With nothing to do until tomorrow he sees "
        "a lake, a tower, a flower and the fireflies, and is almost sorry when the train comes."
    ),
    tags=("family", "nature", "animals", "travel", "train", "short film"),
    credit=(
        "Photographs: raccoon (public-domain-image.com), pagoda and dahlia (as credited in "
        "CREDITS.md, CC BY 2.0)."
    ),
    rate=Fraction(25),
    music="journey",
    container="webm",
    captions="vtt",
    seed=9,
    shots=(
        Shot(4.2, valley(), "steam"),
        Shot(3.2, platform(train_at="leaves"), "steam"),
        Shot(3.0, photograph("raccoon", (0.5, 0.5, 0.94), (0.58, 0.44, 0.72)), "birdsong"),
        Shot(3.4, platform(), "birdsong"),
        Shot(2.8, photograph("raccoon", (0.62, 0.42, 0.5), (0.66, 0.4, 0.42)), "birdsong"),
        Shot(3.8, lake(), "waves"),
        Shot(3.6, photograph("pagoda", (0.52, 0.5, 0.94), (0.4, 0.5, 0.76)), "birdsong"),
        Shot(3.2, photograph("dahlia", (0.5, 0.56, 0.74), (0.48, 0.44, 0.84)), "wind"),
        Shot(3.4, lake(evening=True), "waves", dissolve=14),
        Shot(2.8, photograph("pagoda", (0.33, 0.6, 0.6), (0.33, 0.34, 0.6)), "wind"),
        Shot(4.0, meadow(), "crickets", fade_out=14),
        Shot(3.8, platform(sunrise=True, train_at="arrives"), "steam"),
        Shot(2.6, photograph("raccoon", (0.7, 0.44, 0.56), (0.6, 0.44, 0.62)), "steam"),
        Shot(4.2, valley(evening=True), "steam", fade_out=44),
    ),
    lines=(
        Line(2, 0.3, "raccoon", "Oh dear. That was my train."),
        Line(3, 0.3, "stationmaster", "The next one leaves tomorrow, sir."),
        Line(4, 0.3, "raccoon", "Tomorrow? What shall I do?"),
        Line(5, 0.3, "raccoon", "Well, there is a lake to look at."),
        Line(6, 0.3, "raccoon", "And a tower with golden roofs."),
        Line(7, 0.3, "raccoon", "And a flower as round as the sun."),
        Line(10, 0.4, "raccoon", "And at night, the stars come down."),
        Line(11, 0.5, "stationmaster", "All aboard! The morning train!"),
        Line(13, 0.2, "raccoon", "Perhaps I shall miss it again next week."),
    ),
    clips=(
        Clip("departure", 0, 1, {"tone": "lively", "place": "railway"}),
        Clip("missed", 2, 4, {"tone": "funny", "place": "station"}),
        Clip("sights", 5, 7, {"tone": "calm", "place": "countryside"}),
        Clip("evening", 8, 10, {"tone": "tender", "place": "countryside"}),
        Clip("homeward", 11, 13, {"tone": "lively", "place": "railway"}),
    ),
)
