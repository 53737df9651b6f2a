"""Where a training set is written to: one file, or a folder of files that appears in one step."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mediafm_core.config.location import S3Location, parse_location
from mediafm_core.config.settings import Settings
from mediafm_core.disk.atomic import replace_folder
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.storage.files import Files
from mediafm_core.storage.open_files import open_files
from mediafm_core.training_sets.footer import SetRecord, read_schema

SUFFIX = ".parquet"
PREPARED = "set"  # what becomes the set, among the files in preparation


@dataclass(frozen=True)
class Destination:
    """A name in a folder, or in a prefix of S3.

    Attributes:
        files: of the folder.
        name: of the set in it.
    """

    files: Files
    name: str

    @classmethod
    def of(cls, out: Path | S3Location | str, settings: Settings) -> "Destination":
        """The destination of a path or address.

        Raises:
            MediaFMError: it cannot be one.
        """
        place = _parsed(out)
        if isinstance(place, S3Location):
            prefix, _, name = place.prefix.rpartition("/")
            if not name.endswith(SUFFIX):
                raise MediaFMError(
                    f"{place} is no file: S3 has no folders that appear in one step, so give the "
                    f"set a name that ends in {SUFFIX}."
                )
            return cls(open_files(S3Location(place.bucket, prefix), settings.s3), name)
        place = Path(os.path.abspath(place))  # noqa: PTH100 - links are left as they are
        return cls(open_files(place.parent, settings.s3), place.name)

    @property
    def is_file(self) -> bool:
        """Whether the set is one file."""
        return self.name.endswith(SUFFIX)

    def require_free(self, replace: bool) -> None:
        """Refuse to write over what is there.

        Raises:
            MediaFMError: something is there, and it is not to be replaced or is not all of a
                training set.
        """
        here = f"{self.files.location}/{self.name}"
        if self.files.is_remote:
            if self.files.exists(self.name) and not replace:
                raise MediaFMError(f"{here} is there already: pass --replace, or another name.")
            return
        path = self.files.path(self.name)
        if not path.exists():
            return
        if path.is_dir() == self.is_file:
            kind = "a folder" if self.is_file else "a file"
            raise MediaFMError(f"{here} is {kind}: take another name.")
        if not replace:
            raise MediaFMError(f"{here} is there already: pass --replace, or another name.")
        for found in [path] if self.is_file else path.iterdir():  # what is replaced is lost
            SetRecord.of(read_schema(found), found)

    @contextmanager
    def writing(self, replace: bool) -> Iterator[Path]:
        """A folder to prepare the set in as `PREPARED`, which takes its place at the end.

        Raises:
            StoreError: it cannot be written.
        """
        try:
            self.files.sweep()
            with self.files.staging() as folder:
                yield folder
                self.require_free(replace)
                prepared = folder / PREPARED
                if self.is_file:
                    self.files.put(prepared, self.name)
                else:
                    replace_folder(prepared, self.files.path(self.name), durable=True)
        except OSError as error:
            if error.errno is None:
                raise  # not of the machine: Arrow's for a file that it cannot decode
            raise StoreError(
                f"{self.files.location}/{self.name} cannot be written ({error}): make space, or "
                "take another place."
            ) from error


def _parsed(out: Path | S3Location | str) -> Path | S3Location:
    try:
        place: Path | S3Location = parse_location(out)
    except ValueError as error:
        raise MediaFMError(f"The training set has no usable place: {error}.") from None
    return place
