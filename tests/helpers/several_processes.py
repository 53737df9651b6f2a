"""Processes that train together, and the tolerances of comparing what they learn."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from mediafm_core.model.training.distributed import process_group


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


# Other splits of a step sum float32 numbers in another order: seen 5e-6 after six steps of AdamW,
# which scales small gradients up.
# Muon's iteration enlarges it:
# seen 1.3e-4, 6e-6 in the mean.
TOLERANCES = {"adamw": 2e-5, "muon": 5e-4}


def together(size: int, work: Callable[..., None], *arguments: object) -> None:
    """Train in processes forked from this one, which saves importing torch again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        _join_and_work, (size, port, work, arguments), nprocs=size, start_method="fork"
    )


def _join_and_work(
    rank: int, size: int, port: int, work: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    names = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in names.items()}
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    with process_group("cpu") as world:
        work(world, *arguments)
