"""Old names of settings: accepted for one version, and kept for good in stored files.

Settings files, environment variables and keyword arguments may use an old name until `REMOVED_IN`,
with one warning. Stored files (`training.json`, evaluations, states of trainings) and the digests
made of them keep the old names, so that identities and data versions stay as they are.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from mediafm_core.renamed import REMOVED_IN

OLD_NAMES: dict[str, dict[str, str]] = {
    "evaluation": {"bootstrap_samples": "bootstrap"},
    "model": {"novelty": "structure"},
    "objective": {"mask_ratio": "mask_share"},
    "training": {
        "validation_fraction": "validation_share",
        "warmup_ratio": "warmup_share",
    },
}
"""The old name of each renamed setting, by section and new name."""

_log = logging.getLogger(__name__)
_loading: ContextVar[bool] = ContextVar("_loading", default=False)
_logged: set[str] = set()


def old_setting_names() -> Iterator[str]:
    """Yield the old names with their sections, such as `objective.mask_share`."""
    for section, names in OLD_NAMES.items():
        for old in names.values():
            yield f"{section}.{old}"


def with_new_names(section: str, given: Mapping[str, Any], stacklevel: int) -> dict[str, Any]:
    """Return values of a section with new names in place of old ones, and warn of each old one.

    Args:
        section: name of the section.
        given: values by new or old names.
        stacklevel: frames between the warning and the code that it is about, as for
            `warnings.warn` called here.

    Raises:
        ValueError: a setting is given by both of its names.
    """
    values = dict(given)
    for new, old in OLD_NAMES.get(section, {}).items():
        if old not in values:
            continue
        if new in values:
            raise ValueError(f"{old} is the old name of {new}, and both are given: give {new} only")
        _warn(f"{section}.{old}", f"{section}.{new}", stacklevel + 1)
        values[new] = values.pop(old)
    return values


def with_recorded_names(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of a section under the names, and in the order, that stored files have."""
    old_names = OLD_NAMES.get(section, {})
    return {old_names.get(name, name): value for name, value in values.items()}


def new_name(section: str, old: str, stacklevel: int) -> str | None:
    """Return the new name of a setting by its old one, with a warning; None if it has none."""
    for new, each in OLD_NAMES.get(section, {}).items():
        if each == old:
            _warn(f"{section}.{old}", f"{section}.{new}", stacklevel + 1)
            return new
    return None


@contextmanager
def warnings_in_log() -> Iterator[None]:
    """Log old names that are found meanwhile, once each, in place of `DeprecationWarning`s.

    People who write settings files see the log; a `DeprecationWarning` is for those who write code.
    """
    token = _loading.set(True)
    try:
        yield
    finally:
        _loading.reset(token)


def _warn(old: str, new: str, stacklevel: int) -> None:
    message = f"Setting {old} is now {new}: the old name goes with version {REMOVED_IN}."
    if not _loading.get():
        warnings.warn(message, DeprecationWarning, stacklevel)
    elif old not in _logged:
        _logged.add(old)
        _log.warning(message)
