"""The state of an unfinished training on disk, so that a killed one goes on where it was.

<store>/training/<key>/
  step-00000400/
    state.json          step, curve and all other numbers; digest of the tensors
    state.safetensors   weights, best weights so far, moments of the optimisers

The key is a digest of everything that decides the weights: settings, data versions, what the
training started from. A state is written whole or not at all, and the one before is removed only
then. The folder goes when the trained model is saved. States that nobody asked for again in
`DAYS_KEPT` days are removed by the next training in the store.
"""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import digest_of_settings

STATE_VERSION = 1  # of the files, and of how steps follow from settings
STATE_FILE, TENSORS_FILE = "state.json", "state.safetensors"
DAYS_KEPT = 14


class State(NamedTuple):
    """A saved state."""

    step: int
    facts: dict[str, Any]  # JSON
    tensors: dict[str, torch.Tensor]


class TrainingStates:
    """The states of one training; all but the newest are removed.

    Args:
        root: folder of the states of all trainings of a store.
        request: JSON-representable, everything that decides the weights.
    """

    def __init__(self, root: Path, request: Mapping[str, Any]) -> None:
        self.key = digest_of_settings({"version": STATE_VERSION, **request})
        self.folder = root / self.key

    def latest(self) -> Path | None:
        """Folder of the newest state, None before the first."""
        return _latest(self.folder)

    def load(self) -> State | None:
        """The newest state, None before the first.

        Raises:
            ConfigurationError: it is damaged.
        """
        newest = self.latest()
        return None if newest is None else load_state(newest)

    def save(
        self, step: int, facts: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
    ) -> None:
        """Save a state and remove the one before.

        Raises:
            ConfigurationError: it cannot be written (disk full, no permission); the state before
                is still there.
        """
        before = list(self.folder.glob("step-*"))
        folder = self.folder / f"step-{step:08}"
        prepared = self.folder / f".{folder.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        try:
            for unfinished in self.folder.glob(".step-*"):  # of a killed process
                shutil.rmtree(unfinished)
            prepared.mkdir(parents=True)
            save_file(
                {name: _plain(each) for name, each in tensors.items()}, prepared / TENSORS_FILE
            )
            digest = _digest(prepared / TENSORS_FILE)
            document = {"step": step, "key": self.key, "digest": digest, **facts}
            document["check"] = digest_of_settings(document)
            (prepared / STATE_FILE).write_text(json.dumps(document, indent=1) + "\n")
            for name in (TENSORS_FILE, STATE_FILE):
                _to_disk(prepared / name)
            prepared.rename(folder)
            _to_disk(self.folder)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(prepared, ignore_errors=True)
            kept = f"step {_step(before[-1])} is kept" if before else "none is kept"
            raise ConfigurationError(
                f"The state of the training after step {step} cannot be saved in {self.folder} "
                f"({error}; {kept}): make space and train again, which goes on from there."
            ) from None
        for old in before:
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)

    def remove(self) -> None:
        """Forget this training, since its model is saved."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.exists() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()


def remove_old_states(
    root: Path, kept: Collection[Path | None] = (), days: float = DAYS_KEPT
) -> list[Path]:
    """Remove the states of trainings that were last saved so many days ago.

    Args:
        root: folder of all states.
        kept: folders that stay with all that is above or below them.
        days: age in days.

    Returns:
        The folders that were removed.
    """
    oldest = time.time() - days * 86400
    removed = []
    for folder in root.iterdir() if root.exists() else ():
        if any(each and folder in (each, *each.parents) for each in kept):
            continue
        if folder.is_dir() and folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
    return removed


def find_state(folder: Path) -> Path | None:
    """The state in a folder, or the newest one below it; None if there is none."""
    return folder if (folder / STATE_FILE).exists() else _latest(folder)


def read_facts(folder: Path) -> dict[str, Any]:
    """What `state.json` of a state's folder says.

    Raises:
        ConfigurationError: it is missing or damaged.
    """
    try:
        facts = json.loads((folder / STATE_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(folder, str(error)) from None
    check = facts.pop("check", None) if isinstance(facts, dict) else None
    if check is None or check != digest_of_settings(facts):
        raise _damaged(folder, f"{STATE_FILE} was altered")
    return facts


def load_state(folder: Path) -> State:
    """The state in a folder.

    Raises:
        ConfigurationError: it is damaged.
    """
    facts = read_facts(folder)
    try:
        if _digest(folder / TENSORS_FILE) != facts["digest"]:
            raise _damaged(folder, f"{TENSORS_FILE} is not what {STATE_FILE} describes")
        tensors = load_file(folder / TENSORS_FILE)
    except (OSError, SafetensorError) as error:
        raise _damaged(folder, str(error)) from None
    return State(facts["step"], facts, tensors)


def _damaged(folder: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"The state of a training in {folder} is damaged ({reason}): delete {folder.parent} to "
        "start that training from the beginning."
    )


def _latest(folder: Path) -> Path | None:
    return max(folder.glob("step-*"), key=_step, default=None)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
