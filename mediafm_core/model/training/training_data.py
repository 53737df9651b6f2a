"""Fused vectors of a catalogue as training data, read when they are needed.

A catalogue of ten million shots is 90 GB of fused vectors. Only the number of shots of each title
is in memory; rows are read by row group, and a cache bounded in bytes keeps the groups used last.
If the caller passes the number of shots, no file is opened before one of its shots is read.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.disk.sealed_parquet import decoding, open_parquet
from mediafm_core.errors import ConfigurationError, IdentityMismatchError, TitleError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.inputs import check_fused, check_global
from mediafm_core.vectors import to_numpy

VECTOR_COLUMN = "embedding"

_OPENING_THREADS = 8  # file systems answer several at once


@dataclass(frozen=True)
class TitleSource:
    """One title's input to training.

    Attributes:
        title_id: the title.
        path: Parquet file with a column `embedding` of fused vectors, one row per shot in order.
        data_version: of that file, recorded in the trained model.
        global_vector: `[g]` float32 metadata embedding, None where the title has no metadata.
        layout: number of shots and width of the vectors where known, so that opening the catalogue
            need not open the file; checked when it is read.
    """

    title_id: str
    path: Path
    data_version: str = ""
    global_vector: np.ndarray | None = field(default=None, compare=False)
    layout: tuple[int, int] | None = None


class TrainingData:
    """The fused vectors of many titles, streamed. Threads may read at the same time.

    Args:
        titles: what to train on; titles without shots are refused.
        global_size: width of the metadata embeddings.
        space: encoders and columns of the fused vectors, where they are recorded.
        cache_bytes: bound of the row groups in the cache, which always keeps one.

    Attributes:
        dimension: width of the fused vectors.
        shots: `[titles]` int64, shots per title.
        globals: `[titles, g]` float32 metadata embeddings.
        cached_bytes: size of the cache now.

    Raises:
        ConfigurationError: no titles.
        TitleError: a file is damaged or has no vectors; names the title.
        IdentityMismatchError: titles of different fused width.
    """

    def __init__(
        self,
        titles: Sequence[TitleSource],
        global_size: int,
        space: FusedSpace | None = None,
        cache_bytes: int = 256 << 20,
    ) -> None:
        if not titles:
            raise ConfigurationError("No titles to train on: ingest titles before training.")
        self.titles = sorted(titles, key=lambda title: title.title_id)
        self.global_size = global_size
        self.space = space or FusedSpace()
        self.globals = np.stack([self._global_of(title) for title in self.titles])  # [titles, g]
        with ThreadPoolExecutor(_OPENING_THREADS) as pool:
            known = list(pool.map(_known_layout, self.titles))
        self.dimension = known[0][1]
        for title, (_, dimension) in zip(self.titles, known, strict=True):
            self._check_width(title, dimension)
        self.shots = np.array([shots for shots, _ in known], dtype=np.int64)  # [titles]
        # By title, once it was read: row at which each row group starts, and the end of the last.
        self._group_starts: dict[int, np.ndarray] = {}
        self._cache: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._cache_bytes = cache_bytes
        self._lock = Lock()  # of the cache
        self.cached_bytes = 0

    def __len__(self) -> int:
        return len(self.titles)

    def read(self, title: int, start: int, stop: int) -> np.ndarray:
        """Read fused vectors of the shots `[start, stop)` of a title, float32 `[stop - start, d]`.

        They may be part of the cache: do not write to them.

        Raises:
            TitleError: a vector is not finite or zero, or the file contradicts its layout.
            IdentityMismatchError: the file has vectors of another width.
        """
        starts = self._starts(title)
        first = int(np.searchsorted(starts, start, side="right")) - 1
        last = int(np.searchsorted(starts, stop, side="left"))
        rows = [
            self._group(title, group)[max(0, start - starts[group]) : stop - starts[group]]
            for group in range(first, last)
        ]
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def _starts(self, title: int) -> np.ndarray:
        if title not in self._group_starts:
            source = self.titles[title]
            layout = _layout(source)
            self._check_width(source, layout.dimension)
            if layout.group_starts[-1] != self.shots[title]:
                raise TitleError(
                    f"{source.title_id} has {layout.group_starts[-1]} vectors in {source.path} and "
                    f"{self.shots[title]} by its record: fuse it again."
                )
            self._group_starts[title] = layout.group_starts
        return self._group_starts[title]

    def _group(self, title: int, group: int) -> np.ndarray:
        key = (title, group)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        source = self.titles[title]
        with _opened(source) as file:
            table = file.read_row_group(group, columns=[VECTOR_COLUMN])
        vectors = to_numpy(table[VECTOR_COLUMN])
        vectors = check_fused(vectors, self.dimension, source.title_id, source.path)
        with self._lock:
            if key not in self._cache:  # another thread may have read it meanwhile
                self._cache[key] = vectors
                self.cached_bytes += vectors.nbytes
            while self.cached_bytes > self._cache_bytes and len(self._cache) > 1:
                self.cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return vectors

    def _check_width(self, title: TitleSource, dimension: int) -> None:
        if dimension != self.dimension:
            raise IdentityMismatchError(
                f"{title.title_id} has fused vectors of {dimension} numbers and "
                f"{self.titles[0].title_id} of {self.dimension}: fuse both with the same "
                "encoders before training."
            )

    def _global_of(self, title: TitleSource) -> np.ndarray:
        return check_global(title.global_vector, self.global_size, title.title_id)


@dataclass(frozen=True)
class _Layout:
    dimension: int
    group_starts: np.ndarray  # [groups + 1] int64


@contextmanager
def _opened(title: TitleSource) -> Iterator[pq.ParquetFile]:
    """Open a title's file; reads in the block are compared with its checksums."""

    def damaged(reason: str) -> TitleError:
        return TitleError(
            f"{title.title_id} has a damaged file {title.path} ({reason}): fuse it again with "
            "`mediafm verify --repair`."
        )

    with decoding(damaged):
        try:
            file = open_parquet(title.path, memory_map=True)
        except FileNotFoundError:
            raise TitleError(f"{title.title_id} has no file {title.path}: fuse it first.") from None
        with file:
            yield file


def _known_layout(title: TitleSource) -> tuple[int, int]:
    """Return shots and width of a title, from its file if they are not recorded."""
    if title.layout is not None:
        return title.layout
    layout = _layout(title)
    return int(layout.group_starts[-1]), layout.dimension


def _layout(title: TitleSource) -> _Layout:
    with _opened(title) as file:
        schema = file.schema_arrow
        rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    kind = schema.field(VECTOR_COLUMN).type if VECTOR_COLUMN in schema.names else None
    if kind is None or not pa.types.is_fixed_size_list(kind) or not sum(rows):
        raise TitleError(
            f"{title.title_id} has no vectors in column {VECTOR_COLUMN!r} of {title.path}: "
            "fuse it again."
        )
    return _Layout(kind.list_size, np.concatenate([[0], np.cumsum(rows, dtype=np.int64)]))
