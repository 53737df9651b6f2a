"""Export of a training set: labels joined with the vectors of the serving version.

All data is read through one connection to one snapshot of the catalogue, which has one model
version, even if titles are published or a model is released in the meantime.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from mediafm_core.api.catalogue_reader import catalogue_connection
from mediafm_core.clips.vector_choice import VectorChoice, parts_of
from mediafm_core.config.location import S3Location
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.identity import digest_of
from mediafm_core.model.model_files import CONFIG_FILE, TRAINING_FILE, read_json, require_undamaged
from mediafm_core.store.features.snapshot import duckdb_errors
from mediafm_core.store.model_store import model_folder
from mediafm_core.store.open_store import open_store
from mediafm_core.store.store import Store
from mediafm_core.training_sets.destination import Destination
from mediafm_core.training_sets.examples import find_examples, with_splits
from mediafm_core.training_sets.footer import EMBEDDING, FUSED, SetRecord
from mediafm_core.training_sets.gathering import (
    FileMatrix,
    gather_clips,
    gather_fused,
    gather_spans,
)
from mediafm_core.training_sets.label_files import LabelTable, catalogue_labels, read_labels
from mediafm_core.training_sets.parquet_files import write_files
from mediafm_core.training_sets.splits import check_shares

ExportProgress = Callable[[int, int], None]
"""Callback for the number of vectors that are done, and the total."""


class Exported(NamedTuple):
    """An exported training set."""

    place: str
    files: int
    splits: dict[str, int]  # number of rows of each split
    record: SetRecord
    widths: dict[str, int]  # of each column of vectors


def export(
    out: Path | S3Location | str,
    *,
    labels: Path | str | pa.Table | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    split: Mapping[str, float] | None = None,
    seed: int = 0,
    vectors: VectorChoice | None = None,
    fused: bool = False,
    float16: bool = False,
    skip_unknown: bool = False,
    replace: bool = False,
    store: Path | S3Location | str | None = None,
    progress: ExportProgress | None = None,
) -> Exported:
    """Write a training set: a row per labelled clip or span, with its vectors.

    The set is written atomically. Its columns are described in `docs/reference/training_sets.md`.

    Args:
        out: A file, `.parquet`, or a folder of files; in S3 a file, `s3://bucket/name.parquet`.
        labels: `.parquet`, `.csv` or a table of `title_id, clip_id` or `title_id, start_s, end_s`,
            then label columns of any type; None takes the labels of the catalogue's `clips.csv`.
        columns: Label columns to export; None takes all.
        where: Condition in SQL on the columns of the rows and of the catalogue's table `titles`;
            only rows that match are exported.
        split: Shares of titles, such as `{"train": 0.8, "test": 0.2}`; adds the column `split`.
        seed: Seed of the splits.
        vectors: Columns of vectors: `context`, the column `embedding`; `fused`, the column `fused`,
            the model's input vectors without context, from the titles' artefacts; or `both`.
        fused: Short for `vectors="both"`.
        float16: Write vectors in float16 instead of float32.
        skip_unknown: Leave out labels of clips and titles that the catalogue does not have.
        replace: Replace an existing set.
        store: Folder or `s3://` address of the catalogue; None takes the setting.
        progress: Callback for the number of vectors that are done, and the total.

    Raises:
        MediaFMError: Labels or condition cannot be used, no row is left, or `out` exists already.
        TitleError: A span reaches outside its title.
        IdentityMismatchError: Titles have fused vectors of different encoders.
        StoreError: Nothing has been published in this store, or `out` cannot be written.
    """
    parts = parts_of(_choice(vectors, fused))
    settings = load_settings(store=store)
    catalogue = open_store(settings)
    shares = None if split is None else check_shares(split)
    destination = Destination.of(out, settings)
    destination.require_free(replace)
    with (
        catalogue_connection(catalogue) as connection,
        duckdb_errors(catalogue.features, "export again"),
        destination.writing(replace) as folder,
    ):
        if labels is None:
            table = catalogue_labels(connection, columns)
        else:
            table = read_labels(Path(labels) if isinstance(labels, str) else labels, columns)
        examples, left_out = find_examples(connection, catalogue, table, where, skip_unknown)
        if shares is not None:
            examples = with_splits(examples, table, shares, seed)
        record = _record(connection, catalogue, table, examples).model_copy(
            update={
                "element": "float16" if float16 else "float32",
                "where": where,
                "shares": shares,
                "seed": None if shares is None else seed,
                "left_out": left_out,
            }
        )
        matrices, space = _gathered(
            connection, catalogue, table, examples, record.dimension, parts, folder, progress
        )
        record = record.model_copy(update=space)
        files = write_files(folder, destination.is_file, record, examples, matrices)
    widths = {name: matrix.shape[1] for name, matrix in matrices.items()}
    return Exported(str(out), files, _rows_by_split(examples), record, widths)


def _gathered(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    labels: LabelTable,
    examples: pa.Table,
    width: int,
    parts: Sequence[str],
    folder: Path,
    progress: ExportProgress | None,
) -> tuple[dict[str, FileMatrix], dict[str, Any]]:
    """Gather the vectors of the examples; return them with the space of the fused ones."""
    rows, done = examples.num_rows, 0
    total = rows * len(parts)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    matrices: dict[str, FileMatrix] = {}
    space: dict[str, Any] = {}
    if "context" in parts:
        embedding = FileMatrix(folder / f"{EMBEDDING}.npy", (rows, width))
        matrices[EMBEDDING] = embedding
        if labels.is_of_clips:
            gather_clips(connection, examples, embedding, advance)
        else:
            gather_spans(connection, store, examples, embedding, advance)
    if "fused" in parts:

        def create(columns: int) -> FileMatrix:
            matrices[FUSED] = FileMatrix(folder / f"{FUSED}.npy", (rows, columns))
            return matrices[FUSED]

        fused_space = gather_fused(connection, store, examples, create, advance)
        space = {"encoders": fused_space.encoders, "ranges": fused_space.ranges}
    if done != total:
        raise StoreError(
            f"{store.location} has vectors of {done} of {total} rows: `mediafm run` "
            "computes the others."
        )
    return matrices, space


def _choice(vectors: VectorChoice | None, fused: bool) -> VectorChoice:
    """Return the vectors of a set from the option and its short form.

    Raises:
        MediaFMError: They contradict each other.
    """
    if not fused:
        return vectors or "context"
    if vectors not in (None, "both"):
        raise MediaFMError(
            f"fused adds fused vectors to contextual ones, and the vectors are {vectors!r}: leave "
            "one of the two out."
        )
    return "both"


def _record(
    connection: duckdb.DuckDBPyConnection, store: Store, labels: LabelTable, examples: pa.Table
) -> SetRecord:
    """Make the record of a set from the catalogue and the labels, without export options."""
    model, dimension, schema_version, titles = connection.execute(
        "SELECT model_version, dimension, schema_version, titles FROM catalogue"
    ).fetchall()[0]
    versions = connection.execute(
        "SELECT title_id, data_version, title_version FROM titles ORDER BY title_id"
    ).fetchall()
    return SetRecord(
        set_id=uuid.uuid4().hex,
        created_at=datetime.now(UTC).replace(microsecond=0),
        library_version=version("mediafm"),
        model=model,
        dimension=dimension,
        **_space_of(store, model),
        schema_version=schema_version,
        catalogue_titles=titles,
        catalogue_version=digest_of(*(part for row in versions for part in row)),
        label_source=labels.source,
        label_digest=labels.digest,
        labels={name: str(labels.table.schema.field(name).type) for name in labels.names},
        rows=examples.num_rows,
        titles=len(examples["title_id"].unique()),
    )


def _space_of(store: Store, model: str) -> dict[str, Any]:
    """Return encoders and ranges of a model's input vectors; empty where the model is gone."""
    folder = model_folder(store, model)
    if not folder.exists():
        return {}
    config = read_json(folder, CONFIG_FILE)
    require_undamaged(folder, read_json(folder, TRAINING_FILE), (CONFIG_FILE,))
    return {"encoders": config["encoder_identities"], "ranges": config["fused_ranges"]}


def _rows_by_split(examples: pa.Table) -> dict[str, int]:
    if "split" not in examples.column_names:
        return {}
    counts = examples["split"].combine_chunks().value_counts()
    return {str(name): int(count) for name, count in zip(*counts.flatten(), strict=True)}
