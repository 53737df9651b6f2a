"""`python -m samples.make [TITLE ...]`: make the sample catalogue again, or some of its titles."""

import argparse
from pathlib import Path

import numpy as np

from .encode import encode
from .film import Film
from .films import FILMS
from .sound import RATE, ambience_track, mixdown, music
from .speech import captions, utterances, voice_track

CATALOGUE = Path(__file__).parents[1] / "catalogue"


def make(film: Film, catalogue: Path) -> Path:
    """Write a film's title folder; `title.json`, which says that it is complete, comes last."""
    folder = catalogue / film.title_id
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.iterdir():
        stale.unlink()
    spoken = utterances(film)
    bounds = [round(film.seconds_at(start) * RATE) for start in film.starts]
    count = bounds[-1]
    sound = mixdown(
        ambience_track([shot.ambience for shot in film.shots], bounds, film.seed),
        music(film.music, count, np.random.default_rng([film.seed, 1000])),
        voice_track(spoken, count, film.seed),
    )
    encode(folder / f"{film.title_id}.{film.container}", film.frames(), film.rate, sound)
    (folder / "shots.csv").write_text(film.shot_table(), "utf-8")
    if film.captions:
        path = folder / f"captions.en.{film.captions}"
        path.write_text(captions(spoken, film.captions), "utf-8")
    if film.clips:
        (folder / "clips.csv").write_text(film.clip_table(), "utf-8")
    (folder / "title.json").write_text(film.manifest(), "utf-8")
    return folder


def main() -> None:
    """Make the titles that the command line names."""
    films = {film.title_id: film for film in FILMS}
    parser = argparse.ArgumentParser(prog="python -m samples.make", description=__doc__)
    parser.add_argument("titles", nargs="*", metavar="TITLE", help=f"of {', '.join(films)}")
    titles = parser.parse_args().titles or list(films)
    if unknown := set(titles) - set(films):
        parser.error(f"no such title: {', '.join(sorted(unknown))}; there are {', '.join(films)}")
    for title in titles:
        folder = make(films[title], CATALOGUE)
        size = sum(file.stat().st_size for file in folder.iterdir())
        film = films[title]
        print(f"{title}: {film.seconds:.1f} s, {len(film.shots)} shots, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
