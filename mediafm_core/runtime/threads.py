"""Number of CPU threads that torch uses."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set torch's number of CPU threads within the block, and restore it after.

    Args:
        count: number of threads; 0 leaves the number as it is.
    """
    import torch

    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count:
            torch.set_num_threads(before)
