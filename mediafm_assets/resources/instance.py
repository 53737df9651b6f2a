"""Dagster instance of a catalogue, in `DAGSTER_HOME` or in a folder of the store."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import dagster as dg
import yaml

from mediafm_assets.dagster_internals import CheckError, instance_in
from mediafm_assets.resources.compute_logs import without_mirror
from mediafm_core.disk.locks import locked
from mediafm_core.errors import ConfigurationError
from mediafm_core.storage.local import require_writable_folder
from mediafm_core.store.store import Store

HOME_VARIABLE = "DAGSTER_HOME"
CONFIGURATION = "dagster.yaml"
_LOCK = ".opening.lock"
# Parsing raises the first two and RecursionError, Dagster's checks the others.
_UNUSABLE = (
    *(yaml.YAMLError, UnicodeDecodeError, RecursionError, dg.DagsterError, CheckError),
    *(ImportError, AttributeError, TypeError, ValueError, LookupError),
)
_WITH_ERRORS = dg.DagsterInvalidConfigError
_TEMPLATE = Path(__file__).parents[2] / "dagster_home" / CONFIGURATION


def dagster_home(store: Store) -> Path:
    """Return the folder of Dagster's state; a new one gets the project's `dagster.yaml`.

    Without `DAGSTER_HOME` each store has its own, so that catalogues do not mix their partitions.

    Raises:
        ConfigurationError: the store is not on this machine, and `DAGSTER_HOME` is not set, or
            the folder cannot be written.
    """
    named = os.environ.get(HOME_VARIABLE)
    if not named and store.files.is_remote:
        raise ConfigurationError(
            f"The store {store.location} has no place for Dagster's own state: set {HOME_VARIABLE} "
            "to a folder of this machine, one for each catalogue (docs/how-to/use_s3.md)."
        )
    home = (Path(named) if named else store.root / "dagster_home").absolute()
    if "?" in str(home) or unquote(str(home)) != str(home):
        # Dagster makes a URL for SQLite from the path: the file would be in another place.
        raise ConfigurationError(
            f"Dagster's state cannot be in {home}, which has a ? or an escape such as %20 in its "
            f"path: set {HOME_VARIABLE} to another folder."
        )
    require_writable_folder(home, f"set {HOME_VARIABLE} to a folder for Dagster's own state")
    with locked(home / _LOCK):
        if not (home / CONFIGURATION).exists():
            shutil.copyfile(_TEMPLATE, home / CONFIGURATION)
    return home


def open_instance(store: Store) -> dg.DagsterInstance:
    """Open the instance in which `mediafm run` records its runs, and create it if it is new.

    One process opens it at a time: two that create the tables of one SQLite file disturb each
    other, and Dagster has no lock for it.

    Raises:
        ConfigurationError: see `dagster_home`; or its `dagster.yaml` cannot be used.
    """
    home = dagster_home(store)
    with locked(home / _LOCK), _configuration_errors(home / CONFIGURATION):
        return instance_in(home, defaults=without_mirror(home))


@contextmanager
def _configuration_errors(file: Path) -> Iterator[None]:
    """Turn the errors that Dagster raises for an unusable `dagster.yaml` into one sentence."""
    try:
        yield
    except _UNUSABLE as error:
        # Some of Dagster's own checks raise the same class with a text and no errors.
        errors = error.errors if isinstance(error, _WITH_ERRORS) else ()
        reason = errors[0].message if errors else str(error)
        raise ConfigurationError(
            f"{file} cannot be used ({' '.join(reason.split()) or type(error).__name__}): correct "
            "it, or delete it, which restores the default."
        ) from error
