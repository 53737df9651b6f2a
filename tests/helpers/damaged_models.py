"""Kinds of damage to the folder of a trained model, and the message expected for each."""

import json
from collections.abc import Callable
from pathlib import Path

import torch


def truncate(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])


def alter(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\x80\x3f")


def add_pickle(folder: Path) -> None:
    torch.save({}, folder / "optimiser.pt")


def replace_by_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def lose_curve(folder: Path) -> None:
    path = folder / "training.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "curve": []}))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, "truncated or damaged"),
    "altered": (alter, "records another identity"),
    "a pickle beside": (add_pickle, r"optimiser\.pt, a pickle, .*delete that file"),
    "a pickle instead": (replace_by_pickle, r"pytorch_model\.bin, a pickle"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    "no curve": (lose_curve, "does not say what was trained"),
    "another's name": (
        lambda folder: folder.rename(folder.parent / "mediafm-1@0123456789abcdef"),
        "give the folder that name",
    ),
}
