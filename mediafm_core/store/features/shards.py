"""Writer of shards, from artefacts of titles or from shards that are merged.

Small shards are merged as in a log-structured tree. A shard of up to 7 titles is of the first tier,
of up to 63 of the second, of up to 511 of the third; eight of a tier become one. A shard that has
reached `FULL_TITLES` or `FULL_BYTES` is not merged. So each title is rewritten at most three
times, adding one writes at most twice a full shard, and there are never more than 24 small shards
beside the full ones.
"""

import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.disk.sealed_parquet import parquet_writer, seal_parquet
from mediafm_core.errors import StoreError
from mediafm_core.store.features import feature_tables
from mediafm_core.store.features.snapshot import Shard, Snapshot, pattern, rows, shard_key
from mediafm_core.store.features.verified_shards import remember, require_sound
from mediafm_core.store.store import Store

FULL_TITLES = 512
FULL_BYTES = 64 << 20
SHARDS_OF_A_TIER = 8

_VECTORS = ("embedding", feature_tables.FUSED)
_TITLES_READ_TOGETHER = 32  # bounds what is in memory at once
_ROWS_READ_TOGETHER = 2048  # DuckDB's own portion: one title's rows are found without the others'

_MANIFEST_SCHEMA = pa.schema(
    [
        ("title_id", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("language", pa.string()),
        ("synopsis", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("duration_s", pa.float64()),
        ("data_version", pa.string()),
        ("title_version", pa.string()),
    ]
)


class TitleVersions(NamedTuple):
    """Versions that decide if a title's rows are current."""

    data_version: str
    title_version: str


class Published(NamedTuple):
    """The shard that a title's rows are in, and the versions they were made from."""

    shard: str
    versions: TitleVersions


def write_shards(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    model: str,
    dimension: int,
    versions: Mapping[str, TitleVersions],
    fused: int = 0,
) -> list[Shard]:
    """Write the rows of titles, from their artefacts, into as many shards as they fill.

    Args:
        connection: one that may write.
        store: the catalogue's.
        model: model version.
        dimension: width of the contextual vectors.
        versions: of the titles' rows.
        fused: width of the fused vectors that clips of all these titles have; 0 without.

    Raises:
        StoreError: an artefact is missing or does not match the others.
    """
    title_ids = sorted(versions)
    written = []
    while title_ids:
        with ShardWriter(store, model, fused) as writer:
            while title_ids and writer.titles < FULL_TITLES and writer.bytes < FULL_BYTES:
                chunk = title_ids[:_TITLES_READ_TOGETHER]
                chunk = chunk[: FULL_TITLES - writer.titles]
                title_ids = title_ids[len(chunk) :]
                found = _from_artefacts(connection, store, model, dimension, fused, chunk, versions)
                for file, table in found.items():
                    writer.write(file, table)
                writer.titles += len(chunk)
            written.append(writer.finish())
    return written


def merge_shards(
    connection: duckdb.DuckDBPyConnection, store: Store, model: str, shards: Sequence[Shard]
) -> Shard:
    """Write one shard with the live rows of others, in the order of titles.

    All of them have fused vectors, or none.

    Raises:
        StoreError: one of them is damaged.
    """
    keys = [shard_key(model, file, shard.name) for file in feature_tables.FILES for shard in shards]
    require_sound(store, keys)
    with ShardWriter(store, model, shards[0].fused) as writer:
        for file, order in feature_tables.FILES.items():
            query = f"{rows(store.files, model, file, shards, local=True)} ORDER BY {order}"
            reader = connection.sql(query).to_arrow_reader(8 * _ROWS_READ_TOGETHER)
            writer.write(file, reader.schema.empty_table())
            for batch in reader:
                writer.write(file, pa.Table.from_batches([batch]))
        writer.titles = sum(shard.live for shard in shards)
        return writer.finish()


def mergeable(shards: Iterable[Shard]) -> Iterator[list[Shard]]:
    """Yield groups of shards of the same tier that are to be merged into one each.

    Shards with and without fused vectors are not merged: their files have other columns.
    """
    by_tier: dict[tuple[int, int], list[Shard]] = {}
    for shard in shards:
        if not is_full(shard):
            tier = int(math.log(max(shard.live, 1), SHARDS_OF_A_TIER) + 1e-9)
            by_tier.setdefault((tier, shard.fused), []).append(shard)
    for _, group in sorted(by_tier.items()):
        if len(group) >= SHARDS_OF_A_TIER:
            yield from portions(group)


def portions(shards: Sequence[Shard]) -> Iterator[list[Shard]]:
    """Yield runs of shards that make full ones, and the rest if merging it gains anything."""
    portion: list[Shard] = []
    for shard in shards:
        portion.append(shard)
        if (
            sum(each.live for each in portion) >= FULL_TITLES
            or sum(each.bytes for each in portion) >= FULL_BYTES
        ):
            yield portion
            portion = []
    if len(portion) > 1 or any(shard.superseded for shard in portion):
        yield portion


def is_full(shard: Shard) -> bool:
    """Return True if a shard has reached the full size."""
    size = shard.bytes * shard.live / shard.titles
    return shard.live >= FULL_TITLES or size >= FULL_BYTES


class ShardWriter:
    """Writer of a new shard's files, which are moved into place when it is finished."""

    def __init__(self, store: Store, model: str, fused: int = 0) -> None:
        self.titles = 0
        self._fused = fused
        self._store = store
        self._model = model
        self._stack = ExitStack()
        self._writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> "ShardWriter":
        self._folder = self._stack.enter_context(self._store.staging())
        return self

    def __exit__(self, *_error: object) -> None:
        for writer in self._writers.values():
            writer.close()
        self._stack.close()

    @property
    def bytes(self) -> int:
        """Size of what was written so far."""
        return sum(self._path(file).stat().st_size for file in self._writers)

    def write(self, file: str, table: pa.Table) -> None:
        """Append rows to one of the files."""
        writer = self._writers.get(file)
        if writer is None:
            # Vectors hardly compress; a dictionary of them would only add bytes.
            writer = self._writers[file] = parquet_writer(
                self._path(file),
                table.schema,
                compression="snappy",
                use_dictionary=[name for name in table.column_names if name not in _VECTORS],
            )
        writer.write_table(table, row_group_size=_ROWS_READ_TOGETHER)

    def finish(self) -> Shard:
        """Move the files into place, where no snapshot refers to them yet."""
        for file, writer in self._writers.items():
            writer.close()
            seal_parquet(self._path(file))
        name = uuid.uuid4().hex[:16]
        shard = Shard(name, self.titles, self.bytes, fused=self._fused)
        keys = [shard_key(self._model, file, shard.name) for file in feature_tables.FILES]
        for file, key in zip(feature_tables.FILES, keys, strict=True):
            self._store.commit(self._path(file), key)
        remember(self._store.files.paths(keys, immutable=True))
        self._writers.clear()
        return shard

    def _path(self, file: str) -> Path:
        return self._folder / f"{file}.parquet"


def titles_in(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    snapshot: Snapshot,
    title_ids: Iterable[str] | None = None,
) -> dict[str, Published]:
    """Return the titles of a snapshot, with shard and versions.

    Args:
        connection: any that may read files.
        store: where the shards are.
        snapshot: of one model.
        title_ids: look for these only; None takes all.

    Raises:
        StoreError: a shard is damaged.
    """
    keys = [shard_key(snapshot.model, "titles", shard.name) for shard in snapshot.shards]
    paths = map(str, require_sound(store, keys))
    shards = dict(zip(paths, snapshot.shards, strict=True))
    if not shards:
        return {}
    query = (
        "SELECT title_id, data_version, title_version, filename "
        "FROM read_parquet($files, hive_partitioning=false, filename=true)"
    )
    values: dict[str, object] = {"files": [pattern(Path(path)) for path in shards]}
    if title_ids is not None:
        query += " WHERE title_id IN (SELECT unnest($title_ids))"
        values["title_ids"] = sorted(title_ids)
    return {
        title_id: Published(shards[path].name, TitleVersions(data, title))
        for title_id, data, title, path in connection.execute(query, values).fetchall()
        if title_id not in shards[path].superseded
    }


def _from_artefacts(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    model: str,
    dimension: int,
    fused: int,
    title_ids: Sequence[str],
    versions: Mapping[str, TitleVersions],
) -> dict[str, pa.Table]:
    """Return the rows of a few titles by file."""
    # Read by Arrow, which compares checksums, as DuckDB does not.
    sources = {name: _read(store, model, name, title_ids) for name in feature_tables.ARTEFACTS}
    sources["manifests"] = _manifests(store, title_ids, versions)
    for name, table in sources.items():
        connection.register(name, table)
    queries = {
        "shots": feature_tables.SELECT_SHOTS,
        "clips": feature_tables.SELECT_CLIPS,
        "titles": feature_tables.SELECT_TITLES,
    }
    values = {"dimension": dimension, "fused": feature_tables.fused_column(fused)}
    found = {
        file: connection.sql(query.format(**values)).to_arrow_table()
        for file, query in queries.items()
    }
    for name in sources:
        connection.unregister(name)
    _check(found, model, title_ids)
    return found


def _check(found: Mapping[str, pa.Table], model: str, title_ids: Sequence[str]) -> None:
    """Refuse missing titles and shots: a join drops rows without a partner."""
    counts = found["shots"].group_by("title_id").aggregate([([], "count_all")])
    arrived = dict(zip(*(counts[name].to_pylist() for name in counts.column_names), strict=True))
    titles = found["titles"]
    wanted = dict(zip(titles["title_id"].to_pylist(), titles["shots"].to_pylist(), strict=True))
    for title_id in title_ids:
        if title_id not in wanted:
            raise StoreError(f"{title_id} has no vector of {model} for the title: run it again.")
        if wanted[title_id] != arrived.get(title_id, 0):
            raise StoreError(
                f"{title_id} has {wanted[title_id]} shots, of which {arrived.get(title_id, 0)} "
                "have timed text, scenes, fused and contextual embeddings of "
                f"{model}: run it again."
            )


def _read(store: Store, model: str, asset: str, title_ids: Sequence[str]) -> pa.Table:
    """Read an asset of a few titles, one after the other."""
    source = feature_tables.ARTEFACTS[asset]
    variant = model if source.per_model else ""
    # Remote files are downloaded in parallel.
    store.files.paths([store.key(asset, title_id, variant) for title_id in title_ids])
    found = [store.read(asset, title_id, variant, source.columns) for title_id in title_ids]
    return pa.concat_tables(
        [table.replace_schema_metadata() for table in found], promote_options="default"
    )


def _manifests(
    store: Store, title_ids: Sequence[str], versions: Mapping[str, TitleVersions]
) -> pa.Table:
    found = []
    for title_id in title_ids:
        record = store.json_record("title", title_id)
        if record is None:
            raise StoreError(f"{title_id} was removed while it was published: try again.")
        manifest, probe = record[1]["manifest"], record[1]["probe"]
        row = {name: manifest.get(name) for name in ("name", "kind", "language", "synopsis")}
        row |= {"tags": manifest.get("tags") or [], "duration_s": probe["duration_s"]}
        found.append({"title_id": title_id, **row, **versions[title_id]._asdict()})
    return pa.Table.from_pylist(found, schema=_MANIFEST_SCHEMA)
