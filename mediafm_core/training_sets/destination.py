"""Destination of a training set: one file, or a folder of files that appears atomically."""

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
PREPARED = "set"  # name of the future set among the files in preparation


@dataclass(frozen=True)
class Destination:
    """Name of a set in a folder, or in a prefix of S3.

    Attributes:
        files: Files of the folder or prefix.
        name: Name of the set in it.
    """

    files: Files
    name: str

    @classmethod
    def of(cls, out: Path | S3Location | str, settings: Settings) -> "Destination":
        """Parse a path or address.

        Raises:
            MediaFMError: It cannot be a destination.
        """
        location = _parsed(out)
        if isinstance(location, S3Location):
            prefix, _, name = location.prefix.rpartition("/")
            if not name.endswith(SUFFIX):
                raise MediaFMError(
                    f"{location} is no file: S3 cannot create a folder atomically, so give the "
                    f"set a name that ends in {SUFFIX}."
                )
            return cls(open_files(S3Location(location.bucket, prefix), settings.s3), name)
        location = Path(os.path.abspath(location))  # noqa: PTH100 - links are left as they are
        return cls(open_files(location.parent, settings.s3), location.name)

    @property
    def is_file(self) -> bool:
        """True if the set is one file, False for a folder of files."""
        return self.name.endswith(SUFFIX)

    def require_free(self, replace: bool) -> None:
        """Check that the destination does not exist, or is a training set to replace.

        Raises:
            MediaFMError: The destination exists, and `replace` is False or it has content that is
                no training set.
        """
        here = f"{self.files.location}/{self.name}"
        if self.files.is_remote:
            if self.files.exists(self.name) and not replace:
                raise MediaFMError(f"{here} exists already: pass --replace, or another name.")
            return
        path = self.files.path(self.name)
        if not path.exists():
            return
        if path.is_dir() == self.is_file:
            kind = "a folder" if self.is_file else "a file"
            raise MediaFMError(f"{here} is {kind}: choose another name.")
        if not replace:
            raise MediaFMError(f"{here} exists already: pass --replace, or another name.")
        # Replacing deletes the files, so each must be part of a training set.
        for file in [path] if self.is_file else path.iterdir():
            SetRecord.of(read_schema(file), file)

    @contextmanager
    def writing(self, replace: bool) -> Iterator[Path]:
        """Yield a folder to prepare the set in as `PREPARED`; the set is moved at the end.

        Raises:
            StoreError: The set cannot be written.
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
                raise  # Arrow's error for a file that it cannot decode, not one of the system
            raise StoreError(
                f"{self.files.location}/{self.name} cannot be written ({error}): make space, or "
                "choose another location."
            ) from error


def _parsed(out: Path | S3Location | str) -> Path | S3Location:
    try:
        location: Path | S3Location = parse_location(out)
    except ValueError as error:
        raise MediaFMError(f"The training set has no usable location: {error}.") from None
    return location
