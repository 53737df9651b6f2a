"""Where and in what arithmetic networks run."""

from typing import Literal

from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError

Arithmetic = Literal["float32", "bfloat16"]


def resolve_device(settings: Settings) -> str:
    """The torch device that the settings mean: `auto` takes CUDA where there is any.

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
