"""A store with two short films, made once for all tests of the pipeline."""

from pathlib import Path
from typing import NamedTuple

import pytest
from copied_catalogue import copy_catalogue
from films import ingest_titles, make_inbox, settings_for

from mediafm_core.pipeline.platform import Platform


class Catalogue(NamedTuple):
    """Inbox, and the store of its titles."""

    inbox: Path
    store: Path

    def platform(self, **overrides: object) -> Platform:
        return Platform(settings_for(self.inbox, self.store, **overrides))


@pytest.fixture(scope="session")
def _ingested(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    root = tmp_path_factory.mktemp("catalogue")
    catalogue = Catalogue(make_inbox(root / "inbox"), root / "store")
    ingest_titles(catalogue.platform(), ["cat", "coffee"])
    return catalogue


@pytest.fixture
def catalogue(_ingested: Catalogue, tmp_path: Path) -> Catalogue:
    """Return a copy of inbox and store, to change."""
    copy = Catalogue(tmp_path / "inbox", tmp_path / "store")
    copy_catalogue(*_ingested, *copy)
    return copy


@pytest.fixture
def ingested(_ingested: Catalogue) -> Catalogue:
    """Return the original inbox and store, to read only."""
    return _ingested
