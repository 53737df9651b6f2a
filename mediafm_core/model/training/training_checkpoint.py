"""Checkpoints of unfinished trainings on disk, which a killed training resumes from.

<store>/training/
  <key>.lock              held by the process that trains
  <key>/
    step-00000400/
      state.json          step, curve and all other numbers; digest of the tensors
      state.safetensors   weights, best weights so far, moments of the optimisers

The key is a digest of everything that decides the weights: settings, data versions, precision, the
network's version, the weights to start from. A checkpoint is written atomically, and the one
before is removed only then. The folder is removed once the trained model is saved. Checkpoints that
no training has resumed for `DAYS_KEPT` days are removed by the next training in the store.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mediafm_core.disk.atomic import atomic_folder, to_disk
from mediafm_core.disk.locks import locked_if_free
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import digest_of_settings
from mediafm_core.runtime.clock import is_ahead

STATE_VERSION = 1  # of the files, and of how steps follow from settings
STATE_FILE, TENSORS_FILE = "state.json", "state.safetensors"
DAYS_KEPT = 14
_LOCK = ".lock"


class Checkpoint(NamedTuple):
    """A checkpoint that has been read."""

    folder: Path
    step: int
    metadata: dict[str, Any]  # JSON
    tensors: dict[str, torch.Tensor]

    def below(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the tensors whose names begin with `prefix`, by the rest of their names."""
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }


class Checkpoints:
    """Checkpoints of one training; only the newest is kept. Save and remove while `held`.

    Args:
        root: folder of the checkpoints of all trainings of a store.
        request: JSON-representable, everything that decides the weights.
    """

    def __init__(self, root: Path, request: Mapping[str, Any]) -> None:
        self.key = digest_of_settings({"version": STATE_VERSION, **request})
        self.folder = root / self.key

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock this training against other processes; a lock ends with its process.

        Hold it from before a checkpoint is loaded until after the model is saved.

        Raises:
            ConfigurationError: another process holds it, or the folder cannot be written.
        """
        lock = ExitStack()
        try:
            lock.enter_context(locked_if_free(_lock_of(self.folder)))
        except BlockingIOError:
            raise ConfigurationError(
                f"The training of {self.folder} is being trained by another process: wait for it "
                "or end it."
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"{self.folder.parent} cannot hold the checkpoints of a training ({error}): make "
                "space or fix its permissions."
            ) from None
        try:
            with lock:
                yield
        finally:
            with suppress(OSError):  # others train, or have checkpoints there
                self.folder.parent.rmdir()

    def latest(self) -> Path | None:
        """Return the folder of the newest checkpoint, None before the first."""
        return _latest(self.folder)

    def load(self) -> Checkpoint | None:
        """Load the newest checkpoint, None before the first.

        Raises:
            ConfigurationError: it is damaged.
        """
        newest = self.latest()
        return None if newest is None else load_checkpoint(newest)

    def save(
        self, step: int, metadata: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
    ) -> None:
        """Save a checkpoint and remove the one before.

        Args:
            step: after which it is.
            metadata: JSON-representable.
            tensors: by name.

        Raises:
            ConfigurationError: it cannot be written (disk full, no permission); the checkpoint
                before is still there.
        """
        before = list(self.folder.glob("step-*"))
        folder = self.folder / f"step-{step:08}"
        try:
            for unfinished in self.folder.glob(".step-*"):  # of a killed process
                shutil.rmtree(unfinished)
            with atomic_folder(folder, durable=True, is_replaced=lambda _folder: True) as prepared:
                save_file(
                    {name: _on_cpu(each) for name, each in tensors.items()}, prepared / TENSORS_FILE
                )
                digest = _digest(prepared / TENSORS_FILE)
                document = {"step": step, "key": self.key, "digest": digest, **metadata}
                document["check"] = digest_of_settings(document)
                (prepared / STATE_FILE).write_text(json.dumps(document, indent=1) + "\n")
            to_disk(self.folder)
        except (OSError, SafetensorError) as error:
            kept = f"step {_step(before[-1])} is kept" if before else "none is kept"
            raise ConfigurationError(
                f"The checkpoint after step {step} cannot be saved in {self.folder} "
                f"({error}; {kept}): make space and train again, which resumes from there."
            ) from None
        for old in before:
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)

    def remove(self) -> None:
        """Remove the checkpoints, once the model is saved."""
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_old_checkpoints(
    root: Path, kept: Collection[Path | None] = (), days: float = DAYS_KEPT
) -> list[Path]:
    """Remove checkpoints of trainings that were last saved `days` ago and are not running.

    Locks that killed processes left without a checkpoint are removed as well, whatever their age.

    Args:
        root: folder of all checkpoints.
        kept: folders that stay, with all folders above or below them.
        days: age in days.

    Returns:
        The folders that were removed.
    """
    now = time.time()
    oldest = now - days * 86400
    removed = []
    for path in sorted(root.iterdir()) if root.exists() else ():
        if any(each and path in (each, *each.parents) for each in kept):
            continue
        with suppress(OSError):  # in use, gone meanwhile, or another user's
            if path.suffix == _LOCK:
                if not path.with_suffix("").exists():
                    with locked_if_free(path):
                        pass  # its end removes the file
            elif is_ahead(path.stat().st_mtime, now):
                os.utime(path)  # its age counts from now
            elif path.stat().st_mtime < oldest:
                with locked_if_free(_lock_of(path)):
                    shutil.rmtree(path, ignore_errors=True)
                    removed.append(path)
    return removed


def find_checkpoint(folder: Path) -> Path | None:
    """Return `folder` if it is a checkpoint, else the newest one below it; None without any."""
    return folder if (folder / STATE_FILE).exists() else _latest(folder)


def read_metadata(folder: Path) -> dict[str, Any]:
    """Read `state.json` of a checkpoint's folder.

    Raises:
        ConfigurationError: it is missing or damaged.
    """
    try:
        metadata = json.loads((folder / STATE_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise damaged_checkpoint(folder, str(error)) from None
    check = metadata.pop("check", None) if isinstance(metadata, dict) else None
    if check is None or check != digest_of_settings(metadata):
        raise damaged_checkpoint(folder, f"{STATE_FILE} was altered")
    return metadata


def load_checkpoint(folder: Path) -> Checkpoint:
    """Load the checkpoint in a folder.

    Raises:
        ConfigurationError: it is damaged.
    """
    metadata = read_metadata(folder)
    try:
        if _digest(folder / TENSORS_FILE) != metadata["digest"]:
            raise damaged_checkpoint(folder, f"{TENSORS_FILE} is not what {STATE_FILE} describes")
        tensors = load_file(folder / TENSORS_FILE)
    except (OSError, SafetensorError) as error:
        raise damaged_checkpoint(folder, str(error)) from None
    return Checkpoint(folder, metadata["step"], metadata, tensors)


def damaged_checkpoint(folder: Path, reason: str) -> ConfigurationError:
    """Return the error for a checkpoint that cannot be resumed."""
    return ConfigurationError(
        f"The checkpoint {folder} is damaged ({reason}): delete the folder that holds it, "
        "and train again."
    )


def _latest(folder: Path) -> Path | None:
    return max(folder.glob("step-*"), key=_step, default=None)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)


def _on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
