"""Flip single bits in a store's files: every one must be refused by its readers or found.

    python -m benchmarks.bit_flips INBOX [--artefacts 360] [--shards 150] [--others 120] [--seed 0]
                                   [--store STORE] [--json FILE]

The store is made by `mediafm run`, or copied from `--store`, a finished one of the inbox. Files and
bits are drawn at random: first one of the assets or kinds of file, then one of its files, then a
bit of it. One bit is flipped at a time. Then all readers of the file read it, and `verify` does.

    refused     a reader refuses the file with a sentence of at most 300 characters
    the same    no reader refuses it, and all read what was written: the bit is in no value
    other       no reader refuses it, and one reads something else
    verify      found by `mediafm verify`
    silent      neither refused nor found; or something else was read. There must be none

In the end one bit is flipped in a file of each kind at once, `mediafm verify --repair` runs, and
the store is compared with what it was.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.options import parse, write_json
from benchmarks.processes import mediafm
from benchmarks.small_inputs import SmallInputs
from mediafm_core.api.catalogue_reader import embed, sql
from mediafm_core.api.clip_search import build_index, similar
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import MediaFMError
from mediafm_core.model.saved_model import load_model
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.pipeline.integrity.stored_files import StoredFile, stored_files
from mediafm_core.pipeline.integrity.verification import verify, verify_again
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.serving import release_history
from mediafm_core.search.clip_keyframes import keyframes_of
from mediafm_core.store.equality import differences
from mediafm_core.store.features import feature_tables
from mediafm_core.store.store import Store

LONGEST_SENTENCE = 300
_ARTEFACTS = {"table", "record", "sound"}
_FEATURES = "features "
_COLUMNS = ("flips", "refused", "the same", "other", "verify", "silent")


def main() -> None:
    """Flip bits, print the table, and repair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inbox", type=Path)
    parser.add_argument("--artefacts", type=int, default=360)
    parser.add_argument("--shards", type=int, default=150)
    parser.add_argument("--others", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path, help="a finished store of the inbox")
    arguments = parse(parser, small)
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, store = Store(Path(folder) / "whole"), Store(Path(folder) / "store")
        if arguments.store:
            shutil.copytree(arguments.store, whole.root)
        else:
            subprocess.run(mediafm("run", inbox=arguments.inbox, store=whole.root), check=True)
        build_index(whole.root)
        shutil.copytree(whole.root, store.root)
        platform = Platform(load_settings(inbox=arguments.inbox, store=store.root))
        before = verify(platform)
        print(f"before: {before}")
        files = by_kind(file for file, _ in stored_files(store))
        counts: Counter[tuple[str, str]] = Counter()
        shards = {kind for kind in files if kind.startswith(_FEATURES)}
        artefacts = {kind for kind, found in files.items() if found[0].kind in _ARTEFACTS}
        for kinds, flips in (
            (artefacts, arguments.artefacts),
            (shards, arguments.shards),
            (files.keys() - artefacts - shards, arguments.others),
        ):
            flip_some(platform, {kind: files[kind] for kind in kinds}, flips, draw, counts)
        print_table(counts)
        left = repaired(arguments.inbox, whole, store, files, draw)
    silent = sum(count for (_, column), count in counts.items() if column == "silent")
    print(f"{silent} silent; after `mediafm verify --repair`: {len(left)} differences {left}")
    figures = {f"{kind}: {column}": count for (kind, column), count in counts.items()}
    write_json(arguments.json, {"flips": figures, "silent": silent, "differences": len(left)})
    sys.exit(bool(silent or left or before.damaged))


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    numbers = ["--artefacts", "8", "--shards", "2", "--others", "4"]
    return [str(inputs.inbox), "--store", str(inputs.store), *numbers]


def by_kind(files: Iterable[StoredFile]) -> dict[str, list[StoredFile]]:
    """Group files by what they hold, as the table names it."""
    found: dict[str, list[StoredFile]] = {}
    for file in files:
        name = file.kind if file.kind not in _ARTEFACTS else file.asset
        if file.kind == "shard":
            name = f"{_FEATURES}{file.key.split('/')[2]}"
        found.setdefault("sound" if file.kind == "sound" else name, []).append(file)
    return found


def flip_some(
    platform: Platform,
    files: dict[str, list[StoredFile]],
    flips: int,
    draw: random.Random,
    counts: Counter[tuple[str, str]],
) -> None:
    """Flip bits one at a time, and count the outcome of each."""
    for _ in range(flips if files else 0):
        kind = draw.choice(sorted(files))
        file = draw.choice(files[kind])
        path = platform.store.root / file.key
        content = path.read_bytes()
        readers = readers_of(platform, file)
        expected = [read() for read in readers]
        flip(path, content, draw)
        refusals, other = 0, 0
        for read, value in zip(readers, expected, strict=True):
            try:
                other += not same(read(), value)
            except MediaFMError as error:
                refusals += 1
                if len(str(error)) > LONGEST_SENTENCE:
                    print(f"too long: {error}", flush=True)
        found = bool(verify_again(platform, [file]))
        path.write_bytes(content)
        counts[kind, "flips"] += 1
        counts[kind, "refused"] += bool(refusals)
        counts[kind, "the same"] += not refusals and not other
        counts[kind, "other"] += bool(other and not refusals)
        counts[kind, "verify"] += found
        silent = bool(other) or not (refusals or found)
        counts[kind, "silent"] += silent
        if silent:
            print(f"silent: {file.key}", flush=True)


def flip(path: Path, content: bytes, draw: random.Random) -> None:
    """Flip a bit of a file."""
    flipped = bytearray(content)
    flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(flipped)


def readers_of(platform: Platform, file: StoredFile) -> list[Callable[[], Any]]:
    """Return functions that read all that readers see of a file."""
    store, place = platform.store, platform.store.root
    if file.kind in _ARTEFACTS:
        return readers_of_artefact(store, file)
    if file.kind in ("shard", "snapshot"):
        span = sql("SELECT title_id, start_s, end_s FROM shots LIMIT 1", store=place).to_pylist()[0]
        where = (span["title_id"], span["start_s"], span["end_s"])
        queries = [f"SELECT * FROM {table} ORDER BY ALL" for table in feature_tables.TABLES]
        return [
            *(lambda query=query: sql(query, store=place) for query in queries),
            lambda: embed(*where, store=place),
            lambda: similar(*where, store=place, exact=True),
        ]
    if file.kind == "index":
        span = sql("SELECT title_id, start_s, end_s FROM shots LIMIT 1", store=place).to_pylist()[0]
        where = (span["title_id"], span["start_s"], span["end_s"])
        return [lambda: similar(*where, store=place)]
    if file.kind == "model" and not file.key.endswith(".md"):
        return [lambda: load_model(store.models / file.owner).training]
    if file.kind == "releases":
        return [lambda: [each.model_dump() for each in release_history(store)]]
    if file.kind == "quarantine":
        return [lambda: Quarantine(store).get(file.owner)]
    return []


def readers_of_artefact(store: Store, file: StoredFile) -> list[Callable[[], Any]]:
    """Return functions that read an artefact, as the pipeline and its readers do."""
    asset, title_id, variant = file.asset, file.owner, file.variant
    if file.kind == "sound":
        return [lambda: (store.sound_file(title_id) or Path()).read_bytes()]
    if file.kind == "record":
        return [lambda: store.version(asset, title_id), lambda: store.json_record(asset, title_id)]
    readers: list[Callable[[], Any]] = [
        lambda: store.version(asset, title_id, variant),
        lambda: store.record(asset, title_id, variant),
        lambda: store.read(asset, title_id, variant),
    ]
    if asset == "keyframes":
        span = pa.table({"title_id": [title_id], "start_s": [0.0], "end_s": [1e9]})
        readers += [
            lambda: pa.Table.from_batches(store.batches(asset, title_id)),
            lambda: keyframes_of(store, span, most=1000),
        ]
    if asset == "fused_embeddings":
        source = TitleSource(title_id, store.path(asset, title_id))

        def train() -> np.ndarray:
            data = TrainingData([source], global_size=1)
            return data.read(0, 0, int(data.shots[0]))

        readers.append(train)
    return readers


def same(one: Any, other: Any) -> bool:
    """Compare what a reader returns with what it returned before the flip."""
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=True))
    return bool(one == other)


def repaired(
    inbox: Path,
    whole: Store,
    store: Store,
    files: dict[str, list[StoredFile]],
    draw: random.Random,
) -> list[str]:
    """Damage a file of each kind at once and repair the store; returns what differs afterwards."""
    for kind in sorted(files):
        if kind == "model":
            continue  # of which only a copy helps
        path = store.root / draw.choice(files[kind]).key
        if path.exists():
            flip(path, path.read_bytes(), draw)
    done = subprocess.run(mediafm("verify", "--repair", inbox=inbox, store=store.root), check=False)
    left = [] if done.returncode == 0 else [f"exit code {done.returncode}"]
    return left + [line for line in differences(whole, store) if ".parquet: records" not in line]


def print_table(counts: Counter[tuple[str, str]]) -> None:
    """Print a line for each kind of file, and their sum."""
    kinds = sorted({kind for kind, _ in counts})
    print(f"{'kind of file':26}" + "".join(f"{column:>10}" for column in _COLUMNS))
    for kind in kinds:
        print(f"{kind:26}" + "".join(f"{counts[kind, column]:10}" for column in _COLUMNS))
    sums = (sum(counts[kind, column] for kind in kinds) for column in _COLUMNS)
    print(f"{'all':26}" + "".join(f"{total:10}" for total in sums))


if __name__ == "__main__":
    main()
