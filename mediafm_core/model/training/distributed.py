"""The processes of a data-parallel training, one per GPU, started by torchrun.

Each computes its sequences of every step, DistributedDataParallel adds the gradients up, and all
take the same update. The first one alone writes files.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from mediafm_core.errors import ConfigurationError


@dataclass(frozen=True)
class World:
    """The processes that train together, and this one's place among them; by default it is alone.

    Attributes:
        rank: of this process.
        size: how many there are.
        device: of this process.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and reports."""
        return self.rank == 0

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def agree(self, what: str, digest: str) -> None:
        """Refuse to train together on different things.

        Args:
            what: is compared, for the error.
            digest: hexadecimal, of the same length in every process.

        Raises:
            ConfigurationError: another process has another digest.
        """
        if self.size == 1:
            return
        # As numbers: torch would exchange objects as pickles.
        own = torch.tensor(list(bytes.fromhex(digest)), dtype=torch.uint8, device=self.device)
        everyone = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(everyone, own)
        if any(not torch.equal(own, other) for other in everyone):
            found = ", ".join(bytes(other.tolist()).hex() for other in everyone)
            raise ConfigurationError(
                f"The processes of this training have different {what} ({found}): start them "
                "together, with the same settings, on a store that nobody changes."
            )

    def parallel(self, module: nn.Module) -> nn.Module:
        """The module with gradients that are the mean over all processes."""
        if self.size == 1:
            return module
        return nn.parallel.DistributedDataParallel(
            module, broadcast_buffers=False, gradient_as_bucket_view=True
        )


def without_exchange(module: nn.Module, alone: bool) -> AbstractContextManager[None]:
    """While `alone`, gradients add up in this process and wait to be exchanged."""
    if alone and isinstance(module, nn.parallel.DistributedDataParallel):
        return module.no_sync()
    return nullcontext()


@contextmanager
def joined_world(device: str) -> Iterator[World]:
    """Meet the processes that torchrun started with this one.

    Args:
        device: what the settings mean; `cuda` becomes the GPU of this process.

    Raises:
        ConfigurationError: there are fewer GPUs than processes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(device=device)
        return
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        local, found = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= found:
            raise ConfigurationError(
                f"training.processes asks for a GPU per process and this machine has {found}: "
                f"lower it to {found} or set device to cpu."
            )
        device = f"cuda:{local}"
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
