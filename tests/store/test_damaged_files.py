"""Every reader refuses damaged files of a store in one sentence; older files are read."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from bits import flip, flip_at, remove_seal
from small_catalogue import MODEL, SmallCatalogue

import mediafm_core
from mediafm_core.api.clip_search import build_index
from mediafm_core.errors import DamagedArtefactError, MediaFMError, StoreError, TitleError
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.store.features import catalogue
from mediafm_core.store.features.publication import published_versions
from mediafm_core.store.store import Store
from mediafm_core.training_sets.training_set import TrainingSet

TABLES = ("titles", "shots", "clips", "clip_features", "title_features")
READERS: dict[str, Callable[[Path], object]] = {
    **{
        table: lambda store, table=table: mediafm_core.sql(f"FROM {table}", store=store)
        for table in TABLES
    },
    "embed": lambda store: mediafm_core.embed("alpha", 3.0, 20.0, store=store),
    "similar": lambda store: mediafm_core.similar("alpha", 3.0, 20.0, store=store),
    "index": lambda store: build_index(store=store),
    "status": lambda store: catalogue(Store(store)),
}


@pytest.fixture
def small(tmp_path: Path) -> SmallCatalogue:
    return SmallCatalogue(tmp_path / "store").filled("alpha", "beta")


def shard(small: SmallCatalogue, file: str) -> Path:
    return next((small.root / "features" / MODEL / file).iterdir())


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("file", ["titles", "shots", "clips"])
def test_no_reader_reads_a_damaged_shard(small: SmallCatalogue, file: str, reader: str):
    READERS[reader](small.root)  # it is known to be sound then
    path = shard(small, file)
    flip_at(path, path.stat().st_size // 2)
    with pytest.raises(StoreError, match=rf"{path} is damaged .*`mediafm verify --repair`") as told:
        READERS[reader](small.root)
    assert len(str(told.value)) <= 300


def test_no_reader_reads_a_damaged_snapshot(small: SmallCatalogue):
    flip(small.store.features)
    for reader in READERS.values():
        with pytest.raises(StoreError, match=r"features.duckdb is damaged .*verify --repair"):
            reader(small.root)


def test_damaged_shards_are_neither_merged_nor_published_beside(small: SmallCatalogue):
    path = shard(small, "titles")
    flip_at(path, path.stat().st_size // 2)
    small.write("gamma")
    with pytest.raises(StoreError, match=r"is damaged"):
        small.publish("gamma")
    with pytest.raises(StoreError, match=r"is damaged"):
        published_versions(small.store, MODEL)


@pytest.mark.parametrize(
    "asset",
    ["shots", "timed_text", "fused_embeddings", "contextual_embeddings", "title_embeddings"],
)
def test_nothing_is_published_from_a_damaged_artefact(small: SmallCatalogue, asset: str):
    small.write("gamma")
    variant = MODEL if asset in ("contextual_embeddings", "title_embeddings") else ""
    path = small.store.path(asset, "gamma", variant)
    flip_at(path, 60)
    with pytest.raises(DamagedArtefactError, match=rf"{path} is damaged .*verify --repair") as told:
        small.publish("gamma")
    assert told.value.asset == asset
    small.write("gamma")
    assert small.publish("gamma").changed == 1


def test_a_damaged_footer_counts_as_a_damaged_record(small: SmallCatalogue):
    path = small.store.path("shots", "alpha")
    content = path.read_bytes()
    record = content.rindex(b"data_version")  # one name in the record for another
    flip_at(path, record, 1)
    for read in (small.store.version, small.store.record, small.store.read, small.store.schema):
        with pytest.raises(DamagedArtefactError, match="its footer has changed since it was"):
            read("shots", "alpha")


def test_training_reads_no_damaged_vector(small: SmallCatalogue):
    path = small.store.path("fused_embeddings", "alpha")
    data = TrainingData([TitleSource("alpha", path, layout=(20, 24))], global_size=1)
    flip_at(path, path.read_bytes().index(b"MediaFM-SHA-256:") - 200)
    with pytest.raises(TitleError, match=r"alpha has a damaged file .*verify --repair"):
        data.read(0, 0, 20)


def test_a_damaged_training_set_is_refused(small: SmallCatalogue, tmp_path: Path):
    labels = mediafm_core.sql("SELECT title_id, clip_id, true AS good FROM clips", store=small.root)
    out = tmp_path / "set.parquet"
    mediafm_core.export(out, labels=labels, store=small.root)
    content = out.read_bytes()
    whole = TrainingSet.open(out).matrix().copy()
    for place in (30, len(content) // 2, len(content) - 300):
        flip_at(out, place)
        with suppress(MediaFMError):
            assert np.array_equal(TrainingSet.open(out).matrix(), whole)
        out.write_bytes(content)
    flip_at(out, content.index(b"MediaFM-SHA-256:") - 100)
    with pytest.raises(MediaFMError, match=r"cannot be read as Parquet .*: export it again"):
        TrainingSet.open(out).matrix()


def test_a_store_of_an_earlier_version_is_read_and_added_to(small: SmallCatalogue):
    before = {table: READERS[table](small.root) for table in TABLES}
    for entry in small.store.files.entries():
        remove_seal(small.root / entry.key)
    assert {table: READERS[table](small.root) for table in TABLES} == before
    assert small.store.version("shots", "alpha") is not None
    small.write("gamma")
    assert small.publish("gamma").titles == 3
