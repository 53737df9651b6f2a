"""Labelled clips of the catalogue, or labelled spans of its titles, as a data set.

In: the labels of `clips.csv`, or a file of labels in the format of `mediafm export`; the published
titles; their fused vectors in the store, read title by title. Out: `Units`.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.clips.pooling import span_weights
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.evaluation.task_labels import parse_labels
from mediafm_core.evaluation.units import TitleUnits, Units
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.identity import digest_of
from mediafm_core.store.features import catalogue, open_features
from mediafm_core.store.store import Store
from mediafm_core.training_sets.label_files import (
    LabelTable,
    catalogue_labels,
    read_labels,
    require_times,
    sentence_part,
)
from mediafm_core.vectors import to_numpy


def read_catalogue(
    store: Store, labels: Sequence[str], task: Task | None = None, labels_file: Path | None = None
) -> Units:
    """Read a data set whose units are clips, or spans of titles.

    Args:
        store: Store of the catalogue.
        labels: Names of labels.
        task: Task of the probes; None infers it from the labels.
        labels_file: File of labels; None takes the labels of `clips.csv`.

    Raises:
        MediaFMError: A label does not exist, or labels name clips or titles that are not published.
        StoreError: Nothing has been published, or a title's vectors are missing.
    """
    published_model(store)
    with closing(open_features(store)) as connection:
        if labels_file is None:
            table = catalogue_labels(connection, labels)
        else:
            table = read_labels(labels_file, labels)
        rows = _with_times(connection, table)
        versions, longest = _titles(connection)
    names = rows["title_id"].to_numpy().astype(str)
    unknown = sorted(set(names.tolist()) - versions.keys())
    if unknown:
        raise MediaFMError(
            f"{table.source} has labels of {len(unknown)} titles that are not published, "
            f"{', '.join(unknown[:3])}: ingest them with `mediafm run`, or leave them out."
        )
    times = np.stack([rows["start_s"].to_numpy(), rows["end_s"].to_numpy()], axis=1)  # [n, 2]
    titles, title_of = np.unique(names, return_inverse=True)
    first = np.searchsorted(title_of, np.arange(len(titles) + 1))
    space = _space(store, titles.tolist())
    task_labels = parse_labels({name: rows[name] for name in labels}, task)

    def read(index: int) -> TitleUnits:
        title_id = str(titles[index])
        shots = store.read("shots", title_id)
        fused = to_numpy(store.read("fused_embeddings", title_id)["embedding"])
        if len(fused) != shots.num_rows:
            raise StoreError(
                f"{title_id} has {shots.num_rows} shots and {len(fused)} fused vectors: run "
                "`mediafm run`."
            )
        weights = span_weights(shots, times[first[index] : first[index + 1]])
        begin, last = weights.shot_ranges()
        metadata = to_numpy(store.read("title_metadata_embedding", title_id)["embedding"])[0]
        spans = np.stack([begin, last + 1], axis=1)
        return TitleUnits(title_id, fused, metadata, spans, weights)

    return Units(
        source=f"the catalogue in {store.location}, labels from {table.source}",
        digest=digest_of(
            *(versions[title] for title in titles.tolist()),
            times.tobytes(),
            task_labels.known.tobytes(),
        ),
        titles=titles.tolist(),
        title_of=title_of.astype(np.int64),
        names=_names(rows, times),
        ranges=space.ranges,
        longest=longest,
        labels=task_labels,
        read=read,
        encoders=space.encoders,
    )


def _names(rows: pa.Table, times: np.ndarray) -> np.ndarray:
    """Return the clip of each row, or its start and end in seconds where rows are spans."""
    if "clip_id" in rows.column_names:
        return rows["clip_id"].to_numpy().astype(str)
    return np.array([f"{start:g}-{end:g}" for start, end in times.tolist()])


def published_model(store: Store) -> str:
    """Return the identity of the model of the published vectors.

    Raises:
        StoreError: Nothing has been published.
    """
    published = catalogue(store)
    if published is None:
        raise store.without_features()
    return published.model


def _with_times(connection: duckdb.DuckDBPyConnection, labels: LabelTable) -> pa.Table:
    """Add start and end to each row of labels, and sort the rows by title and time."""
    table = labels.table
    if labels.is_of_clips:
        clips = connection.sql(
            "SELECT title_id, clip_id, start_s AS first_s, end_s AS last_s FROM clips"
        ).to_arrow_table()
        joined = table.join(clips, ["title_id", "clip_id"], join_type="left outer")
        joined = joined.combine_chunks()
        unknown = joined.filter(pc.is_null(joined["first_s"])).select(labels.keys)
        if unknown.num_rows:
            raise MediaFMError(
                f"{labels.source} has labels of {unknown.num_rows} clips that are not published "
                f"({sentence_part(unknown)}): name clips of the catalogue."
            )
        times = joined.select(["first_s", "last_s"]).rename_columns(["start_s", "end_s"])
        require_times(labels._replace(table=joined), times)
        table = joined.select([*labels.keys, *labels.names])
        table = table.append_column("start_s", times["start_s"])
        table = table.append_column("end_s", times["end_s"])
    keys = ["title_id", "start_s", "end_s", *(["clip_id"] if labels.is_of_clips else [])]
    return table.sort_by([(key, "ascending") for key in keys])


def _titles(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, str], int]:
    """Return the data version of each title, and the number of shots of the longest."""
    rows = connection.execute("SELECT title_id, data_version, shots FROM titles").fetchall()
    return {title: version for title, version, _ in rows}, max((row[2] for row in rows), default=0)


def _space(store: Store, titles: list[str]) -> FusedSpace:
    """Return the space of the fused vectors of titles, which must be the same for all."""
    space = FusedSpace()
    for index, title in enumerate(titles):
        record = store.record("fused_embeddings", title)
        if record is None:
            raise StoreError(f"{title} has no fused_embeddings in {store.location}: run it again.")
        of_title = FusedSpace.from_record(record.details)
        if not index:
            space = of_title
        elif mismatch := space.mismatch(of_title):
            raise StoreError(
                f"{titles[0]} and {title} were fused from different encoders ({mismatch}): "
                "`mediafm run` brings all titles to the settings' encoders."
            )
    return space
