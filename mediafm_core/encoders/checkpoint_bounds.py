"""Bounds of checkpoints that the settings name, checked before a library builds their network.

A library allocates memory by a checkpoint's configuration before it reads the weights. Here the
numbers of that configuration are bounded, and the number of weights is compared with the size of
their file.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mediafm_core.disk.strict_json import parse_json, read_bounded
from mediafm_core.errors import ConfigurationError

_MOST_BYTES = 1 << 20
_MOST = 1 << 20  # of any number; the largest of real ones are the sizes of vocabularies
_MOST_LAYERS = 512
_LEAST_BYTES = 1  # of a parameter, in any format of weights
# Parts of the names of numbers that are at least one.
_SIZES = ("layers", "width", "size", "heads", "dim", "context_length", "kernel", "stride")
_MAY_BE_ZERO = ("num_adapter_layers",)
_SHOWN = 40  # characters of a value


def read_configuration(
    path: Path, setting: str, check: Callable[[Mapping[str, Any]], object] = bool
) -> dict[str, Any]:
    """Return a checkpoint's JSON file, all of whose numbers are possible.

    Args:
        path: of the file; a link of the hub's cache is followed, a pipe is refused.
        setting: the setting that named the checkpoint, for errors.
        check: called with the content; raises a ValueError for what it refuses.

    Raises:
        ConfigurationError: it is damaged or has an impossible number, with field and value.
    """
    try:
        document = parse_json(read_bounded(path, _MOST_BYTES))
        if not isinstance(document, dict):
            raise ValueError("no JSON object")
        _check("", document)
        check(document)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} cannot be used ({error}): copy the checkpoint again or name another in "
            f"`{setting}`."
        ) from None
    return document


def require_weights_for(
    parameters: float, configuration: Path, weights: Path, setting: str
) -> None:
    """Refuse a configuration of more weights than their file can hold.

    Args:
        parameters: least number of weights of the network.
        configuration: file of the configuration.
        weights: the file of the weights.
        setting: the setting that named the checkpoint.

    Raises:
        ConfigurationError: the file is too small.
    """
    size = weights.stat().st_size
    if parameters * _LEAST_BYTES > size:
        raise ConfigurationError(
            f"{configuration} needs {parameters:.2g} weights and {weights.name} has {size:,} "
            f"bytes: copy the checkpoint again or name another in `{setting}`."
        )


def number(settings: Mapping[str, Any], name: str, default: int) -> int:
    """Return a whole number of a configuration, or the default of the library that reads it.

    Raises:
        ValueError: it is no whole number of at least one.
    """
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {_shown(value)} and should be a whole number above 0")
    return value


def _check(name: str, value: Any) -> None:
    """Raise a ValueError for an impossible number anywhere in a document."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            _check(key, each)
    elif isinstance(value, list):
        for each in value:
            _check(name, each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        is_size = any(part in name for part in _SIZES) and name not in _MAY_BE_ZERO
        most = _MOST_LAYERS if "layers" in name or "depth" in name else _MOST
        if not -_MOST <= value <= most or (is_size and isinstance(value, int) and value < 1):
            least = 1 if is_size else -_MOST
            raise ValueError(f"{name[:_SHOWN]} is {_shown(value)} and not in {least} to {most}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
