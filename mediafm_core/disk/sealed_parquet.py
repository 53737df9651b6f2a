"""Parquet files with page checksums, and a seal (SHA-256) before the footer.

Page checksums (CRC-32, a part of the format) cover the data that a reader decodes. They cover
neither the footer, which has offsets, types, statistics and the artefact's record, nor bytes that
readers skip. So two lines are between the data and the footer, where the format allows other bytes:
the SHA-256 of everything before them, and that of everything after them.

    open_parquet    compares the footer, and each page as it is read: costs almost nothing
    check_parquet   compares every byte: for DuckDB, which does not check pages, and for `verify`
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.disk.seals import LINE_BYTES, SealError, is_like_line, line, sha256_of

SEAL_BYTES = 2 * LINE_BYTES
_END_BYTES = 8  # the footer's length in four bytes, and the magic number
_TAIL_BYTES = 16 << 10  # read at once: nearly every footer is shorter
_REASON_LETTERS = 60  # of Arrow's text, in a message with a path and a remedy

_FOOTER = "its footer has changed since it was written"
_DATA = "its SHA-256 has changed since it was written"


def write_parquet(table: pa.Table, path: Path, **options: Any) -> None:
    """Write a sealed file with page checksums; the options are those of `pq.write_table`."""
    pq.write_table(table, path, write_page_checksum=True, **options)
    seal_parquet(path)


def parquet_writer(path: Path, schema: pa.Schema, **options: Any) -> pq.ParquetWriter:
    """Return a writer of page checksums; call `seal_parquet` once it is closed."""
    return pq.ParquetWriter(path, schema, write_page_checksum=True, **options)


def seal_parquet(path: Path) -> None:
    """Add a seal to a Parquet file that has none."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        footer_bytes = tail_bytes(_read_end(file, size, _END_BYTES)) - SEAL_BYTES
        footer = _read_end(file, size, footer_bytes)
        file.seek(0)
        data = sha256_of(file, size - footer_bytes)
        file.seek(size - footer_bytes)
        file.write(line(data) + line(hashlib.sha256(footer).digest()) + footer)


def tail_bytes(end: bytes) -> int:
    """Return the length of seal and footer together, by the last bytes of a file."""
    return SEAL_BYTES + int.from_bytes(end[-_END_BYTES:-4], "little") + _END_BYTES


def check_footer(tail: bytes) -> bool:
    """Compare a footer with its seal; False where it has none.

    Args:
        tail: the last bytes of a file, `tail_bytes` of them at least or the whole file.

    Raises:
        SealError: the footer is damaged.
    """
    wanted = tail_bytes(tail)
    if wanted > len(tail):
        return False
    tail = tail[-wanted:]
    seal, footer = tail[:SEAL_BYTES], tail[SEAL_BYTES:]
    if not (is_like_line(seal[:LINE_BYTES]) or is_like_line(seal[LINE_BYTES:])):
        return False
    if seal[LINE_BYTES:] != line(hashlib.sha256(footer).digest()):
        raise SealError(_FOOTER)
    return True


def open_parquet(path: Path, *, memory_map: bool = False) -> pq.ParquetFile:
    """Open a file after comparing its footer; its pages are compared as they are read.

    A file without seal or page checksums is read as it is.

    Raises:
        FileNotFoundError: there is none.
        SealError, pa.ArrowException, OSError: it is damaged; see `decoding`.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        tail = _read_end(file, size, _TAIL_BYTES)
        if tail_bytes(tail) > len(tail):
            tail = _read_end(file, size, tail_bytes(tail))
        check_footer(tail)
    return pq.ParquetFile(path, memory_map=memory_map, page_checksum_verification=True)


def check_parquet(path: Path) -> bool:
    """Compare every byte of a file with its seal; False where it has none.

    Raises:
        SealError: it is damaged.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        tail = _read_end(file, size, tail_bytes(_read_end(file, size, _END_BYTES)))
        if not check_footer(tail):
            return False
        file.seek(0)
        if line(sha256_of(file, size - len(tail))) != tail[:LINE_BYTES]:
            raise SealError(_DATA)
    return True


def check_unsealed(path: Path) -> None:
    """Decode a file of an earlier version to its end, since there is nothing to compare it with.

    Raises:
        SealError: it cannot be decoded.
        OSError: it cannot be read.
    """
    with decoding(SealError), open_parquet(path) as file:
        for _ in file.iter_batches():
            pass


@contextmanager
def decoding(refusal: Callable[[str], Exception]) -> Iterator[None]:
    """Turn errors of Arrow and of seals about a damaged file into an error of the caller's.

    An error of the system (a missing file, a failing disk) is passed on unchanged.

    Args:
        refusal: makes the error of a reason.
    """
    try:
        yield
    except (SealError, pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if not is_damage(error):
            raise
        raise refusal(reason_of(error)) from None


def is_damage(error: Exception) -> bool:
    """Return True for an error that is due to damage to the file, and not to the machine."""
    if isinstance(error, pa.ArrowCancelled | MemoryError):
        return False
    if isinstance(error, OSError):
        return (
            error.errno is None
        )  # Arrow raises OSError without a number for data that it cannot decode
    return isinstance(error, SealError | pa.ArrowException | UnicodeDecodeError)


def reason_of(error: Exception) -> str:
    """Return an error's text as a part of a sentence."""
    return " ".join(str(error).split())[:_REASON_LETTERS].rstrip(" .:")


def _read_end(file: Any, size: int, count: int) -> bytes:
    file.seek(max(0, size - count))
    found: bytes = file.read(count)
    return found
