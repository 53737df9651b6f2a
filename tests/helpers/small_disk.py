"""Small file systems of their own, to fill up; only root may mount them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_MOUNT = "this machine does not let the tests mount a file system (root on Linux may)"


class NoMountError(Exception):
    """Error for a system that refuses to mount."""


@contextmanager
def small_disk(folder: Path, kib: int, files: int | None = None) -> Iterator[Path]:
    """Mount an empty file system of a size on a folder, and unmount it at the end.

    Args:
        folder: made if need be.
        kib: its size in KiB.
        files: inodes; None for the default number.

    Raises:
        NoMountError: it cannot be mounted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={kib}k" + (f",nr_inodes={files}" if files else "")
    _run("mount", "-t", "tmpfs", "-o", options, "mediafm-test", str(folder))
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


def resize(folder: Path, kib: int) -> None:
    """Change the size of a mounted file system and keep its files."""
    _run("mount", "-o", f"remount,size={kib}k", str(folder))


@contextmanager
def failing_disk(folder: Path, content: dict[str, Path]) -> Iterator[Path]:
    """Mount a disk that cannot read the second half of its files: a failing device.

    Args:
        folder: for the image and the place where it is mounted.
        content: files to put on it, by their names there.

    Raises:
        NoMountError: it cannot be made or mounted.
    """
    image, place = folder / "image", folder / "mounted"
    place.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(48 << 20)
    _run("mkfs.ext4", "-q", "-b", "1024", str(image))
    _run("mount", "-o", "loop", str(image), str(place))
    try:
        for name, source in content.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(source.read_bytes())
        os.sync()
        ends = [_middle_byte(place / name) for name in content]
        os.truncate(image, max(ends))  # the device has no bytes behind the middle
        Path("/proc/sys/vm/drop_caches").write_text("1")
        yield place
    finally:
        _run("umount", "--lazy", str(place))


def _middle_byte(path: Path) -> int:
    """Return where the middle of a file lies on its device, bytes."""
    lines = _run("filefrag", "-b1024", "-v", str(path)).splitlines()
    extents = [line.replace("..", " ").split() for line in lines if line.lstrip()[:1].isdigit()]
    first = [int(each.rstrip(".:")) for each in extents[0][1:5]]
    return (first[2] + (first[3] - first[2]) // 2) * 1024


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoMountError(f"{command[0]}: {getattr(error, 'stderr', None) or error}") from None
    return done.stdout
