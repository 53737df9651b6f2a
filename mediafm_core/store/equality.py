"""Comparison of two stores, for tests of interrupted, repeated and remote runs."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from mediafm_core.disk.sealed_parquet import open_parquet
from mediafm_core.disk.seals import read_sealed_json
from mediafm_core.store.features import open_features
from mediafm_core.store.features.feature_tables import FUSED
from mediafm_core.store.records import RECORD_KEY
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_numpy

# Times and measurements, which differ between two equal runs.
_MEASUREMENTS = {
    *("measured", "created_at", "released_at", "since"),
    *("seconds", "shots_per_second"),
    "digests",  # of a model's files, of which the card says when it was made
    *("fingerprint", "stamp"),  # of a delivery: the same title folder elsewhere
    *("reused", "texts", "cached_texts", "requests", "tokens", "usd"),
}
# How features are spread over shards depends on the order of work; their tables are compared. The
# states of trainings stay on the machine that trains.
_IGNORED = {"dagster_home", "features", "training"}
_TABLES = {
    "catalogue": "model_version",
    "titles": "title_id",
    "shots": "title_id, shot_index",
    "clips": "title_id, clip_id",
    "scenes": "title_id, scene_index",
    "clip_features": "title_id, clip_id",
    "title_features": "title_id",
}


def differences(one: Store, other: Store, tolerance: float = 0.0) -> list[str]:
    """Return the differences between two stores, a line each; empty if they are equal.

    Times and measurements are left out. Of what killed processes left in the staging folder, only
    the existence counts.

    Args:
        one: a store.
        other: another.
        tolerance: greatest absolute difference between numbers of vectors that counts as equal.
    """
    names = [_files(store) for store in (one, other)]
    found = [f"only in {one.location}: {name}" for name in sorted(names[0] - names[1])]
    found += [f"only in {other.location}: {name}" for name in sorted(names[1] - names[0])]
    for name in sorted(names[0] & names[1]):
        found += _file_differences(name, one.files.path(name), other.files.path(name), tolerance)
    if one.features.exists() and other.features.exists():
        found += _feature_differences(one, other, tolerance)
    return found


def _files(store: Store) -> set[str]:
    keys = (entry.key for entry in store.files.entries())
    return {key for key in keys if not _IGNORED & set(key.split("/"))}


def _file_differences(name: str, one: Path, other: Path, tolerance: float) -> Iterator[str]:
    if name.endswith(".parquet"):
        with open_parquet(one) as left, open_parquet(other) as right:
            records = [json.loads(file.metadata.metadata[RECORD_KEY]) for file in (left, right)]
            if _lasting(records[0]) != _lasting(records[1]):
                yield f"{name}: records differ"
            if not _equal(left.read(), right.read(), tolerance):
                yield f"{name}: rows differ"
    elif name.endswith(".json"):
        documents = [read_sealed_json(path.read_bytes()) for path in (one, other)]
        if _lasting(documents[0]) != _lasting(documents[1]):
            yield f"{name}: contents differ"
    elif name.endswith((".flac", ".safetensors")) and _sha256(one) != _sha256(other):
        yield f"{name}: bytes differ"


def _feature_differences(one: Store, other: Store, tolerance: float) -> Iterator[str]:
    for table, order in _TABLES.items():
        query = f"SELECT * FROM {table} ORDER BY {order}"  # noqa: S608 - names are our own
        tables = []
        for store in (one, other):
            with open_features(store) as connection:
                tables.append(connection.sql(query).to_arrow_table())
        if not _equal(tables[0], tables[1], tolerance):
            yield f"features.duckdb: table {table} differs"


def _equal(one: pa.Table, other: pa.Table, tolerance: float) -> bool:
    one, other = one.replace_schema_metadata(), other.replace_schema_metadata()
    vectors = [name for name in ("embedding", FUSED) if name in one.column_names]
    if tolerance == 0.0 or not vectors or one.column_names != other.column_names:
        return one.equals(other)
    if one.drop_columns(vectors) != other.drop_columns(vectors):
        return False
    pairs = [(to_numpy(one[name]), to_numpy(other[name])) for name in vectors]
    return all(
        left.shape == right.shape and np.allclose(left, right, rtol=0.0, atol=tolerance)
        for left, right in pairs
    )


def _lasting(document: object) -> object:
    """Return a JSON document without times and measurements."""
    if isinstance(document, dict):
        return {
            name: _lasting(value) for name, value in document.items() if name not in _MEASUREMENTS
        }
    return [_lasting(value) for value in document] if isinstance(document, list) else document


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
