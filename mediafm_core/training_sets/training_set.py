"""Views of training sets as Arrow, pandas, numpy and torch over one copy of the vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.config.location import S3Location
from mediafm_core.errors import MediaFMError
from mediafm_core.training_sets.content import Content, SetFiles, VectorColumns
from mediafm_core.training_sets.footer import SPLIT, VECTORS, SetRecord
from mediafm_core.vectors import to_arrow

if TYPE_CHECKING:
    import pandas as pd

    from mediafm_core.training_sets.torch_data import ClipDataset, ClipStream


class TrainingSet:
    """Rows of one or several exported sets of the same model version.

    A split of a set is also a `TrainingSet`, over the same files and vectors.
    """

    def __init__(self, content: "Content", rows: np.ndarray) -> None:
        self._content = content
        self._rows = rows

    @classmethod
    def open(cls, *places: Path | S3Location | str) -> "TrainingSet":
        """Open exported sets, without reading vectors.

        Args:
            *places: Files, folders or `s3://` addresses. The rows of several sets follow each
                other, and a label that one of them lacks is null there.

        Raises:
            MediaFMError: A set does not exist, is incomplete, or is incompatible with another one.
            IdentityMismatchError: The sets are of different models.
        """
        if not places:
            raise MediaFMError("No training set is named: give the location of one.")
        content = Content([SetFiles.of(place) for place in places])
        return cls(content, np.arange(content.table.num_rows))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def records(self) -> list[SetRecord]:
        """Record of each set."""
        return [source.record for source in self._content.sources]

    @property
    def model(self) -> str:
        """Model version of the vectors."""
        return self.records[0].model

    @property
    def dimension(self) -> int:
        """Width of the model's vectors, those of `embedding`."""
        return self.records[0].dimension

    @property
    def column_names(self) -> list[str]:
        """Names of keys, labels and vectors."""
        return list(self._content.schema.names)

    @property
    def split_names(self) -> list[str]:
        """Names of the splits, in the order of their rows; empty if titles were not split."""
        if SPLIT not in self._content.table.column_names:
            return []
        return [str(name) for name in self._content.table[SPLIT].unique().drop_null()]

    def split(self, name: str) -> "TrainingSet":
        """Select the rows of a split.

        Raises:
            MediaFMError: The split does not exist.
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

    def matrix(self, column: VectorColumns = None) -> np.ndarray:
        """Return a column of vectors as a matrix, or several side by side.

        Args:
            column: Name of the column, or of several; None takes `embedding`, or `fused` in a set
                without it.

        Returns:
            Read-only `[n, width]` of the set's element type: a view of the mapped file, or a copy
            if the rows are not contiguous. Several columns are copied; none is scaled.

        Raises:
            MediaFMError: There is no such column of vectors.
        """
        rows = _as_slice(self._rows)
        parts = [self._content.vectors(name)[rows] for name in self._content.vector_ranges(column)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def labels(self, name: str) -> np.ndarray:
        """Return a label, `[n]`; null is NaN among numbers and None among other values."""
        return self.to_arrow([name])[name].to_numpy()

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a table of the set, over the mapped vectors.

        Args:
            columns: Names of columns; None takes all.

        Raises:
            MediaFMError: A column does not exist.
        """
        names = self.column_names if columns is None else list(columns)
        table = self._content.table
        of_rows = _as_slice(self._rows)
        if isinstance(of_rows, slice):
            table = table.slice(of_rows.start, len(self._rows))
        else:
            table = table.take(pa.array(self._rows))
        arrays: list[pa.ChunkedArray | pa.Array] = []
        for name in names:
            self._content.require(name)
            arrays.append(to_arrow(self.matrix(name)) if name in VECTORS else table[name])
        return pa.table(arrays, schema=pa.schema([self._content.schema.field(n) for n in names]))

    def to_pandas(self, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """Return a data frame over the Arrow columns, without copying vectors; see `to_arrow`."""
        import pandas as pd

        return self.to_arrow(columns).to_pandas(types_mapper=pd.ArrowDtype)

    def torch(
        self, label: str | Sequence[str] | None = None, *, column: VectorColumns = None
    ) -> "ClipDataset":
        """Return a map-style dataset for `torch.utils.data.DataLoader`.

        Args:
            label: Name of the label, or of several that make a vector of targets; None returns
                vectors without targets. Rows without the label are left out.
            column: Column of vectors, or several that stand side by side, as in `matrix`.

        Raises:
            MediaFMError: A column does not exist, or cannot be a target.
        """
        from mediafm_core.training_sets.torch_data import ClipDataset

        return ClipDataset(self._content, self._rows, label, column)

    def torch_stream(
        self,
        label: str | Sequence[str] | None = None,
        *,
        batch_size: int = 256,
        seed: int | None = 0,
        column: VectorColumns = None,
    ) -> "ClipStream":
        """Stream batches from Parquet, for sets too large to be unpacked to the disk.

        Pass it to a `DataLoader` with `batch_size=None`.

        Args:
            label: Label as in `torch`.
            batch_size: Rows of a batch.
            seed: Seed of the order, which differs between epochs; None keeps the set's order.
            column: Column of vectors, or several, as in `torch`.

        Raises:
            MediaFMError: As in `torch`, or the batch size is below 1.
        """
        from mediafm_core.training_sets.torch_data import ClipStream

        return ClipStream(self._content, self._rows, label, column, batch_size, seed)


def _as_slice(rows: np.ndarray) -> slice | np.ndarray:
    """Return contiguous row numbers as a slice, which selects without a copy; else unchanged."""
    if not len(rows):
        return slice(0, 0)
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows
