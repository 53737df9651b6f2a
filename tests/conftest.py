"""Fixtures that several test modules use."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """The folder of real titles, an inbox of five."""
    shared = Path(os.environ.get("MEDIAFM_SHARED", REPOSITORY.parent / "shared"))
    if not (shared / "media").is_dir():
        pytest.skip(f"no real titles at {shared / 'media'}: set MEDIAFM_SHARED to their folder")
    return shared / "media"
