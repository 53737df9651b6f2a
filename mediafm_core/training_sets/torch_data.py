"""PyTorch datasets over training sets: by row number, and as a stream of batches."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from mediafm_core.errors import MediaFMError
from mediafm_core.training_sets.footer import opened_set
from mediafm_core.vectors import to_numpy

if TYPE_CHECKING:
    from mediafm_core.training_sets.content import Content, VectorColumns

_ROW_GROUPS_MIXED = 16  # shuffled together, because a single row group has few titles

Batch = torch.Tensor | tuple[torch.Tensor, torch.Tensor]


class Targets(NamedTuple):
    """Training targets for every row of the files.

    Attributes:
        values: `[n]`, or `[n, labels]` for several labels: float32 for numbers and booleans, int64
            for whole numbers and classes.
        known: `[n]` bool, True for rows with a label.
        classes: Text of each class, by number from 0; empty for labels that are no text.
    """

    values: np.ndarray
    known: np.ndarray
    classes: tuple[str, ...] = ()


class ClipDataset(Dataset[Any]):
    """Vectors and targets by row number, read from a memory-mapped file.

    It can be pickled: each worker maps the file, and none holds it in memory. A row is the vector,
    float32 `[width]`, or the pair of vector and target; a slice of rows is a batch, `[k, width]`.

    Attributes:
        width: Width of the vectors.
        ranges: Columns `[start, stop)` of each column of vectors, if several stand side by side.
        classes: Classes of a text label, by the number of the target; equal for all splits of a
            set.
    """

    def __init__(
        self,
        content: "Content",
        rows: np.ndarray,
        label: str | Sequence[str] | None,
        column: "VectorColumns",
    ) -> None:
        targets = targets_of(content, label)
        self._content: Content | None = content  # kept, because it removes the files with itself
        self.ranges = content.vector_ranges(column)
        self._files = [content.vectors_file(name) for name in self.ranges]
        self._vectors: list[np.ndarray] | None = None
        self._rows = rows if targets is None else rows[targets.known[rows]]
        self._targets = None if targets is None else targets.values[self._rows]
        self.classes = () if targets is None else targets.classes
        self.width = max(stop for _, stop in self.ranges.values())

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int | slice) -> Batch:
        return self._batch(row)

    def __getitems__(self, rows: Sequence[int]) -> list[Any]:
        """Gather the rows of a batch at once; called by `DataLoader`."""
        batch = self._batch(np.asarray(rows))
        if isinstance(batch, torch.Tensor):
            return list(batch.unbind())
        return list(zip(*(part.unbind() for part in batch), strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_content": None, "_vectors": None}

    def _batch(self, rows: int | slice | np.ndarray) -> Batch:
        if self._vectors is None:
            self._vectors = [np.load(file, mmap_mode="r") for file in self._files]
        chosen = self._rows[rows]
        parts = [np.array(each[chosen], dtype=np.float32) for each in self._vectors]
        vectors = torch.from_numpy(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1))
        if self._targets is None:
            return vectors
        return vectors, torch.as_tensor(np.array(self._targets[rows]))


class ClipStream(IterableDataset[Batch]):
    """Batches streamed from Parquet, in a random order that differs between epochs.

    Row groups are drawn in random order, and the rows of several groups are shuffled together. Only
    those are in memory. Workers and ranks get disjoint row groups, which together contain each row
    once. Their numbers of batches may differ by a few.

    Attributes:
        width: Width of the vectors.
        ranges: Columns as in `ClipDataset`.
        classes: Classes as in `ClipDataset`.
        epoch: Number of the epoch, part of the seed; call `set_epoch` before each epoch.
    """

    def __init__(
        self,
        content: "Content",
        rows: np.ndarray,
        label: str | Sequence[str] | None,
        column: "VectorColumns",
        batch_size: int,
        seed: int | None,
    ) -> None:
        if batch_size < 1:
            raise MediaFMError(f"The batch size is {batch_size}: take one row at least.")
        self.ranges = content.vector_ranges(column)
        targets = targets_of(content, label)
        wanted = np.zeros(content.table.num_rows, dtype=bool)
        wanted[rows] = True
        self._wanted = wanted if targets is None else wanted & targets.known
        self._targets = None if targets is None else targets.values
        self._groups = [group for group in _groups(content.files) if self._wanted[group.rows].any()]
        self._batch_size, self._seed = batch_size, seed
        self._rank, self._ranks = _rank()
        self.epoch = 0
        self.classes = () if targets is None else targets.classes
        self.width = max(stop for _, stop in self.ranges.values())

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the next epoch, which decides its order."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of this worker of this rank; all but the last are full."""
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        share = slice(self._rank * workers + number, None, self._ranks * workers)
        draw = None
        order = np.arange(len(self._groups))
        if self._seed is not None:
            order = np.random.default_rng([self._seed, self.epoch]).permutation(order)
            draw = np.random.default_rng([self._seed, self.epoch, share.start])
        mine = [self._groups[index] for index in order[share]]
        vectors = np.empty((0, self.width), np.float32)
        rows = np.empty(0, np.int64)
        for start in range(0, len(mine), _ROW_GROUPS_MIXED):
            parts = [self._read(group) for group in mine[start : start + _ROW_GROUPS_MIXED]]
            vectors = np.concatenate([vectors, *(part[0] for part in parts)])
            rows = np.concatenate([rows, *(part[1] for part in parts)])
            if draw is not None:
                mixed = draw.permutation(len(rows))
                vectors, rows = vectors[mixed], rows[mixed]
            full = len(rows) - len(rows) % self._batch_size
            for first in range(0, full, self._batch_size):
                batch = slice(first, first + self._batch_size)
                yield self._batch(vectors[batch], rows[batch])
            vectors, rows = vectors[full:], rows[full:]
        if len(rows):
            yield self._batch(vectors, rows)

    def _read(self, group: "_RowGroup") -> tuple[np.ndarray, np.ndarray]:
        """Read the selected vectors of a row group, with their row numbers."""
        with opened_set(group.file) as opened:
            read = opened.read_row_group(group.number, columns=list(self.ranges))
        wanted = self._wanted[group.rows]
        vectors = np.empty((int(wanted.sum()), self.width), np.float32)
        for name, (start, stop) in self.ranges.items():
            vectors[:, start:stop] = to_numpy(read[name])[wanted]
        return vectors, group.rows.start + np.flatnonzero(wanted)

    def _batch(self, vectors: np.ndarray, rows: np.ndarray) -> Batch:
        read = torch.from_numpy(np.ascontiguousarray(vectors))
        return read if self._targets is None else (read, torch.from_numpy(self._targets[rows]))


class _RowGroup(NamedTuple):
    file: Path
    number: int
    rows: slice


def targets_of(content: "Content", label: str | Sequence[str] | None) -> Targets | None:
    """Make the targets of all rows from one label, or vectors of targets from several.

    Raises:
        MediaFMError: A label does not exist, its type cannot be a target, or it is text among
            several labels.
    """
    if label is None:
        return None
    names = [label] if isinstance(label, str) else list(label)
    if not names:
        raise MediaFMError("No label is named: name one, or pass None for vectors alone.")
    for name in names:
        content.require(name)
    targets = [_targets(content.table[name], name) for name in names]
    if isinstance(label, str):
        return targets[0]
    texts = [name for name, each in zip(names, targets, strict=True) if each.classes]
    if texts:
        raise MediaFMError(
            f"Label {texts[0]!r} is text, which makes no vector with others: use it alone."
        )
    values = np.stack([each.values.astype(np.float32) for each in targets], axis=1)  # [n, labels]
    return Targets(values, np.logical_and.reduce([each.known for each in targets]))


def _targets(column: pa.ChunkedArray, name: str) -> Targets:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    known = pc.invert(pc.is_null(column, nan_is_null=True)).to_numpy()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        classes = sorted(column.unique().drop_null().to_pylist())
        codes = pc.index_in(column, pa.array(classes, kind)).fill_null(-1)
        return Targets(codes.to_numpy().astype(np.int64), known, tuple(classes))
    if pa.types.is_integer(kind):
        return Targets(column.fill_null(0).to_numpy().astype(np.int64), known)
    if pa.types.is_boolean(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Targets(column.cast(pa.float32()).fill_null(0).to_numpy(), known)
    raise MediaFMError(
        f"Label {name!r} is {kind}: targets are numbers, booleans or text, so convert it to one."
    )


def _groups(files: Sequence[Path]) -> list[_RowGroup]:
    """List the row groups of files, with the numbers of their rows."""
    groups, start = [], 0
    for file in files:
        with opened_set(file) as opened:
            metadata = opened.metadata
        for number in range(metadata.num_row_groups):
            stop = start + metadata.row_group(number).num_rows
            groups.append(_RowGroup(file, number, slice(start, stop)))
            start = stop
    return groups


def _rank() -> tuple[int, int]:
    """Return rank and world size of this process in distributed training; (0, 1) without it."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
