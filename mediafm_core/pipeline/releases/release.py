"""Release a trained model, or go back to the one before: checked first, then recorded."""

import getpass
import os
from pathlib import Path
from typing import NamedTuple

from mediafm_core.errors import ConfigurationError, IdentityMismatchError, StoreError
from mediafm_core.model.model_files import (
    TRAINING_FILE,
    other_version,
    read_json,
    recorded_identity,
)
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.candidates import (
    Candidate,
    check_files,
    find_model,
    read_candidate,
)
from mediafm_core.pipeline.releases.latest_space import configured_space, latest_space
from mediafm_core.pipeline.releases.serving import (
    Release,
    add_release,
    deciding,
    release_history,
    restored_by_rollback,
    serving_model,
)
from mediafm_core.store.model_store import model_folder, put_up


class Released(NamedTuple):
    """The release that serves now; `is_new` is False where that model served already."""

    release: Release
    is_new: bool


def release(
    platform: Platform,
    version: str,
    *,
    reason: str = "",
    released_by: str = "",
    compare_titles: bool = True,
) -> Released:
    """Make a trained model the one that the catalogue is contextualised with, and record it.

    A model that serves already is left as it is, so that the command can be repeated after a kill;
    telling readers of it is `publish_at_once`, which can be repeated too. One that is refused
    leaves what serves untouched.

    Args:
        platform: settings and store.
        version: identity of the model, or the beginning of its digest.
        reason: why; the model's validation loss beside the best baseline if nothing is said.
        released_by: who; the login user if nobody is named.
        compare_titles: also refuse a model that does not fit the fused vectors in the store. False
            where a run follows that brings these to the settings' encoders.

    Raises:
        ConfigurationError: there is no such model, it is damaged or altered, it holds a pickle, or
            the setting `serving_model` names another.
        IdentityMismatchError: it was trained on vectors of other encoders than the catalogue's.
        StoreError: the release cannot be recorded, or the record is damaged.
    """
    with deciding(platform.store):
        folder = find_model(platform.store, version)
        history = release_history(platform.store)
        if history and history[-1].model == folder.name:
            return Released(history[-1], is_new=False)
        candidate = _checked(platform, folder, compare_titles)
        put_up(platform.store, candidate.identity)  # before others are told to use it
        made = add_release(
            platform.store,
            candidate.identity,
            released_by or login_name(),
            reason or candidate.evidence,
        )
        return Released(made, is_new=True)


def check_candidate(platform: Platform, version: str) -> Candidate | None:
    """What `release` would refuse is refused; None for a model that serves already.

    Raises:
        ConfigurationError, IdentityMismatchError, StoreError: as `release`.
    """
    folder = find_model(platform.store, version)
    if serving_model(platform.store) == folder.name:
        return None
    return _checked(platform, folder, compare_titles=True)


def rollback(platform: Platform, *, reason: str = "", released_by: str = "") -> Release:
    """Go back to the release before the serving one, and record it.

    Rolling back twice goes two releases back.

    Args:
        platform: settings and store.
        reason: why.
        released_by: who; the login user if nobody is named.

    Raises:
        StoreError: there is no earlier release, or its model is gone.
        ConfigurationError, IdentityMismatchError: as `release`.
    """
    store = platform.store
    with deciding(store):
        history = release_history(store)
        place = restored_by_rollback(history)
        if place is None:
            raise StoreError(
                f"{store.location} has no release before {history[-1].model}: release another "
                "model with `mediafm release`."
                if history
                else f"No model is released in {store.location}: `mediafm release` does that."
            )
        target = history[place].model
        folder = model_folder(store, target)
        if not folder.is_dir():
            raise StoreError(
                f"The model {target}, which served before, is gone from {store.models}: copy it "
                "back or release another one."
            )
        _checked(platform, folder, compare_titles=True)
        return add_release(
            store,
            target,
            released_by or login_name(),
            reason or f"rolled back from {history[-1].model}",
            restores=place,
        )


def misfit_of(platform: Platform, candidate: Candidate, compare_titles: bool = True) -> str | None:
    """Why a candidate cannot serve this catalogue, with the remedy; None where it can.

    A model must fit the settings' encoders, to which every run brings the titles. By default it
    must fit what is in the store as well: otherwise its vectors would wait for that.

    Raises:
        ConfigurationError: an encoder's package or weights are missing.
        StoreError: the fused vectors in the store cannot be read.
    """
    folder = platform.store.models / candidate.identity
    if refusal := other_version(folder, candidate.version):
        return refusal
    difference = candidate.space.mismatch(configured_space(platform))
    if difference:
        return (
            f"{candidate.identity} does not fit the encoders of the settings ({difference}): train "
            "a model on this catalogue or set the encoders that the model was trained with."
        )
    latest = latest_space(platform.store) if compare_titles else None
    difference = candidate.space.mismatch(latest[1]) if latest else None
    if latest and difference:
        return (
            f"{candidate.identity} does not fit the fused vectors of {latest[0]} ({difference}): "
            f"`mediafm run --model {folder}` embeds again."
        )
    return None


def refuse_overruled(platform: Platform, model: str | None = None) -> None:
    """Refuse a release that the next run would undo.

    Args:
        platform: settings and store.
        model: what is to be released; None for one that is yet to be trained.

    Raises:
        ConfigurationError: the setting `serving_model` names another model.
    """
    folder = platform.settings.serving_model
    if folder is not None and _identity_in(folder) != model:
        raise ConfigurationError(
            f"The setting serving_model names {folder}, which the next run would serve again: "
            "unset it or let it name the model to release."
        )


def login_name() -> str:
    """Who is logged in, or the number of a user without a name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _checked(platform: Platform, folder: Path, compare_titles: bool) -> Candidate:
    """The candidate of a folder, after everything that would refuse it."""
    from mediafm_core.model.saved_model import load_model

    refuse_overruled(platform, folder.name)
    check_files(folder)
    identity = load_model(folder).identity
    if str(identity) != folder.name:
        raise ConfigurationError(f"{folder} holds {identity}: give the folder that name.")
    candidate = read_candidate(folder)
    refusal = misfit_of(platform, candidate, compare_titles)
    if refusal:
        raise IdentityMismatchError(refusal)
    return candidate


def _identity_in(folder: Path) -> str:
    return str(recorded_identity(folder, read_json(folder, TRAINING_FILE)))
