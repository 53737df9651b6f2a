"""History of releases, and the serving model: the one that contextualises the catalogue.

The serving model is not the published one, whose features readers see, between a release and the
cutover: titles are contextualised with the serving model, and readers keep the features of the one
before until `cutover` lets them move.

`<store>/serving.json` holds the serving release and those before it. It is one file, replaced
atomically: the pointer and its history cannot disagree, and a killed process leaves the old file.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from mediafm_core.disk.seals import read_sealed_json, sealed_json
from mediafm_core.disk.strict_json import read_bounded
from mediafm_core.errors import StoreError
from mediafm_core.model.bounds import fault_in_words
from mediafm_core.store.model_store import is_identity
from mediafm_core.store.store import Store

FILE = "serving.json"
LOCK = "serving"
_MOST_BYTES = 16 << 20  # of some ten thousand releases
_EARLIER = "earlier"


class Release(BaseModel):
    """Entry of the history of releases; entries are added and never changed."""

    model_config = ConfigDict(frozen=True)

    model: str = Field(description="identity of the model that serves from then on")
    released_at: AwareDatetime
    released_by: str = Field("", description="empty where it was not recorded")
    reason: str = ""
    previous: str | None = Field(None, description="the model that served before")
    restores: int | None = Field(
        None, description="of a rollback: place in the history, from 0, of the release it restores"
    )


def serving_model(store: Store) -> str | None:
    """Return the identity (`name-version@digest`) of the serving model; None before a release.

    Raises:
        StoreError: the file is damaged.
    """
    document = _read(store)
    return str(document["model"]) if document else None


def release_history(store: Store) -> list[Release]:
    """Return all releases, the first one first and the serving one last.

    Raises:
        StoreError: the file is damaged.
    """
    document = _read(store)
    if document is None:
        return []
    earlier = document.pop(_EARLIER, [])
    try:
        return [Release.model_validate(entry) for entry in (*earlier, document)]
    except ValidationError as error:
        raise _damaged(store, ValueError(fault_in_words(error))) from None
    except TypeError as error:
        raise _damaged(store, error) from None


def restored_by_rollback(history: Sequence[Release]) -> int | None:
    """Return the place in the history of the release that a rollback restores, or None.

    It is the one before the serving release, where a rollback counts as the release that it
    restored: another rollback goes further back and never returns to a model that was rolled back.
    """
    if not history:
        return None
    serving = _stands_for(history, len(history) - 1)
    return _stands_for(history, serving - 1) if serving > 0 else None


@contextmanager
def deciding(store: Store) -> Iterator[None]:
    """Hold the lock for reading the history and adding a release; wait for it.

    Raises:
        StoreError: the store cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(store.files.exclusive(LOCK))
        except OSError as error:
            raise _unwritable(store, error) from None
        yield


def add_release(
    store: Store,
    history: Sequence[Release],
    model: str,
    released_by: str,
    reason: str,
    restores: int | None = None,
) -> Release:
    """Make a model the serving model, atomically.

    Args:
        store: of the catalogue.
        history: all releases before, read within the same `deciding` as this call.
        model: identity of the model.
        released_by: a name.
        reason: of the release.
        restores: of a rollback: place in the history of the release it restores.

    Raises:
        StoreError: the file cannot be written (disk full, no permission); the old one is kept.
    """
    release = Release(
        model=model,
        released_at=datetime.now(UTC).replace(microsecond=0),
        released_by=released_by,
        reason=reason,
        previous=history[-1].model if history else None,
        restores=restores,
    )
    document = {
        **release.model_dump(mode="json"),
        _EARLIER: [entry.model_dump(mode="json") for entry in history],
    }
    try:
        with store.staging() as folder:
            prepared = folder / FILE
            prepared.write_bytes(sealed_json(document))
            store.commit(prepared, FILE)
    except OSError as error:
        raise _unwritable(store, error) from None
    return release


def _stands_for(history: Sequence[Release], place: int) -> int:
    restores = history[place].restores
    return place if restores is None else restores


def _read(store: Store) -> dict[str, Any] | None:
    try:
        document = read_sealed_json(read_bounded(store.files.path(FILE), _MOST_BYTES))
        if not is_identity(document["model"]):
            raise ValueError("`model` is no name of a model, such as mediafm-7@0123456789abcdef")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(store, error) from None
    else:
        return dict(document)


def _unwritable(store: Store, error: OSError) -> StoreError:
    return StoreError(
        f"{store.location}/{FILE} cannot be written ({error}), so that the model that served "
        "still serves: make space or fix its permissions, then release again."
    )


def _damaged(store: Store, error: Exception) -> StoreError:
    reason = " ".join(str(error).split())
    return StoreError(
        f"{store.location}/{FILE} is damaged ({reason}): try `mediafm verify --repair`, put back "
        "a copy of it, or delete it and release a model again."
    )
