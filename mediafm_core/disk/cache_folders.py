"""The user's cache folder, for what can be made again at any time."""

import os
from pathlib import Path

from mediafm_core.errors import ConfigurationError


def user_cache() -> Path:
    """Return `$XDG_CACHE_HOME/mediafm`, or `~/.cache/mediafm`; it may not exist.

    Source: XDG Base Directory Specification.
    """
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "mediafm"


def cache_folder(name: str = "") -> Path:
    """Return a folder in the user's cache folder, or that one itself; it is made if need be.

    Raises:
        ConfigurationError: it cannot be made.
    """
    folder = user_cache() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The cache folder {folder} cannot be made ({error.strerror}): set XDG_CACHE_HOME to a "
            "folder that can be written."
        ) from None
    return folder
