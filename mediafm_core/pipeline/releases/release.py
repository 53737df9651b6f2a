"""Releases and rollbacks: a candidate is checked, then recorded as the serving model."""

import getpass
import os
from collections.abc import Sequence
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
from mediafm_core.pipeline.releases.candidates import Candidate, check_files
from mediafm_core.pipeline.releases.latest_space import configured_space, latest_space
from mediafm_core.pipeline.serving import (
    Release,
    add_release,
    deciding,
    release_history,
    restored_by_rollback,
)
from mediafm_core.store.model_store import model_folder, upload_model


class Released(NamedTuple):
    """Result of a release.

    Attributes:
        history: all releases, the serving one last.
        is_new: False where that model served already.
    """

    history: Sequence[Release]
    is_new: bool

    @property
    def release(self) -> Release:
        """The serving release."""
        return self.history[-1]

    @property
    def sentence(self) -> str:
        """Effect of the release, for the log of a run."""
        release = self.release
        if release.previous is None:
            return f"{release.model} serves as the catalogue's first model."
        return (
            f"{release.model} serves in place of {release.previous}: `mediafm rollback` goes back."
        )


def release(
    platform: Platform,
    candidate: Candidate,
    *,
    reason: str = "",
    released_by: str = "",
    compare_titles: bool = True,
) -> Released:
    """Make a candidate the serving model, and record the release.

    A model that serves already is left as it is, so that the command can be repeated after a kill;
    readers follow with `publish_at_once`, which can be repeated too. A candidate that is refused
    leaves the serving model untouched.

    Args:
        platform: settings and store.
        candidate: the model to release.
        reason: kept with the release; empty for the model's validation loss beside the best
            baseline.
        released_by: a name; empty for the login user.
        compare_titles: also refuse a model that reads other fused vectors than those in the store.
            False where a run follows that brings these to the settings' encoders.

    Raises:
        ConfigurationError: the model is damaged or altered, it holds a pickle, or the setting
            `serving_model` names another.
        IdentityMismatchError: it was trained on vectors of other encoders than the catalogue's.
        StoreError: the release cannot be recorded, or the record is damaged.
    """
    store = platform.store
    with deciding(store):
        history = release_history(store)
        if history and history[-1].model == candidate.identity:
            return Released(history, is_new=False)
        require_releasable(platform, candidate, compare_titles)
        upload_model(store, candidate.identity)  # before a reader of another machine looks for it
        made = add_release(
            store,
            history,
            candidate.identity,
            released_by or login_name(),
            reason or candidate.record.evidence,
        )
    platform.keep_network(candidate)
    return Released((*history, made), is_new=True)


def rollback(platform: Platform, *, reason: str = "", released_by: str = "") -> Released:
    """Go back to the release before the serving one, and record it.

    Rolling back twice goes two releases back.

    Args:
        platform: settings and store.
        reason: kept with the release.
        released_by: a name; empty for the login user.

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
        candidate = Candidate(model_folder(store, history[place].model))
        if not candidate.folder.is_dir():
            raise StoreError(
                f"The model {candidate.identity}, which served before, is gone from "
                f"{store.models}: copy it back or release another one."
            )
        require_releasable(platform, candidate)
        made = add_release(
            store,
            history,
            candidate.identity,
            released_by or login_name(),
            reason or f"rolled back from {history[-1].model}",
            restores=place,
        )
    platform.keep_network(candidate)
    return Released((*history, made), is_new=True)


def require_releasable(
    platform: Platform, candidate: Candidate, compare_titles: bool = True
) -> None:
    """Refuse a candidate that cannot serve this catalogue.

    Its network is loaded for that, and kept by the candidate.

    Raises:
        ConfigurationError, IdentityMismatchError, StoreError: as `release`.
    """
    refuse_overruled(platform, candidate.identity)
    check_files(candidate.folder)
    identity = candidate.load().identity
    if str(identity) != candidate.identity:
        raise ConfigurationError(f"{candidate.folder} holds {identity}: give the folder that name.")
    refusal = mismatch_of(platform, candidate, compare_titles)
    if refusal:
        raise IdentityMismatchError(refusal)


def mismatch_of(
    platform: Platform, candidate: Candidate, compare_titles: bool = True
) -> str | None:
    """Return why a candidate cannot serve this catalogue, with the remedy; None where it can.

    A model must read the fused space of the settings' encoders, to which every run brings the
    titles. By default it must read the vectors in the store as well: otherwise its own vectors
    would wait for that run.

    Raises:
        ConfigurationError: an encoder's package or weights are missing, or the model is damaged.
        StoreError: the fused vectors in the store cannot be read.
    """
    record = candidate.record
    if refusal := other_version(candidate.folder, record.version):
        return refusal
    difference = record.space.mismatch(configured_space(platform))
    if difference:
        return (
            f"{candidate.identity} is not compatible with the encoders of the settings "
            f"({difference}): train a model on this catalogue or set the encoders that "
            "the model was trained with."
        )
    latest = latest_space(platform.store) if compare_titles else None
    difference = record.space.mismatch(latest[1]) if latest else None
    if latest and difference:
        return (
            f"{candidate.identity} is not compatible with the fused vectors of {latest[0]} "
            f"({difference}): `mediafm run --model {candidate.folder}` embeds again."
        )
    return None


def refuse_overruled(platform: Platform, model: str | None = None) -> None:
    """Refuse a release that the next run would undo.

    Args:
        platform: settings and store.
        model: identity of the model to release; None for one that is yet to be trained.

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
    """Return the login user, or the number of a user without a name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _identity_in(folder: Path) -> str:
    return str(recorded_identity(folder, read_json(folder, TRAINING_FILE)))
