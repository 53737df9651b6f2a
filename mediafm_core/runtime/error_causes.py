"""Causes of errors: the title's input, the settings, the machine, or unknown.

Only an error that names the input blames a title, and such an error is a `TitleError`, raised by
code that has examined the input. Libraries fail in many other ways when a disk is full or memory
runs out, often with an error of their own that has lost the system's number. The tables below say
which of them are the machine's, and why; `fault_of` reads them.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from mediafm_core.errors import (
    ConfigurationError,
    IdentityMismatchError,
    MachineError,
    StoreError,
    TitleError,
)


class Cause(Enum):
    """Cause of an error, and what a run does about it."""

    TITLE = "the input: the title is quarantined, the others continue"
    SETTINGS = "settings or packages: the run stops, and a retry cannot help"
    MACHINE = "the machine: the run stops, and may be run again later"
    STORE = "an artefact or its file: the others continue, the title is never quarantined for it"
    MEMORY = "memory: as unknown, since a title may need more than the machine has"
    UNKNOWN = "unknown: the others continue; the title is quarantined once a trial shows its fault"


class Fault(NamedTuple):
    """Cause of an error.

    Attributes:
        cause: see `Cause`.
        error: the error of the chain that has this cause.
        remedy: for the message; empty if the error has its own.
    """

    cause: Cause
    error: BaseException
    remedy: str = ""


# System error numbers that no input can cause. Not among them: "no such file" and "permission
# denied", which concern one file, and "invalid argument", which decoders return for damaged data.
_MACHINE_NUMBERS: dict[int, str] = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT), "make room there, or move inbox, store or cache elsewhere"
    ),
    errno.EFBIG: "raise the limit on file sizes (`ulimit -f`)",
    errno.EROFS: "mount it writable",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit of open files (`ulimit -n`)"),
    # FFmpeg passes EIO on from the device as well; for damaged data it has numbers of its own.
    **dict.fromkeys(
        (errno.EIO, errno.ENXIO, errno.ENODEV),
        "check the device and the system's log",
    ),
    **dict.fromkeys(
        (
            *(errno.ESTALE, errno.ENOLCK, errno.ETIMEDOUT, errno.ECONNREFUSED),
            *(errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN, errno.EPIPE),
            *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH),
        ),
        "check the network and the file system that is mounted over it",
    ),
}
_GPU_REMEDY = "check the GPU (`nvidia-smi`) and its driver"

# Texts of memory that ran out, where the error is no `MemoryError` (numpy, Arrow and PyAV raise
# one). They come before the texts of machines: a GPU's memory is no fault of the GPU.
_MEMORY_TEXTS: tuple[tuple[str, str], ...] = (
    ("out of memory", "torch (CUDA), CTranslate2, DuckDB"),
    ("can't allocate memory", "torch: a RuntimeError of its CPU allocator"),
    ("Cannot allocate memory", "the system's text for ENOMEM, in any library"),
    ("Failed to allocate memory", "ONNX Runtime"),
    ("bad allocation", "ONNX Runtime, CTranslate2: std::bad_alloc on Windows"),
    ("std::bad_alloc", "ONNX Runtime, CTranslate2, Arrow's C++"),
)
# Texts of machines, where the error has lost the system's number.
_MACHINE_TEXTS: tuple[tuple[str, str, str], ...] = (
    # DuckDB (IOException, TransactionException), safetensors, torch and zip quote the system.
    *((os.strerror(number), "quoted", remedy) for number, remedy in _MACHINE_NUMBERS.items()),
    ("database or disk is full", "SQLite", _MACHINE_NUMBERS[errno.ENOSPC]),
    # SQLite's text for a journal without space, and for bad devices.
    ("disk I/O error", "SQLite", f"make room, or {_MACHINE_NUMBERS[errno.EIO]}"),
    ("unable to open database file", "SQLite", f"make room, or {_MACHINE_NUMBERS[errno.EIO]}"),
    ("inline_container.cc", "torch.save on a full disk", _MACHINE_NUMBERS[errno.ENOSPC]),
    ("CUDA error", "torch", _GPU_REMEDY),
    ("CUDA failed with error", "CTranslate2", _GPU_REMEDY),
    ("CUDA failure", "ONNX Runtime", _GPU_REMEDY),
    ("cuDNN error", "torch", _GPU_REMEDY),
    ("CUBLAS_STATUS", "torch", _GPU_REMEDY),
)
_MEMORY_REMEDY = "free memory, or give the machine more"
_PACKAGES_REMEDY = "install the packages again with `make setup`, or from constraints.txt"


def fault_of(error: BaseException) -> Fault:
    """Return the cause of an error, looking along the chain of errors that it was raised from.

    An error of the machine anywhere in the chain takes precedence: a file may seem truncated
    because the disk could not read it.
    """
    chain = tuple(_chain(error))
    for each in chain:
        remedy = _machine_remedy(each)
        if remedy:
            return Fault(Cause.MACHINE, each, remedy)
    for each in chain:
        if _is_of_memory(each):
            return Fault(Cause.MEMORY, each, _MEMORY_REMEDY)
    if isinstance(error, TitleError):
        return Fault(Cause.TITLE, error)
    if isinstance(error, ConfigurationError | IdentityMismatchError):
        return Fault(Cause.SETTINGS, error)
    if isinstance(error, ImportError):
        return Fault(Cause.SETTINGS, error, _PACKAGES_REMEDY)
    if isinstance(error, MachineError):
        return Fault(Cause.MACHINE, error)
    # A file that the system cannot open. Readers of inputs raise a TitleError in that case. Without
    # a number it is no system error: Arrow and PIL raise OSError for data that they cannot decode.
    if isinstance(error, StoreError) or (isinstance(error, OSError) and error.errno is not None):
        return Fault(Cause.STORE, error)
    return Fault(Cause.UNKNOWN, error)


def in_one_line(error: BaseException) -> str:
    """Return the kind and the first line of an error's text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def machine_sentence(fault: Fault, places: Iterable[Path] = ()) -> str:
    """Return a message about an error of the machine: error, place and remedy.

    Args:
        fault: whose cause is the machine.
        places: folders that are written to; the fullest is named if the error names none.
    """
    if not fault.remedy:
        return str(fault.error)
    place = ""
    if fault.remedy == _MACHINE_NUMBERS[errno.ENOSPC]:
        named = getattr(fault.error, "filename", None)
        found = [_room(Path(named))] if named and Path(str(named)).is_absolute() else []
        rooms = found or [_room(each) for each in places]
        if rooms:
            place = f" {min(rooms).described}"
    return f"This machine fails ({in_one_line(fault.error)}){place}: {fault.remedy}."


# With less free space, an error of unknown cause counts as the disk's: the files of the failed work
# are removed before the free space is measured.
_LOW_BYTES = 64 << 20
_LOW_FILES = 256


def low_on_room(places: Iterable[Path]) -> str | None:
    """Return a message about the first of some folders whose disk is nearly full, or None.

    Args:
        places: folders that are written to; the nearest existing parent is measured.
    """
    for room in map(_room, places):
        if room.bytes < _LOW_BYTES or room.files < _LOW_FILES:
            return f"{room.described}: {_MACHINE_NUMBERS[errno.ENOSPC]}."
    return None


def temporary_folder() -> Path:
    """Return the folder of temporary files, of this process and of the libraries in it."""
    return Path(tempfile.gettempdir())


class _Room(NamedTuple):
    """Free room on a folder's disk, the fullest first when sorted; `files` is the inodes left."""

    bytes: int
    files: float
    place: str

    @property
    def described(self) -> str:
        files = f" and room for {self.files:.0f} files" if self.files < _LOW_FILES else ""
        return f"{self.place} has {_in_units(self.bytes)} free{files}"


def _room(place: Path) -> _Room:
    folder = next(each for each in (place, *place.absolute().parents) if each.is_dir())
    status = os.statvfs(folder)
    files = status.f_favail if status.f_files else float("inf")  # some file systems count none
    return _Room(shutil.disk_usage(folder).free, files, str(place))


def _in_units(size: int) -> str:
    mebibytes = size / (1 << 20)
    return f"{mebibytes:,.0f} MiB" if mebibytes >= 10 else f"{mebibytes:.1f} MiB"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and the errors that it was raised from, up to a `from None`."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or (
            None if following.__suppress_context__ else following.__context__
        )


def _machine_remedy(error: BaseException) -> str:
    """Return the remedy for an error of the machine; empty for any other."""
    if isinstance(error, OSError):
        if error.errno in _MACHINE_NUMBERS:
            return _MACHINE_NUMBERS[error.errno]
        if isinstance(error, ConnectionError | TimeoutError):
            return _MACHINE_NUMBERS[errno.ETIMEDOUT]
    if _is_ours(error) or _is_of_memory(error):
        return ""
    text = str(error)
    return next((remedy for found, _, remedy in _MACHINE_TEXTS if found in text), "")


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    if _is_ours(error):
        return False
    return any(found.lower() in str(error).lower() for found, _ in _MEMORY_TEXTS)


def _is_ours(error: BaseException) -> bool:
    """Return True if an error is of a class of this project, whose texts quote others."""
    return type(error).__module__.startswith("mediafm_")
