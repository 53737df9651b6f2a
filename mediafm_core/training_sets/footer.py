"""Record in the footer of each file of a training set, and names of the set's own columns."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from mediafm_core.disk.sealed_parquet import decoding, open_parquet
from mediafm_core.errors import MediaFMError

RECORD_KEY = b"mediafm_training_set"

EMBEDDING, FUSED, SPLIT = "embedding", "fused", "split"
VECTORS = (EMBEDDING, FUSED)
OWN_COLUMNS = ("title_id", "clip_id", "start_s", "end_s", "proposed", *VECTORS)
"""Names that no label may have; `split` is reserved as well where titles are split."""


class SetRecord(BaseModel):
    """Origin of the rows of a training set."""

    model_config = ConfigDict(frozen=True)

    format_version: Literal[1] = 1
    set_id: str = Field(description="drawn by chance; the files of one set share it")
    created_at: AwareDatetime
    library_version: str
    model: str = Field(description="model version of every vector in `embedding`")
    dimension: int = Field(description="width of the model's vectors, those of `embedding`")
    element: Literal["float32", "float16"] = "float32"
    encoders: dict[str, str] | None = Field(
        None, description="identity of each modality's encoder; None where the model is gone"
    )
    ranges: dict[str, tuple[int, int]] | None = Field(
        None, description="columns [start, stop) of each modality in a fused vector"
    )
    schema_version: int = Field(description="of the catalogue's tables")
    catalogue_titles: int = Field(description="titles of the catalogue")
    catalogue_version: str = Field(description="digest of the versions of all its titles")
    label_source: str = Field(description="`clips.csv`, `table` or the name of the labels file")
    label_digest: str = Field(
        description="first digits of the labels file's SHA-256, or of the catalogue's labels"
    )
    labels: dict[str, str] = Field(description="Arrow type of each label column")
    where: str | None = None
    shares: dict[str, float] | None = Field(None, description="of titles in each split")
    seed: int | None = Field(None, description="of the splits")
    rows: int
    titles: int
    left_out: int = Field(0, description="labels of clips or titles that were unknown")

    @classmethod
    def of(cls, schema: pa.Schema, path: Path) -> Self:
        """Read the record from a file's schema.

        Raises:
            MediaFMError: The file is no training set, or of a later version of MediaFM.
        """
        record = (schema.metadata or {}).get(RECORD_KEY)
        if record is None:
            raise MediaFMError(f"{path} is no training set: make one with `mediafm export`.")
        try:
            return cls.model_validate_json(record)
        except ValidationError as error:
            wrong = error.errors()[0]
            field = ".".join(map(str, wrong["loc"])) or "all of it"
            raise MediaFMError(
                f"{path} has a record that cannot be read ({field}: {wrong['msg']}): export it "
                "again, or read it with the version of MediaFM that wrote it."
            ) from None


def read_schema(path: Path) -> pa.Schema:
    """Read the schema of a Parquet file.

    Raises:
        MediaFMError: The file cannot be opened, see `opened_set`.
    """
    with opened_set(path) as file:
        return file.schema_arrow


@contextmanager
def opened_set(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a file of a training set, and verify the checksums of all data read in the block.

    Raises:
        MediaFMError: The file does not exist, is no Parquet file, or is damaged.
    """

    def unreadable(reason: str) -> MediaFMError:
        return MediaFMError(f"{path} cannot be read as Parquet ({reason}): export it again.")

    with decoding(unreadable):
        try:
            file = open_parquet(path)
        except FileNotFoundError:
            raise MediaFMError(f"There is no {path}: make it with `mediafm export`.") from None
        except IsADirectoryError:
            raise unreadable("it is a folder") from None
        with file:
            yield file
