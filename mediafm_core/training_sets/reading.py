"""Reading training sets: Arrow, pandas, numpy and torch over one copy of the vectors.

Parquet is packed, so that vectors are unpacked once, when they are first asked for, into a file of
the machine's temporary folder that is mapped into memory: what is not looked at takes none.
"""

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mediafm_core.config import load_settings
from mediafm_core.errors import IdentityMismatchError, MediaFMError
from mediafm_core.storage.location import S3Location, parse_location
from mediafm_core.storage.open import open_files
from mediafm_core.training_sets.record import EMBEDDING, SPLIT, VECTORS, SetRecord, read_schema
from mediafm_core.vectors import to_arrow, to_numpy

if TYPE_CHECKING:
    import pandas as pd

    from mediafm_core.training_sets.torch_data import ClipDataset, ClipStream


class TrainingSet:
    """Rows of one or several exported sets, which are of one model version.

    A split of a set is a `TrainingSet` too, over the same files and vectors.
    """

    def __init__(self, content: "_Content", rows: np.ndarray) -> None:
        self._content = content
        self._rows = rows

    @classmethod
    def open(cls, *places: Path | S3Location | str) -> "TrainingSet":
        """Open sets by what they were exported to; no vector is read yet.

        Args:
            *places: files, folders or `s3://` addresses. The rows of several sets follow each
                other, and a label that one of them lacks is null there.

        Raises:
            MediaFMError: there is no such set, it is incomplete, or several do not fit together.
            IdentityMismatchError: they are of different models.
        """
        if not places:
            raise MediaFMError("No training set is named: give the place of one.")
        content = _Content([_Source.of(place) for place in places])
        return cls(content, np.arange(content.table.num_rows))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def records(self) -> list[SetRecord]:
        """What each set says of itself."""
        return [source.record for source in self._content.sources]

    @property
    def model(self) -> str:
        """Model version of the vectors."""
        return self.records[0].model

    @property
    def dimension(self) -> int:
        """Width of `embedding`."""
        return self.records[0].dimension

    @property
    def column_names(self) -> list[str]:
        """Keys, labels and vectors."""
        return list(self._content.schema.names)

    @property
    def split_names(self) -> list[str]:
        """The splits, in the order of their rows; empty where the titles were not split."""
        if SPLIT not in self._content.table.column_names:
            return []
        return [str(name) for name in self._content.table[SPLIT].unique().drop_null()]

    def split(self, name: str) -> "TrainingSet":
        """The rows of a split.

        Raises:
            MediaFMError: there is none of this name.
        """
        if name not in self.split_names:
            known = ", ".join(self.split_names)
            raise MediaFMError(
                f"There is no split {name!r}: there are {known}."
                if known
                else f"There is no split {name!r}: export the set with splits."
            )
        of_split = pc.equal(self._content.table[SPLIT], name).fill_null(False).to_numpy()
        return TrainingSet(self._content, self._rows[of_split[self._rows]])

    def matrix(self, column: str = EMBEDDING) -> np.ndarray:
        """The vectors, row by row.

        Returns:
            Read-only `[n, width]` of the set's element type: a view of the mapped file, except
            that rows which do not follow each other are copied.

        Raises:
            MediaFMError: there is no such column of vectors.
        """
        return self._content.vectors(column)[_as_slice(self._rows)]

    def labels(self, name: str) -> np.ndarray:
        """A label, row by row, `[n]`; null is NaN among numbers and None among other values."""
        return self.to_arrow([name])[name].to_numpy()

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """A table of the set, over the mapped vectors.

        Args:
            columns: names; None takes all.

        Raises:
            MediaFMError: there is no such column.
        """
        names = self.column_names if columns is None else list(columns)
        table = self._content.table
        of_rows = _as_slice(self._rows)
        if isinstance(of_rows, slice):
            table = table.slice(of_rows.start, len(self._rows))
        else:
            table = table.take(pa.array(self._rows))
        found: list[pa.ChunkedArray | pa.Array] = []
        for name in names:
            self._content.require(name)
            found.append(to_arrow(self.matrix(name)) if name in VECTORS else table[name])
        return pa.table(found, schema=pa.schema([self._content.schema.field(n) for n in names]))

    def to_pandas(self, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """A data frame over the Arrow columns, so that vectors are not copied; see `to_arrow`."""
        import pandas as pd

        return self.to_arrow(columns).to_pandas(types_mapper=pd.ArrowDtype)

    def torch(
        self, label: str | Sequence[str] | None = None, *, column: str = EMBEDDING
    ) -> "ClipDataset":
        """A dataset for `torch.utils.data.DataLoader`: rows by number, in any order.

        Args:
            label: name of the label, or of several that make a vector of targets; None gives
                vectors alone. Rows without it are left out.
            column: of vectors.

        Raises:
            MediaFMError: there is no such column, or it cannot be a target.
        """
        from mediafm_core.training_sets.torch_data import ClipDataset

        return ClipDataset(self._content, self._rows, label, column)

    def torch_stream(
        self,
        label: str | Sequence[str] | None = None,
        *,
        batch_size: int = 256,
        seed: int | None = 0,
        column: str = EMBEDDING,
    ) -> "ClipStream":
        """Batches straight from Parquet, for sets that are larger than the disk is free.

        Give it to a `DataLoader` with `batch_size=None`.

        Args:
            label: as of `torch`.
            batch_size: rows of a batch.
            seed: of the order, which differs from epoch to epoch; None keeps the set's order.
            column: of vectors.

        Raises:
            MediaFMError: as of `torch`.
        """
        from mediafm_core.training_sets.torch_data import ClipStream

        return ClipStream(self._content, self._rows, label, column, batch_size, seed)


@dataclass(frozen=True)
class _Source:
    """One exported set.

    Attributes:
        place: for people.
        files: in the order of their rows, on this machine.
    """

    place: str
    files: tuple[Path, ...]
    schema: pa.Schema
    record: SetRecord

    @classmethod
    def of(cls, place: Path | S3Location | str) -> "_Source":
        """Find the files of a set and see that all are there.

        Raises:
            MediaFMError: there is no such set, or it is incomplete.
        """
        files = _files(place)
        schemas = [read_schema(file) for file in files]
        record = SetRecord.of(schemas[0], files[0])
        rows = 0
        for file, schema in zip(files, schemas, strict=True):
            if SetRecord.of(schema, file).set_id != record.set_id:
                raise MediaFMError(f"{file} is of another set than {files[0]}: keep them apart.")
            rows += pq.read_metadata(file).num_rows
        if rows != record.rows:
            raise MediaFMError(
                f"{place} has {rows} of {record.rows} rows: a file is missing, so export it again."
            )
        return cls(str(place), files, schemas[0].remove_metadata(), record)


class _Content:
    """The rows of some sets: keys and labels in memory, vectors in a mapped file."""

    def __init__(self, sources: Sequence[_Source]) -> None:
        self.sources = list(sources)
        for source in self.sources[1:]:
            _require_same(self.sources[0], source)
        try:
            self.schema = pa.unify_schemas([source.schema for source in self.sources])
        except pa.ArrowException as error:
            reason = " ".join(str(error).split())
            places = ", ".join(source.place for source in self.sources)
            raise MediaFMError(
                f"{places} have columns of one name and different types ({reason}): export them "
                "with labels of one type."
            ) from None
        for name in VECTORS:
            if name in self.schema.names and any(
                name not in source.schema.names for source in self.sources
            ):
                raise MediaFMError(f"Only some of the sets have {name!r}: export all alike.")
        _require_whole_titles(self.table)

    @property
    def files(self) -> list[Path]:
        """Of all sets, in the order of their rows."""
        return [file for source in self.sources for file in source.files]

    @cached_property
    def table(self) -> pa.Table:
        """Keys and labels."""
        parts = []
        for source in self.sources:
            names = [name for name in source.schema.names if name not in VECTORS]
            for file in source.files:
                with pq.ParquetFile(file) as opened:
                    parts.append(opened.read(columns=names).replace_schema_metadata(None))
        return pa.concat_tables(parts, promote_options="default").combine_chunks()

    def require(self, name: str) -> None:
        """There is a column.

        Raises:
            MediaFMError: there is none of this name.
        """
        if name not in self.schema.names:
            raise MediaFMError(
                f"The training set has no column {name!r}: it has {', '.join(self.schema.names)}."
            )

    def vectors(self, name: str) -> np.ndarray:
        """A column of vectors as a mapped matrix.

        Raises:
            MediaFMError: there is no such column of vectors.
        """
        return np.load(self.vectors_file(name), mmap_mode="r")

    def vectors_file(self, name: str) -> Path:
        """A column of vectors as an `.npy` file, which is there as long as this object is.

        Raises:
            MediaFMError: there is no such column of vectors.
        """
        self.require(name)
        if name not in VECTORS:
            raise MediaFMError(f"{name!r} is a label, not a column of vectors: see `labels`.")
        path = self._folder / f"{name}.npy"
        if not path.exists():
            unpacked = path.with_suffix(".part")
            try:
                self._unpack(name, unpacked)
            except OSError as error:
                raise MediaFMError(
                    f"The vectors of {self.sources[0].place} cannot be unpacked in {path.parent} "
                    f"({error}): see that it has space, or set TMPDIR."
                ) from error
            unpacked.rename(path)
        return path

    def _unpack(self, name: str, path: Path) -> None:
        """Write a column of vectors as an `.npy` file, some rows at a time."""
        kind = self.schema.field(name).type
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(kind.value_type.to_pandas_dtype())),
            "fortran_order": False,
            "shape": (self.table.num_rows, kind.list_size),
        }
        with path.open("wb") as unpacked:
            np.lib.format.write_array_header_1_0(unpacked, header)
            for file in self.files:
                with pq.ParquetFile(file) as opened:
                    for group in range(opened.num_row_groups):
                        vectors = to_numpy(opened.read_row_group(group, columns=[name])[name])
                        unpacked.write(vectors.data)

    @cached_property
    def _folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="mediafm-training-set-"))
        weakref.finalize(self, _remove, folder, os.getpid())
        return folder


def _remove(folder: Path, process: int) -> None:
    """Remove a folder, but not from a forked process, whose copy of the set ends with it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _files(place: Path | S3Location | str) -> tuple[Path, ...]:
    try:
        parsed = parse_location(place)
    except ValueError as error:
        raise MediaFMError(f"No training set is there: {error}.") from None
    if isinstance(parsed, S3Location):
        prefix, _, name = parsed.prefix.rpartition("/")
        files = open_files(S3Location(parsed.bucket, prefix), load_settings().s3)
        path = files.path(name)
        if not path.exists():
            raise MediaFMError(f"There is no {place}: make it with `mediafm export`.")
        return (path,)
    if not parsed.is_dir():
        return (parsed,)
    found = tuple(sorted(parsed.glob("*.parquet")))
    if not found:
        raise MediaFMError(f"{place} is a folder without Parquet files: it is no training set.")
    return found


def _require_same(first: _Source, other: _Source) -> None:
    """Vectors of two sets may be compared.

    Raises:
        IdentityMismatchError: they are of different models or encoders.
        MediaFMError: they are of different element types.
    """
    one, two = first.record, other.record
    if one.model != two.model:
        raise IdentityMismatchError(
            f"{first.place} is of {one.model} and {other.place} of {two.model}, whose vectors "
            "cannot be compared: export both under one model."
        )
    if one.encoders and two.encoders and (one.encoders, one.ranges) != (two.encoders, two.ranges):
        raise IdentityMismatchError(
            f"{first.place} and {other.place} are of different encoders: export both again."
        )
    if one.element != two.element:
        raise MediaFMError(
            f"{first.place} is of {one.element} and {other.place} of {two.element}: export both "
            "alike."
        )


def _require_whole_titles(table: pa.Table) -> None:
    """No title is in two splits.

    Raises:
        MediaFMError: one is, so that what is learnt on one split is known to the other.
    """
    if SPLIT not in table.column_names:
        return
    pairs = table.select(["title_id", SPLIT]).group_by(["title_id", SPLIT]).aggregate([])
    counts = pairs.group_by("title_id").aggregate([([], "count_all")])
    torn = counts.filter(pc.greater(counts["count_all"], 1)).sort_by("title_id")
    if torn.num_rows:
        raise MediaFMError(
            f"{torn.num_rows} titles are in more than one split ({torn['title_id'][0]} is one), "
            "which would leak: split all titles by one export and one seed."
        )


def _as_slice(rows: np.ndarray) -> slice | np.ndarray:
    """Ascending row numbers as a slice where they follow each other, so that nothing is copied."""
    if not len(rows):
        return slice(0, 0)
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows
