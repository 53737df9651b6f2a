"""How an encoder's network runs: arithmetic and threads. The device: `runtime.device`."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.runtime.device import Arithmetic, resolve_device

if TYPE_CHECKING:
    import torch


def arithmetic(settings: Settings) -> Arithmetic:
    """`float32` or `bfloat16`: part of the identity of every encoder.

    "auto" is float32, so that all machines of a catalogue make the same vectors. bfloat16 is two
    to five times as fast where it is native, and has to be asked for.
    """
    return "float32" if settings.precision == "auto" else settings.precision


def torch_dtype(settings: Settings) -> "torch.dtype":
    """The arithmetic as torch names it."""
    import torch

    return torch.bfloat16 if arithmetic(settings) == "bfloat16" else torch.float32


@contextmanager
def inference(settings: Settings) -> Iterator[None]:
    """Run torch without gradients and with the asked-for threads, then restore their number."""
    import torch

    before = torch.get_num_threads()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        if settings.threads:
            torch.set_num_threads(before)


def check_device(settings: Settings) -> None:
    """Make sure that the device is on this machine; torch is imported only to look for a GPU.

    Raises:
        ConfigurationError: there is no such device.
    """
    if settings.device not in ("auto", "cpu"):
        resolve_device(settings)


def require_module(module: str, distribution: str) -> None:
    """Make sure that a package can be imported, without importing it.

    Raises:
        ConfigurationError: it is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise ConfigurationError(
            f"The package {distribution} is not installed: run `pip install {distribution}`."
        )
