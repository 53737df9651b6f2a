"""Content of training sets: files of exported sets, their labels, and their mapped vectors.

Vectors in Parquet are compressed. The first access unpacks them to a file in the machine's
temporary folder, which is mapped into memory, so that only pages that are read take memory.
"""

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.config.location import S3Location, parse_location
from mediafm_core.config.settings import load_settings
from mediafm_core.disk.atomic import atomic_file
from mediafm_core.errors import IdentityMismatchError, MediaFMError
from mediafm_core.storage.open_files import open_files
from mediafm_core.training_sets.footer import SPLIT, VECTORS, SetRecord, opened_set, read_schema
from mediafm_core.vectors import to_numpy

VectorColumns = str | Sequence[str] | None
"""Choice of columns of vectors, see `Content.vector_ranges`."""


@dataclass(frozen=True)
class SetFiles:
    """Files of one exported set.

    Attributes:
        place: Path or address of the set, for error messages.
        files: Paths of the files on this machine, in the order of their rows.
        schema: Schema of the files, without metadata.
        record: Record in the footer of the files.
    """

    place: str
    files: tuple[Path, ...]
    schema: pa.Schema
    record: SetRecord

    @classmethod
    def of(cls, place: Path | S3Location | str) -> "SetFiles":
        """Find the files of a set and check that they are complete.

        Raises:
            MediaFMError: The set does not exist, or is incomplete.
        """
        files = _files(place)
        schemas = [read_schema(file) for file in files]
        record = SetRecord.of(schemas[0], files[0])
        rows = 0
        for file, schema in zip(files, schemas, strict=True):
            if SetRecord.of(schema, file).set_id != record.set_id:
                raise MediaFMError(f"{file} is of another set than {files[0]}: keep them apart.")
            with opened_set(file) as opened:
                rows += opened.metadata.num_rows
        if rows != record.rows:
            raise MediaFMError(
                f"{place} has {rows} of {record.rows} rows: a file is missing, so export it again."
            )
        return cls(str(place), files, schemas[0].remove_metadata(), record)


class Content:
    """Rows of one or several sets: keys and labels in memory, vectors in a mapped file."""

    def __init__(self, sources: Sequence[SetFiles]) -> None:
        self.sources = list(sources)
        for source in self.sources[1:]:
            _require_same(self.sources[0], source)
        try:
            self.schema = pa.unify_schemas([source.schema for source in self.sources])
        except pa.ArrowException as error:
            reason = " ".join(str(error).split())
            places = ", ".join(source.place for source in self.sources)
            raise MediaFMError(
                f"There are columns of one name and different types ({reason}) in {places}: export "
                "with labels of one type."
            ) from None
        for name in VECTORS:
            if name in self.schema.names and any(
                name not in source.schema.names for source in self.sources
            ):
                raise MediaFMError(
                    f"Only some of the sets have {name!r}: export all with it or none."
                )
        _require_whole_titles(self.table)

    @property
    def files(self) -> list[Path]:
        """Files of all sets, in the order of their rows."""
        return [file for source in self.sources for file in source.files]

    @cached_property
    def table(self) -> pa.Table:
        """Keys and labels of all rows."""
        parts = []
        for source in self.sources:
            names = [name for name in source.schema.names if name not in VECTORS]
            for file in source.files:
                with opened_set(file) as opened:
                    parts.append(opened.read(columns=names).replace_schema_metadata(None))
        return pa.concat_tables(parts, promote_options="default").combine_chunks()

    def require(self, name: str) -> None:
        """Check that a column exists.

        Raises:
            MediaFMError: The column does not exist.
        """
        if name not in self.schema.names:
            raise MediaFMError(
                f"The training set has no column {name!r}: it has {', '.join(self.schema.names)}."
            )

    def vector_ranges(self, columns: VectorColumns) -> dict[str, tuple[int, int]]:
        """Return the columns `[start, stop)` of chosen vectors when they stand side by side.

        Args:
            columns: Name of a column of vectors, or of several; None takes `embedding`, or `fused`
                in a set without it.

        Raises:
            MediaFMError: There is no such column of vectors, or none is named.
        """
        if columns is None:
            columns = next(name for name in VECTORS if name in self.schema.names)
        names = [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
        if not names:
            raise MediaFMError("No column of vectors is named: name one.")
        ranges, start = {}, 0
        for name in names:
            self.require(name)
            if name not in VECTORS:
                raise MediaFMError(f"{name!r} is a label, not a column of vectors: see `labels`.")
            stop = start + self.schema.field(name).type.list_size
            ranges[name], start = (start, stop), stop
        return ranges

    def vectors(self, name: str) -> np.ndarray:
        """Map a column of vectors as a matrix.

        Raises:
            MediaFMError: There is no such column of vectors.
        """
        return np.load(self.vectors_file(name), mmap_mode="r")

    def vectors_file(self, name: str) -> Path:
        """Unpack a column of vectors to an `.npy` file, which is removed with this object.

        Raises:
            MediaFMError: There is no such column of vectors, or the disk is full.
        """
        self.vector_ranges(name)
        path = self._folder / f"{name}.npy"
        if not path.exists():
            try:
                with atomic_file(path) as prepared:
                    self._unpack(name, prepared)
            except OSError as error:
                raise MediaFMError(
                    f"The vectors of {self.sources[0].place} cannot be unpacked in {path.parent} "
                    f"({error}): make space, or set TMPDIR."
                ) from error
        return path

    def _unpack(self, name: str, path: Path) -> None:
        """Write a column of vectors to an `.npy` file, a row group at a time."""
        kind = self.schema.field(name).type
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(kind.value_type.to_pandas_dtype())),
            "fortran_order": False,
            "shape": (self.table.num_rows, kind.list_size),
        }
        with path.open("wb") as unpacked:
            np.lib.format.write_array_header_1_0(unpacked, header)
            for file in self.files:
                with opened_set(file) as opened:
                    for group in range(opened.num_row_groups):
                        vectors = to_numpy(opened.read_row_group(group, columns=[name])[name])
                        unpacked.write(vectors.data)

    @cached_property
    def _folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="mediafm-training-set-"))
        weakref.finalize(self, _remove_folder, folder, os.getpid())
        return folder


def _remove_folder(folder: Path, process: int) -> None:
    """Remove a folder, except in a forked process, where only a copy of the set is freed."""
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
    paths = tuple(sorted(parsed.glob("*.parquet")))
    if not paths:
        raise MediaFMError(f"{place} is a folder without Parquet files: it is no training set.")
    return paths


def _require_same(first: SetFiles, other: SetFiles) -> None:
    """Check that the vectors of two sets are comparable.

    Raises:
        IdentityMismatchError: They are of different models or encoders.
        MediaFMError: They have different element types.
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
            "with one element type."
        )


def _require_whole_titles(table: pa.Table) -> None:
    """Check that no title is in two splits.

    Raises:
        MediaFMError: A title is in two splits, so that one split leaks into the other.
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
