"""Reading training sets: Arrow, pandas, numpy and torch over one copy of the vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.config.location import S3Location
from mediafm_core.errors import MediaFMError
from mediafm_core.training_sets.content import Content, SetFiles
from mediafm_core.training_sets.footer import EMBEDDING, SPLIT, VECTORS, SetRecord
from mediafm_core.vectors import to_arrow

if TYPE_CHECKING:
    import pandas as pd

    from mediafm_core.training_sets.torch_data import ClipDataset, ClipStream


class TrainingSet:
    """Rows of one or several exported sets, which are of one model version.

    A split of a set is a `TrainingSet` too, over the same files and vectors.
    """

    def __init__(self, content: "Content", rows: np.ndarray) -> None:
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
        content = Content([SetFiles.of(place) for place in places])
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
        """Batches straight from Parquet, for sets that do not fit on the disk once more.

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


def _as_slice(rows: np.ndarray) -> slice | np.ndarray:
    """Ascending row numbers as a slice where they follow each other, so that nothing is copied."""
    if not len(rows):
        return slice(0, 0)
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows
