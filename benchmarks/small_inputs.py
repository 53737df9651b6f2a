"""Inputs of the benchmarks' small settings: a short title, its store and its model."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.processes import mediafm
from mediafm_core.disk.locks import locked
from mediafm_core.vectors import to_arrow, unit_length

SAMPLES = Path(__file__).parent.parent / "samples" / "catalogue"
SAMPLE = SAMPLES / "a_cat_in_the_city"
TITLE = "cat"
SECONDS = 5.0  # of the sample film
SETTINGS = {
    "MEDIAFM_TRAINING__STEPS": "4",
    "MEDIAFM_MODEL__HIDDEN": "32",
    "MEDIAFM_MODEL__LAYERS": "2",
    "MEDIAFM_MODEL__HEADS": "2",
    "MEDIAFM_MODEL__FEED_FORWARD": "64",
}
"""A network that trains in a second."""
TABLE = {"titles": 6, "shots": 24, "width": 16}


class SmallInputs:
    """Inputs made on first use, once for all processes that share the folder.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        os.environ.update(SETTINGS)  # of this process and of those that it starts

    @property
    def sample(self) -> Path:
        """Folder of a whole sample title: 42 s, 12 shots, listed in `shots.csv`."""
        return SAMPLE

    @property
    def film(self) -> Path:
        """Five seconds of the sample film, with sound."""
        return self._made("film.mp4", lambda place: _cut(place, with_sound=True))

    @property
    def inbox(self) -> Path:
        """An inbox with one short title of two shots, without sound."""
        return self._made("inbox", _make_inbox)

    @property
    def store(self) -> Path:
        """The store of the inbox as `mediafm run` leaves it."""
        return self._made("store", self._make_store)

    @property
    def model(self) -> Path:
        """The folder of the serving model."""
        from mediafm_core.pipeline.serving import serving_model
        from mediafm_core.store.store import Store

        store = Store(self.store)
        return store.models / (serving_model(store) or "")

    @property
    def table(self) -> Path:
        """Parquet of random shots in scenes: `title, shot_index, vector, starts_scene`."""
        return self._made("shots.parquet", _make_table)

    def new(self, name: str) -> Path:
        """Make an empty folder that no other benchmark uses."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        place = self.folder / name
        lock = self.folder / f"{name}.lock"
        with locked(lock):
            # Files in a store contain its path, so the folder is made here and not moved.
            if not lock.read_text():
                shutil.rmtree(place, ignore_errors=True)
                make(place)
                lock.write_text("made")
        return place

    def _make_store(self, place: Path) -> None:
        subprocess.run(mediafm("run", inbox=self.inbox, store=place), check=True, stdout=sys.stderr)


def _make_inbox(place: Path) -> None:
    folder = place / TITLE
    folder.mkdir(parents=True)
    _cut(folder / "film.mp4", with_sound=False)
    shutil.copy(SAMPLE / "captions.en.srt", folder)
    manifest = json.loads((SAMPLE / "title.json").read_text())
    (folder / "title.json").write_text(json.dumps({**manifest, "title_id": TITLE}))


def _cut(target: Path, with_sound: bool) -> None:
    """Copy the packets of the sample film's first seconds."""
    film = next(SAMPLE.glob("*.mp4"))
    with av.open(str(film)) as source, av.open(str(target), "w", format="mp4") as output:
        streams = [source.streams.video[0], *source.streams.audio[: int(with_sound)]]
        outputs = {each.index: output.add_stream_from_template(each) for each in streams}
        for packet in source.demux(streams):
            if packet.dts is None or packet.pts * packet.time_base >= SECONDS:
                continue
            packet.stream = outputs[packet.stream.index]
            output.mux(packet)


def _make_table(place: Path) -> None:
    draw = np.random.default_rng(0)
    titles, shots, width = TABLE["titles"], TABLE["shots"], TABLE["width"]
    starts = np.arange(shots) % 6 == 0
    scenes = draw.standard_normal((titles, shots, width))[:, np.cumsum(starts) - 1]
    vectors = scenes + draw.standard_normal((titles, shots, width))
    table = pa.table(
        {
            "title": np.repeat([f"title{number}" for number in range(titles)], shots),
            "shot_index": np.tile(np.arange(shots, dtype=np.int32), titles),
            "vector": to_arrow(unit_length(vectors.reshape(-1, width))),
            "starts_scene": np.tile(starts, titles),
        }
    )
    pq.write_table(table, place)
