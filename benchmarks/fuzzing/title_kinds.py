"""Kinds of input in a title's folder: media, captions, `title.json` and `clips.csv`."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.fuzzing import mutations
from benchmarks.fuzzing.corpus import CAPTIONS, CLIPS, MANIFEST, MEDIA, SECRET, TEXTS, TITLE, Corpus
from benchmarks.fuzzing.inputs import (
    LINK_RATIO,
    Input,
    Kind,
    materialise_or_refuse,
    platform_of,
)
from benchmarks.fuzzing.structures import OF_SUFFIX


def title_kinds() -> list[Kind]:
    """Return the kinds of files in a title's folder."""
    title = (TITLE,)
    return [
        *(Kind(suffix, _media(suffix), _ingest, title) for suffix in MEDIA),
        *(
            Kind(suffix, _text(f"inbox/{TITLE}/film.en.{suffix}", TEXTS[suffix]), _captions, title)
            for suffix in CAPTIONS
        ),
        Kind("title.json", _manifest, _metadata, title),
        Kind("clips.csv", _text(f"inbox/{TITLE}/clips.csv", CLIPS), _clips, title),
    ]


def _media(suffix: str) -> Callable[[Random, Corpus, Path], Input]:
    own = OF_SUFFIX[suffix]

    def make(rng: Random, corpus: Corpus, root: Path) -> Input:
        file = f"inbox/{TITLE}/media.{suffix}"
        data = corpus.media(suffix)
        others = [corpus.media(each) for each in MEDIA]
        possible = (*mutations.BYTES, *(own,) * len(mutations.BYTES))
        content, names = mutations.mutate(rng, data, others, possible)
        return _or_link(rng, root, Input(file, content, names), f"{SECRET}.mp4")

    return make


def _text(file: str, text: str) -> Callable[[Random, Corpus, Path], Input]:
    def make(rng: Random, _corpus: Corpus, root: Path) -> Input:
        others = [each.encode() for each in (*TEXTS.values(), CLIPS)]
        content, names = mutations.mutate(rng, text.encode(), others, mutations.TEXT)
        return _or_link(rng, root, Input(file, content, names), f"{SECRET}.srt")

    return make


def _manifest(rng: Random, _corpus: Corpus, root: Path) -> Input:
    data = json.dumps(MANIFEST).encode()
    content, names = mutations.mutate(rng, data, [CLIPS.encode()], mutations.JSON)
    file = f"inbox/{TITLE}/title.json"
    return _or_link(rng, root, Input(file, content, names), f"{SECRET}.srt")


def _or_link(rng: Random, root: Path, made: Input, secret: str) -> Input:
    """Replace some inputs by a link, a pipe or a script that leads outside."""
    if isinstance(rng, mutations.Sound) or rng.random() >= LINK_RATIO:
        return made
    target = root / "outside" / secret
    relative = os.path.relpath(target, (root / made.file).parent)
    ways: list[tuple[bytes | Path | None, str]] = [(target, "link"), (None, "pipe")]
    for name in (str(target), relative, f"file:{target}", f"http://127.0.0.1:9/{secret}"):
        for script in (
            f"ffconcat version 1.0\nfile '{name}'\nduration 1\n",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n",
            f"<?xml version='1.0'?><MPD><Period><BaseURL>{name}</BaseURL></Period></MPD>",
            f"[playlist]\nFile1={name}\n",
            f"[Script Info]\nAudio File: {name}\nVideo File: {name}\n",
        ):
            ways.append((script.encode(), "script"))
    content, name = rng.choice(ways)
    return Input(made.file, content, name)


def _ingest(root: Path, made: Input) -> None:
    from mediafm_core.pipeline.materialise import DECODED

    for other in (root / "inbox" / TITLE).glob("media.*"):
        if other.name != Path(made.file).name:
            other.unlink()
    platform = platform_of(root, fresh_store=True)
    materialise_or_refuse(platform, ("title",), DECODED, ("timed_text",))


def _captions(root: Path, made: Input) -> None:
    for other in (root / "inbox" / TITLE).glob("film.*"):
        if other.name != Path(made.file).name:
            other.unlink()
    materialise_or_refuse(platform_of(root), ("title",), ("timed_text",))


def _metadata(root: Path, _made: Input) -> None:
    materialise_or_refuse(platform_of(root), ("title",), ("title_metadata_embedding",))


def _clips(root: Path, _made: Input) -> None:
    materialise_or_refuse(platform_of(root), ("title",), ("clip_features",))
