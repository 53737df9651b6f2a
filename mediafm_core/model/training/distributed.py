"""Data-parallel training: processes started by torchrun, one per GPU.

Each computes its sequences of every step, DistributedDataParallel sums the gradients, and all
processes take the same update. Only the first one writes files.
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
    """Processes that train together; by default this one alone.

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
        """True for the process that writes files and reports progress."""
        return self.rank == 0

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def agree(self, what: str, digest: str) -> None:
        """Refuse to train together on different data or settings.

        Args:
            what: name of what is compared, for the error.
            digest: hexadecimal, of the same length in every process.

        Raises:
            ConfigurationError: the digests of the processes differ.
        """
        if self.size == 1:
            return
        # A tensor, because torch exchanges objects as pickles.
        own = torch.tensor(list(bytes.fromhex(digest)), dtype=torch.uint8, device=self.device)
        gathered = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(gathered, own)
        if any(not torch.equal(own, other) for other in gathered):
            found = ", ".join(bytes(other.tolist()).hex() for other in gathered)
            raise ConfigurationError(
                f"The processes of this training have different {what} ({found}): start them "
                "together, with the same settings, on a store that does not change meanwhile."
            )

    def parallel(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that its gradients are the mean over all processes."""
        if self.size == 1:
            return module
        return nn.parallel.DistributedDataParallel(
            module, broadcast_buffers=False, gradient_as_bucket_view=True
        )


def without_gradient_sync(module: nn.Module, enabled: bool) -> AbstractContextManager[None]:
    """Accumulate gradients in this process while `enabled`; the next backward pass syncs them."""
    if enabled and isinstance(module, nn.parallel.DistributedDataParallel):
        return module.no_sync()
    return nullcontext()


@contextmanager
def process_group(device: str) -> Iterator[World]:
    """Join the process group of the processes that torchrun started.

    Args:
        device: of the settings, resolved; `cuda` becomes the GPU of this process.

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
                f"training.processes needs a GPU per process and this machine has {found}: "
                f"lower it to {found} or set device to cpu."
            )
        device = f"cuda:{local}"
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
