"""Make an inbox and a store of thousands of titles, as an ingest of them would leave them.

    python -m benchmarks.large_catalogue TITLES INBOX STORE
        [--from-inbox DIR] [--from-store DIR] [--publish] [--processes 2]

The titles are copies of a few that were really computed: those of `--from-inbox` and
`--from-store`, or else the sample films, which are ingested first with a small model (about a
minute). A copy has a folder of its own in the inbox and files of its own in the store, with its own
title id, versions and inputs, so that every title is present under the source's serving model; only
media and soundtracks are hard links, and keyframes are small pictures. `--publish` publishes them
too.
"""

import argparse
import io
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SAMPLES, SmallInputs
from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.identity import data_version
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.graph import FROM_MODEL, SPECS, TITLE_ASSETS, UP_TO_FUSION
from mediafm_core.pipeline.materialise import DECODED, materialise
from mediafm_core.pipeline.planning.title_comparison import wanted_version
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import publish_titles
from mediafm_core.pipeline.releases.release import release
from mediafm_core.storage.local import LocalFiles
from mediafm_core.store.records import ArtefactRecord
from mediafm_core.store.store import Store
from mediafm_core.titles.content_digests import FileRecord, content_digests
from mediafm_core.titles.manifest import MANIFEST_NAME
from mediafm_core.titles.read_title import read_title

SMALL_MODEL = {
    "model": {"hidden": 64, "layers": 2, "heads": 2, "feed_forward": 128},
    "training": {"steps": 20, "validate_every": 10},
}
PICTURE_WIDTH = 32
# Written beside `contextual_embeddings`, with the same record.
BESIDE = {"contextual_embeddings": "title_embeddings"}


def main() -> None:
    """Make the catalogue and print the seconds it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("titles", type=int)
    parser.add_argument("inbox", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--from-inbox", type=Path, default=SAMPLES)
    parser.add_argument("--from-store", type=Path)
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parse(parser, small)
    took: dict[str, float] = {}

    def step(said: str, name: str, started: float) -> None:
        took[name] = time.perf_counter() - started
        print(f"{said}: {took[name]:.1f} s", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        if arguments.from_store is None:
            source = load_settings(
                inbox=arguments.from_inbox, store=Path(folder) / "store", **SMALL_MODEL
            )
            ingest_and_release(Platform(source))
            step("source titles ingested", "taken_in_s", started)
        else:
            source = load_settings(inbox=arguments.from_inbox, store=arguments.from_store)
        target = source.model_copy(update={"inbox": arguments.inbox, "store": arguments.store})
        started = time.perf_counter()
        title_ids = enlarge(source, target, arguments.titles, arguments.processes)
        step(f"{len(title_ids)} titles written", "written_s", started)
    if arguments.publish:
        started = time.perf_counter()
        step(str(publish_titles(Platform(target), title_ids)), "published_s", started)
    write_json(arguments.json, {"titles": len(title_ids), **took})


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    place = inputs.new("large_catalogue")
    source = ["--from-inbox", str(inputs.inbox), "--from-store", str(inputs.store)]
    target = [str(place / "inbox"), str(place / "store")]
    return ["4", *target, *source, "--publish", "--processes", "1"]


def ingest_and_release(platform: Platform) -> None:
    """Compute every title of the inbox, train a model and release it."""
    title_ids = [folder.name for folder in platform.inbox.scan() if folder.is_complete]
    for assets in (UP_TO_FUSION, FROM_MODEL):
        if assets is FROM_MODEL:
            release(platform, train_model(platform).candidate)
        groups = [(name,) for name in assets if name not in DECODED]
        if set(DECODED) <= set(assets):
            groups.insert(1, DECODED)
        for title_id in title_ids:
            for group in groups:
                for outcome in materialise(platform, group, title_id):
                    if outcome.record is None:
                        raise RuntimeError(outcome.reason)


def enlarge(source: Settings, target: Settings, titles: int, processes: int = 1) -> list[str]:
    """Fill an inbox and a store with copies of computed titles.

    Args:
        source: inbox and store of the computed titles; a model must serve.
        target: inbox and store to fill; otherwise the same settings.
        titles: how many copies, named `title_00000` and so on; those of an earlier call are
            written again.
        processes: that write at the same time.

    Returns:
        The title ids.
    """
    target_store = Store(target.require_store())
    target.inbox.mkdir(parents=True, exist_ok=True)
    target_store.root.mkdir(parents=True, exist_ok=True)
    from_store = Store(source.require_store())
    serving = Platform(source).serving_model
    shutil.copytree(from_store.models / serving, target_store.models / serving, dirs_exist_ok=True)
    shutil.copy2(from_store.root / "serving.json", target_store.root)
    names = sorted(path.stem for path in (from_store.root / "title").glob("*.json"))
    numbers = {
        name: range(place, titles, len(names)) for place, name in enumerate(names) if place < titles
    }
    for name, wanted_numbers in numbers.items():
        _copy_once(source, target, name, wanted_numbers[0])
        # All folders first: each link changes the time of its file, which is part of fingerprints.
        title = from_store.json_record("title", name)[1]
        for number in wanted_numbers:
            _write_folder(source.inbox / name, target.inbox, title, number, wanted_numbers[0])
    chunks = [
        (name, numbers[name][start : start + 50])
        for name in numbers
        for start in range(0, len(numbers[name]), 50)
    ]
    work = partial(_write_titles, source, target)
    if processes == 1:
        for chunk in chunks:
            work(chunk)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            list(pool.map(work, chunks))
    return [title_name(number) for number in range(titles)]


def title_name(number: int) -> str:
    """Return the title id of a copy."""
    return f"title_{number:05d}"


@dataclass(frozen=True)
class Template:
    """A computed title, in memory.

    Attributes:
        records: of each asset.
        tables: of each asset that is one, by asset, keyframes with small pictures.
        title: content of the asset `title`.
        sound: content of the asset `soundtrack`.
    """

    name: str
    records: dict[str, ArtefactRecord]
    tables: dict[str, pa.Table]
    title: dict[str, Any]
    sound: dict[str, Any]


class _UnsyncedFiles(LocalFiles):
    """Files without fsync, which a power failure may lose: 100,000 are written in a minute."""

    def put(self, prepared: Path, key: str) -> None:
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        prepared.replace(target)


def _read_template(platform: Platform, name: str) -> Template:
    store, model = platform.store, platform.serving_model
    title, sound = store.json_record("title", name), store.json_record("soundtrack", name)
    records = {"title": title[0], "soundtrack": sound[0]}
    tables = {}
    for spec in TITLE_ASSETS:
        if spec.name in records:
            continue
        variant = model if spec.per_model else ""
        records[spec.name] = store.record(spec.name, name, variant)
        for asset in (spec.name, BESIDE.get(spec.name)):
            if asset:
                tables[asset] = store.read(asset, name, variant)
    tables["keyframes"] = _with_small_pictures(tables["keyframes"])
    return Template(name, records, tables, title[1], sound[1])


def _with_small_pictures(keyframes: pa.Table) -> pa.Table:
    from PIL import Image

    pictures = []
    for data in keyframes["jpeg"].to_pylist():
        picture = Image.open(io.BytesIO(data))
        picture.thumbnail((PICTURE_WIDTH, PICTURE_WIDTH))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=60)
        pictures.append(file.getvalue())
    place = keyframes.column_names.index("jpeg")
    return keyframes.set_column(place, keyframes.schema.field("jpeg"), pa.array(pictures))


def _copy_once(source: Settings, target: Settings, name: str, number: int) -> None:
    """Copy media and sound once; the other copies link to it, since links need one file system."""
    template = Store(source.require_store()).json_record("title", name)
    media = template[1]["files"]["media"]
    folder = target.inbox / title_name(number)
    folder.mkdir(exist_ok=True)
    if not (folder / media).exists():
        shutil.copy2(source.inbox / name / media, folder)
    sound = source.store / "soundtrack" / f"{name}.flac"
    (target.store / "soundtrack").mkdir(exist_ok=True)
    if sound.exists():
        shutil.copyfile(sound, target.store / "soundtrack" / f"{title_name(number)}.flac")


def _write_titles(source: Settings, target: Settings, chunk: tuple[str, Sequence[int]]) -> None:
    name, numbers = chunk
    platform = Platform(target)
    platform.store = Store(_UnsyncedFiles(target.require_store()))
    template = _read_template(Platform(source), name)
    titles = len(list((source.store / "title").glob("*.json")))
    with platform.one_model():
        for number in numbers:
            _write_artefacts(platform, template, number, number % titles)


def _write_folder(
    original: Path, inbox: Path, title: dict[str, Any], number: int, first: int
) -> None:
    folder, media = inbox / title_name(number), title["files"]["media"]
    folder.mkdir(exist_ok=True)
    if number != first:
        _link(inbox / title_name(first) / media, folder / media)
    for file in title["hashed"]:
        if file != media:
            shutil.copy2(original / file, folder)
    manifest = title["manifest"]
    own = {"title_id": folder.name, "name": f"{manifest['name']} {number}"}
    (folder / MANIFEST_NAME).write_text(json.dumps({**manifest, **own}, ensure_ascii=False))


def _write_artefacts(platform: Platform, template: Template, number: int, first: int) -> None:
    store, title_id = platform.store, title_name(number)
    folder = platform.inbox.folder(title_id)
    title = read_title(folder)
    media = title.media  # the same content as the template's, so it is not read again
    digest = template.title["hashed"][media.key]["digest"]
    digests = content_digests(title, {media.key: FileRecord(stamp=media.stamp, digest=digest)})
    facets = digests.model_dump(exclude={"files"})
    versions = {f"title.{facet}": digest for facet, digest in facets.items()}
    record = template.records["title"].model_copy(
        update={
            "title_id": title_id,
            "data_version": data_version(facets, None, SPECS["title"].code_version),
            "inputs": facets,
            "code_version": SPECS["title"].code_version,
            "details": {
                **template.records["title"].details,
                "fingerprint": folder.fingerprint(),
            },
        }
    )
    content = {
        **template.title,
        "manifest": title.manifest.model_dump(mode="json"),
        "hashed": digests.model_dump()["files"],
    }
    store.write_json(record, content)
    for spec in TITLE_ASSETS[1:]:
        identity = spec.identity(platform)
        target = wanted_version(spec.name, versions, str(identity) if identity else None)
        versions[spec.name] = target.version
        record = template.records[spec.name].model_copy(
            update={
                "title_id": title_id,
                "data_version": target.version,
                "inputs": target.inputs,
                "identity": target.identity,
                "code_version": spec.code_version,
            }
        )
        if spec.name == "soundtrack":
            _write_soundtrack(store, record, template, title_name(first))
            continue
        variant = platform.serving_model if spec.per_model else ""
        for asset in (BESIDE.get(spec.name), spec.name):
            if asset:
                table = _renamed(template.tables[asset], title_id)
                store.write(record.model_copy(update={"asset": asset}), table, variant)


def _write_soundtrack(store: Store, record: ArtefactRecord, template: Template, first: str) -> None:
    sound = template.sound["file"]
    if sound is not None:
        sound = f"{record.title_id}.flac"
        if record.title_id != first:
            folder = store.root / "soundtrack"
            _link(folder / f"{first}.flac", folder / sound)
    store.write_json(record, {**template.sound, "file": sound})


def _renamed(table: pa.Table, title_id: str) -> pa.Table:
    """Return a table with another title id."""
    if "title_id" not in table.column_names:
        return table
    place, field = table.column_names.index("title_id"), table.schema.field("title_id")
    return table.set_column(place, field, pa.array([title_id] * len(table), field.type))


def _link(existing: Path, link: Path) -> None:
    link.unlink(missing_ok=True)
    os.link(existing, link)


if __name__ == "__main__":
    main()
