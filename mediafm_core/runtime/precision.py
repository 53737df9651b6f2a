"""Precision of networks: what the settings mean on a device, and torch's names for it."""

from typing import TYPE_CHECKING, Literal

from mediafm_core.config.section import PrecisionSetting
from mediafm_core.config.settings import Settings

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]


def vector_precision(settings: Settings) -> Precision:
    """Return the precision of networks whose vectors are stored: part of encoders' identities.

    "auto" is float32, so that all machines of a catalogue compute the same vectors. bfloat16 is two
    to five times as fast where it is native, and is used only where the settings say so.
    """
    return "float32" if settings.precision == "auto" else settings.precision


def fast_precision(
    setting: PrecisionSetting, device: "torch.device | str", on_cpu: bool = False
) -> Precision:
    """Return the precision of a computation that may use what its machine is fast at.

    Args:
        setting: "auto" is bfloat16 where the device supports it natively, else float32.
        device: such as `cpu` or `cuda:0`.
        on_cpu: take bfloat16 also on CPUs that have matrix units for it (AMX).
    """
    if setting != "auto":
        return setting
    import torch

    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = on_cpu and bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return "bfloat16" if native else "float32"


def torch_dtype(precision: Precision) -> "torch.dtype":
    """Return torch's name of a precision."""
    import torch

    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def autocast(device: "torch.device", precision: Precision) -> "torch.autocast":
    """Return the context in which a network computes in a precision; its weights stay float32."""
    import torch

    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
