"""Trained models of a store.

Models are trained, checked and loaded in folders of this machine, `<store.models>/<identity>`. Of a
remote store they are also uploaded, and downloaded where they are needed. A model exists if it has
a `training.json`, which is uploaded last: a partial upload does not count. The files of an identity
never change, so that a local model is used without a request.
"""

import re
import shutil
from pathlib import Path

from mediafm_core.disk.atomic import atomic_folder
from mediafm_core.errors import ConfigurationError
from mediafm_core.model.model_files import TRAINING_FILE, created_at
from mediafm_core.store.store import Store

_FOLDER = "models"
_IDENTITY = re.compile(r"[\w.+-]+@[\w.+-]+")  # the name of a folder, never a path
_LONGEST_NAME = 255  # of a file, in bytes
_NAMED_MODELS = 5  # in an error, the newest
FEWEST_DIGITS = 4  # of a digest's beginning, as git requires


def is_identity(name: object) -> bool:
    """Return True for what can be the identity of a model, and with that a folder's name."""
    return (
        isinstance(name, str)
        and len(name.encode(errors="replace")) <= _LONGEST_NAME
        and not name.startswith(".")
        and _IDENTITY.fullmatch(name) is not None
    )


def model_names(store: Store) -> list[str]:
    """Return the identities of all models, sorted; folders that are being written are left out."""
    names = {path.name for path in store.models.glob("*@*") if path.is_dir()}
    if store.files.is_remote:
        entries = (entry.key.split("/") for entry in store.files.entries(_FOLDER))
        names |= {parts[1] for parts in entries if parts[2:] == [TRAINING_FILE]}
    return sorted(name for name in names if not name.startswith("."))


def model_folder(store: Store, identity: str) -> Path:
    """Return a model's folder on this machine, downloading it if need be.

    The folder exists if the model does.

    Raises:
        StorageError, ConfigurationError: it cannot be downloaded.
        OSError: the disk is full or cannot be written.
    """
    folder = store.models / identity
    if not store.files.is_remote or folder.is_dir() or not _is_uploaded(store, identity):
        return folder
    with atomic_folder(folder) as prepared:
        key = f"{_FOLDER}/{identity}"
        for entry in store.files.entries(key):
            shutil.copyfile(store.files.path(entry.key), prepared / Path(entry.key).name)
        store.files.evict(key)
    return folder


def upload_model(store: Store, identity: str, again: bool = False) -> None:
    """Upload a model of this machine, if the store is remote.

    Args:
        store: the store.
        identity: the model's.
        again: also if it was uploaded before, such as after the repair of a damaged model.

    Raises:
        StorageError, ConfigurationError: it cannot be uploaded.
    """
    if not store.files.is_remote or (_is_uploaded(store, identity) and not again):
        return
    folder = store.models / identity
    names = sorted(path.name for path in folder.iterdir() if path.name != TRAINING_FILE)
    with store.staging() as staged:
        for name in (*names, TRAINING_FILE):
            prepared = shutil.copyfile(folder / name, staged / name)
            store.commit(prepared, f"{_FOLDER}/{identity}/{name}")
    store.files.evict(f"{_FOLDER}/{identity}")


def _is_uploaded(store: Store, identity: str) -> bool:
    return store.files.exists(f"{_FOLDER}/{identity}/{TRAINING_FILE}")


def find_model(store: Store, version: str) -> Path:
    """Return the folder of a model of the store, on this machine.

    Args:
        store: of the catalogue.
        version: its identity `name-version@digest`, or the beginning of its digest, four digits or
            more, that no other model's digest has.

    Raises:
        ConfigurationError: there is no such model, or there are several.
    """
    name, _, digest = version.rpartition("@")
    found = [
        identity
        for identity in model_names(store)
        if digest
        and identity.rpartition("@")[2].startswith(digest)
        and name in ("", identity.rpartition("@")[0])
    ]
    if len(found) == 1 and len(digest) >= FEWEST_DIGITS:
        return model_folder(store, found[0])
    if len(found) > 1:
        names = ", ".join(found)
        raise ConfigurationError(f"{version!r} may be any of {names}: name more of the digest.")
    if found:
        raise ConfigurationError(
            f"{version!r} is too short for {found[0]}: name {FEWEST_DIGITS} digits of its digest "
            "or more."
        )
    raise unknown_model(store, version)


def unknown_model(store: Store, version: str) -> ConfigurationError:
    """Return the error of a model that the store does not hold, with the newest ones it holds."""
    dates = {folder.name: created_at(folder) for folder in model_folders(store)}
    there = sorted(dates, key=lambda identity: (dates[identity], identity), reverse=True)
    names = ", ".join(there[:_NAMED_MODELS]) or "none, so train one"
    more = f" and {len(there) - _NAMED_MODELS} more" if len(there) > _NAMED_MODELS else ""
    wanted = f"There is no model {version!r}" if version else "No model is chosen"
    return ConfigurationError(
        f"{wanted} in {store.models}, which has {names}{more}: `mediafm models` compares them."
    )


def model_folders(store: Store) -> list[Path]:
    """Return the folders of all models, on this machine, in the order of their names."""
    return [model_folder(store, identity) for identity in model_names(store)]
