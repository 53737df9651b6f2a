"""Errors of real libraries on full disks, without memory and with bad devices, and their causes."""

import errno
import os
import resource
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from films import SAMPLES
from limited_files import largest_file
from make_media import moving, tone, write_media
from safetensors.numpy import save_file
from small_disk import NO_MOUNT, NoMountError, failing_disk, small_disk

from mediafm_core.errors import (
    ConfigurationError,
    MachineError,
    NotReadyError,
    StorageError,
    TitleError,
)
from mediafm_core.media.decoding import MediaDecoder, Sound
from mediafm_core.media.probe import probe
from mediafm_core.media.soundtrack import SAMPLE_RATE, SoundtrackWriter
from mediafm_core.runtime.error_causes import Cause, Fault, fault_of, low_on_room, machine_sentence
from mediafm_core.titles.title_file import TitleFile

RANDOM = np.random.default_rng(0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 100 KiB."""
    try:
        with small_disk(tmp_path / "disk", 100) as folder:
            yield folder
    except NoMountError:
        pytest.skip(NO_MOUNT)


def fault_in(action, *arguments) -> Fault:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - of any kind, which is the point
        action(*arguments)
    return fault_of(raised.value)


def arrow(disk: Path) -> None:
    pq.write_table(pa.table({"a": RANDOM.random(50_000)}), disk / "a.parquet")


def duckdb_file(disk: Path) -> None:
    with duckdb.connect(str(disk / "a.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT random() AS a FROM range(200000)")


def sqlite(disk: Path) -> None:
    connection = sqlite3.connect(disk / "a.sqlite")
    connection.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (?)", (os.urandom(200_000),))
    connection.commit()


def safetensors(disk: Path) -> None:
    save_file({"a": np.zeros(100_000, np.float32)}, disk / "a.safetensors")


def torch_save(disk: Path) -> None:
    torch.save({"a": torch.zeros(100_000)}, disk / "a.pt")


def zip_file(disk: Path) -> None:
    with zipfile.ZipFile(disk / "a.zip", "w") as file:
        file.writestr("a", os.urandom(200_000))


def pyav(disk: Path) -> None:
    pictures = RANDOM.integers(0, 255, (50, 240, 320, 3), np.uint8)
    write_media(disk / "a.mp4", pictures)


def soundtrack(disk: Path) -> None:
    write_soundtrack(disk / "a.flac", seconds=10)


@pytest.mark.parametrize(
    "write",
    [arrow, duckdb_file, sqlite, safetensors, torch_save, zip_file, pyav, soundtrack],
    ids=lambda write: write.__name__,
)
def test_a_full_disk_is_the_machines_whichever_library_writes(disk: Path, write) -> None:
    fault = fault_in(write, disk)
    assert fault.cause is Cause.MACHINE
    sentence = machine_sentence(fault, [disk])
    assert "make room there" in sentence
    assert str(disk) in sentence
    assert sentence.count("\n") == 0


def write_soundtrack(path: Path, seconds: int) -> None:
    noise = np.random.default_rng(0).integers(-2000, 2000, (seconds, SAMPLE_RATE), np.int16)
    with SoundtrackWriter(path) as writer:
        for second, samples in enumerate(noise):
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            writer.write(Sound(float(second), frame))


def test_a_soundtrack_is_whole_or_absent_on_a_disk_of_any_size(tmp_path: Path) -> None:
    """At some sizes libsndfile itself reports nothing, and the file ends early."""
    write_soundtrack(tmp_path / "whole.flac", 3)
    whole = (tmp_path / "whole.flac").read_bytes()
    outcomes = set()
    for kib in range(4, len(whole) // 1024 + 12, 4):
        try:
            with small_disk(tmp_path / "disk", kib) as disk:
                try:
                    write_soundtrack(disk / "a.flac", 3)
                except OSError as error:
                    outcomes.add(error.errno)
                    assert list(disk.iterdir()) == []
                else:
                    outcomes.add(None)
                    assert (disk / "a.flac").read_bytes() == whole
        except NoMountError:
            pytest.skip(NO_MOUNT)
    assert outcomes == {errno.ENOSPC, None}


def test_a_soundtrack_ends_with_the_error_of_the_system(tmp_path: Path) -> None:
    """Without a mounted disk: a limit on the size of files."""
    with largest_file(10_000), pytest.raises(OSError, match="File too large") as raised:
        write_soundtrack(tmp_path / "a.flac", 3)
    assert fault_of(raised.value).cause is Cause.MACHINE
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_cannot_read_a_film_is_no_fault_of_the_film(tmp_path: Path) -> None:
    sample = SAMPLES / "the_astronauts_coffee"
    film = next(path for path in sample.iterdir() if path.suffix == ".mp4")
    try:
        with failing_disk(tmp_path, {"film.mp4": film}) as place:
            path = place / "film.mp4"

            def decode() -> None:
                for _ in MediaDecoder(TitleFile.at(path), probe(TitleFile.at(path))):
                    pass

            assert fault_in(decode).cause is Cause.MACHINE
            assert fault_in(lambda: TitleFile.at(path).read_bytes(1 << 30)).cause is Cause.MACHINE
    except NoMountError:
        pytest.skip(NO_MOUNT)


def test_a_film_that_ends_early_is_at_fault_itself(tmp_path: Path) -> None:
    film = write_media(tmp_path / "film.mkv", moving(100), sound=tone(4.0))
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])

    def decode() -> None:
        for _ in MediaDecoder(TitleFile.at(film), probe(TitleFile.at(film))):
            pass

    assert fault_in(decode).cause is Cause.TITLE


def test_too_many_open_files_are_no_fault_of_the_film(tmp_path: Path) -> None:
    film = write_media(tmp_path / "film.mp4", moving(10))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(used)]  # no gap below the limit
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(held) + 1, before[1]))
        fault = fault_in(lambda: probe(TitleFile.at(film)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in held:
            os.close(descriptor)
    assert fault.cause is Cause.MACHINE
    assert "ulimit -n" in machine_sentence(fault)


@pytest.mark.parametrize(
    "action",
    [
        lambda: torch.empty(1 << 50),
        lambda: np.empty(1 << 50),
        lambda: pa.allocate_buffer(1 << 50),
    ],
    ids=["torch", "numpy", "arrow"],
)
def test_memory_that_ran_out(action) -> None:
    assert fault_in(action).cause is Cause.MEMORY


_WITHOUT_MEMORY = """
import resource, sys
import numpy as np
from mediafm_core.config.settings import load_settings
from mediafm_core.runtime.error_causes import fault_of
from mediafm_core.titles.title_file import TitleFile
if sys.argv[1] == "onnxruntime":
    from mediafm_core.encoders.minilm import MiniLML6Int8
    encoder = MiniLML6Int8(load_settings())
    work = [" ".join(["word"] * 250)] * 32
else:
    from mediafm_core.encoders.whisper import WhisperBase
    encoder = WhisperBase(load_settings())
    work = [np.random.default_rng(0).normal(0, 0.1, 480_000).astype(np.float32)] * 2
encoder.encode(work[:1])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (8 << 20), -1))
try:
    for _ in range(20):
        encoder.encode(work)
except Exception as error:
    fault = fault_of(error)
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    print(fault.cause.name, type(error).__name__, str(error)[:200].replace(chr(10), " "))
"""


@pytest.mark.parametrize("library", ["onnxruntime", "ctranslate2"])
def test_an_encoder_whose_memory_runs_out(library: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_MEMORY, library], capture_output=True, text=True
    )
    assert done.stdout.startswith("MEMORY "), (done.stdout, done.stderr[-800:])


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (TitleError("film.mp4 is empty"), Cause.TITLE),
        (ConfigurationError("no weights"), Cause.SETTINGS),
        (ImportError("libcudart.so.12: cannot open shared object file"), Cause.SETTINGS),
        (StorageError("s3://x cannot be reached"), Cause.MACHINE),
        (MachineError("the disk is full"), Cause.MACHINE),
        (ConnectionResetError(), Cause.MACHINE),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), Cause.MACHINE),
        (RuntimeError("CUDA failed with error out of memory"), Cause.MEMORY),
        (RuntimeError("CUDA failed with error unspecified launch failure"), Cause.MACHINE),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), Cause.MEMORY),
        (duckdb.OutOfMemoryException("Out of Memory Error: could not allocate"), Cause.MEMORY),
        (av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory"), Cause.MEMORY),
        (av.error.OSError(errno.EIO, "Input/output error", "fd:"), Cause.MACHINE),
        (NotReadyError("shots first"), Cause.STORE),
        (PermissionError(errno.EACCES, "Permission denied", "/store/x"), Cause.STORE),
        (soundfile.LibsndfileError(2), Cause.UNKNOWN),
        (pa.ArrowInvalid("Column 'x' declared non-nullable"), Cause.UNKNOWN),
        (OSError("Couldn't deserialize thrift"), Cause.UNKNOWN),  # Arrow's, for damaged data
        (ZeroDivisionError(), Cause.UNKNOWN),
    ],
    ids=lambda value: value.name if isinstance(value, Cause) else type(value).__name__,
)
def test_causes(error: Exception, cause: Cause) -> None:
    assert fault_of(error).cause is cause


def test_an_error_of_the_machine_behind_another_wins() -> None:
    try:
        try:
            raise OSError(errno.ESTALE, "Stale file handle")
        except OSError as error:
            raise TitleError("film.mp4 is truncated: export it again.") from error
    except TitleError as error:
        fault = fault_of(error)
    assert fault.cause is Cause.MACHINE
    assert "truncated" not in machine_sentence(fault)


def test_little_room_is_named(disk: Path, tmp_path: Path) -> None:
    said = low_on_room([disk / "not" / "there yet"])
    assert said is not None
    assert said.startswith(f"{disk}/not/there yet has 0.1 MiB free")
    with small_disk(tmp_path / "few", 100 << 10, files=20) as few:
        said = low_on_room([few])
        assert said is not None
        assert "room for 18 files" in said or "room for 19 files" in said
