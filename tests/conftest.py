"""Fixtures that several test modules use."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent

# Threads of networks as small as the tests' wait for each other: on a busy machine one thread was
# measured to be twelve times as fast as two.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """The folder of real titles, an inbox of five."""
    return _shared("media")


@pytest.fixture(scope="session")
def shared_benchmark() -> Path:
    """The folder of tables for measuring quality: labelled shots and scenes of films."""
    return _shared("benchmark")


def _shared(name: str) -> Path:
    folder = Path(os.environ.get("MEDIAFM_SHARED", REPOSITORY.parent / "shared")) / name
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist: set MEDIAFM_SHARED to the folder that holds {name}")
    return folder
