"""Device that networks run on, and the context of their inference."""

from collections.abc import Iterator
from contextlib import contextmanager

from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.runtime.threads import torch_threads


def resolve_device(settings: Settings) -> str:
    """Return the torch device that the settings mean: `auto` is CUDA where there is any.

    Raises:
        ConfigurationError: the machine has no such device.
    """
    import torch

    if settings.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(settings.device)
    except RuntimeError:
        raise ConfigurationError(
            f"Setting 'device' is {settings.device!r}: write auto, cpu, cuda or cuda:N."
        ) from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"Setting 'device' is {settings.device!r} but this machine has "
            f"{torch.cuda.device_count()} CUDA devices: choose another or auto."
        )
    return settings.device


def check_device(settings: Settings) -> None:
    """Refuse a device that this machine lacks; torch is imported only to look for a GPU.

    Raises:
        ConfigurationError: there is no such device.
    """
    if settings.device not in ("auto", "cpu"):
        resolve_device(settings)


@contextmanager
def inference(settings: Settings) -> Iterator[None]:
    """Run torch without gradients and with the number of threads of the settings."""
    import torch

    with torch_threads(settings.threads), torch.inference_mode():
        yield
