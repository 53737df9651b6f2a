"""Columns of a table of shots in a Parquet or CSV file, read whole or in batches of rows."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from mediafm_core.errors import MediaFMError

ROWS_READ_TOGETHER = 4096
_PARQUET, _CSV = (".parquet", ".pq"), (".csv",)


class TableFile(ABC):
    """A file of columns of equal length."""

    path: Path
    columns: list[str]

    @abstractmethod
    def batches(
        self, columns: Sequence[str], types: dict[str, pa.DataType]
    ) -> Iterator[pa.RecordBatch]:
        """Read all rows of some columns in the file's order.

        Args:
            columns: Names of the columns.
            types: Types to parse text to; ignored by files that have types of their own.
        """

    @abstractmethod
    def read(self, columns: Sequence[str], types: dict[str, pa.DataType]) -> pa.Table:
        """Read whole columns, which must be small."""


class ParquetTable(TableFile):
    """A table in a Parquet file, whose checksums are verified."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _damage(path), pq.ParquetFile(path) as file:
            self.columns = file.schema_arrow.names

    def batches(
        self,
        columns: Sequence[str],
        types: dict[str, pa.DataType],  # noqa: ARG002
    ) -> Iterator[pa.RecordBatch]:
        """See `TableFile.batches`."""
        with (
            _damage(self.path),
            pq.ParquetFile(self.path, memory_map=True, page_checksum_verification=True) as file,
        ):
            yield from file.iter_batches(ROWS_READ_TOGETHER, columns=list(columns))

    def read(self, columns: Sequence[str], types: dict[str, pa.DataType]) -> pa.Table:  # noqa: ARG002
        """See `TableFile.read`."""
        with (
            _damage(self.path),
            pq.ParquetFile(self.path, memory_map=True, page_checksum_verification=True) as file,
        ):
            return file.read(list(columns))


class CsvTable(TableFile):
    """A table in a CSV file with a header; empty cells are null."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _damage(path), pv.open_csv(path) as file:
            self.columns = file.schema.names

    def batches(
        self, columns: Sequence[str], types: dict[str, pa.DataType]
    ) -> Iterator[pa.RecordBatch]:
        """See `TableFile.batches`."""
        with self._opened(columns, types) as file:
            yield from file

    def read(self, columns: Sequence[str], types: dict[str, pa.DataType]) -> pa.Table:
        """See `TableFile.read`."""
        with self._opened(columns, types) as file:
            return file.read_all()

    @contextmanager
    def _opened(
        self, columns: Sequence[str], types: dict[str, pa.DataType]
    ) -> Iterator[pv.CSVStreamingReader]:
        options = pv.ConvertOptions(
            include_columns=list(columns),
            column_types=types,
            null_values=["", "null", "NULL"],
            strings_can_be_null=True,
        )
        with _damage(self.path), pv.open_csv(self.path, convert_options=options) as file:
            yield file


def open_table(path: Path) -> TableFile:
    """Open a table by the suffix of its file.

    Raises:
        MediaFMError: The suffix is neither of Parquet nor of CSV, or the file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix in _PARQUET:
        return ParquetTable(path)
    if suffix in _CSV:
        return CsvTable(path)
    raise MediaFMError(
        f"{path} is neither Parquet nor CSV by its name: give it the suffix .parquet or .csv."
    )


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MediaFMError(f"There is no file {path}: correct the path.") from None
    except (pa.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split())
        raise MediaFMError(f"{path} cannot be read ({reason}): repair or replace it.") from None


def is_vector_type(kind: pa.DataType) -> bool:
    """Return True for a type of lists of numbers."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ) and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
