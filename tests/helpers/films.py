"""An inbox of short real films, cut from the project's own samples, and the work on it."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import av

from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.graph import FROM_MODEL, UP_TO_FUSION
from mediafm_core.pipeline.materialise import DECODED, Outcome, materialise
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import publish_titles
from mediafm_core.pipeline.releases.release import release

SAMPLES = Path(__file__).parents[2] / "samples" / "catalogue"

# A network that trains in a second: the pipeline is tested, not the quality of the model.
SMALL_MODEL = {
    "MEDIAFM_MODEL__HIDDEN": "32",
    "MEDIAFM_MODEL__LAYERS": "1",
    "MEDIAFM_MODEL__HEADS": "2",
    "MEDIAFM_MODEL__FEED_FORWARD": "64",
    "MEDIAFM_TRAINING__STEPS": "4",
    "MEDIAFM_TRAINING__VALIDATE_EVERY": "2",
    "MEDIAFM_CLIPS__PROPOSED_S": "5",
}


def settings_for(inbox: Path, store: Path, **overrides: object) -> Settings:
    """Return settings with the small model."""
    model = {"hidden": 32, "layers": 1, "heads": 2, "feed_forward": 64}
    training = {"steps": 4, "validate_every": 2}
    chosen = {"model": model, "training": training, "clips": {"proposed_s": 5.0}, **overrides}
    return load_settings(inbox=inbox, store=store, **chosen)


def make_inbox(inbox: Path) -> Path:
    """Make two titles: `coffee` with captions and clips, `cat` with neither."""
    coffee = make_title(inbox, "coffee", SAMPLES / "the_astronauts_coffee", seconds=13.0)
    shutil.copy(SAMPLES / "the_astronauts_coffee" / "captions.en.vtt", coffee)
    (coffee / "clips.csv").write_text("clip_id,start_s,end_s,mood\na,0,4.5,calm\nb,3,9.25,\n")
    make_title(inbox, "cat", SAMPLES / "a_cat_in_the_city", seconds=11.0)
    return inbox


def make_title(inbox: Path, title_id: str, sample: Path, seconds: float) -> Path:
    """Make a title folder with the first seconds of a sample film."""
    folder = inbox / title_id
    folder.mkdir(parents=True)
    media = next(path for path in sample.iterdir() if path.suffix in (".mp4", ".webm"))
    excerpt(media, folder / f"media{media.suffix}", seconds)
    write_manifest(folder)
    return folder


def write_manifest(folder: Path, **changes: object) -> None:
    """Write a `title.json` that matches the folder."""
    manifest = {
        "title_id": folder.name,
        "name": folder.name.title(),
        "kind": "short",
        "language": "en",
        "synopsis": "An astronaut comes home and wants nothing but a cup of coffee.",
        "tags": ["space", "coffee"],
        **changes,
    }
    (folder / "title.json").write_text(json.dumps(manifest))


def excerpt(source: Path, target: Path, seconds: float) -> None:
    """Write the first seconds of a film, its packets copied."""
    with av.open(str(source)) as film, av.open(str(target), "w") as output:
        streams = {
            stream.index: output.add_stream_from_template(stream)
            for stream in (film.streams.video[0], film.streams.audio[0])
        }
        for packet in film.demux(film.streams.video[0], film.streams.audio[0]):
            if packet.dts is not None and packet.dts * packet.time_base < seconds:
                packet.stream = streams[packet.stream.index]
                output.mux(packet)


def ingest_titles(platform: Platform, title_ids: Sequence[str]) -> dict[tuple[str, str], Outcome]:
    """Materialise all assets of titles, in order, without Dagster; train a model if none serves."""
    outcomes = [
        outcome for title_id in title_ids for outcome in _assets(platform, title_id, UP_TO_FUSION)
    ]
    if platform.serving_model is None:
        release(platform, train_model(platform).candidate)
    for title_id in title_ids:
        outcomes += _assets(platform, title_id, FROM_MODEL)
    found = {(outcome.title_id, outcome.asset): outcome for outcome in outcomes}
    publish_titles(
        platform,
        [name for name in title_ids if found[name, "clip_features"].status != "quarantined"],
    )
    return found


def _assets(platform: Platform, title_id: str, names: Sequence[str]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for name in names:
        if name == DECODED[0]:
            outcomes += materialise(platform, DECODED, title_id)
        elif name not in DECODED:
            outcomes += materialise(platform, (name,), title_id)
    return outcomes
