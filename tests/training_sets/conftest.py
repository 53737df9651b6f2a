"""Fixtures: a catalogue with labels, and tables of labels for it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from labelled_catalogue import GENRES, TITLES, LabelledCatalogue

import mediafm_core


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> LabelledCatalogue:
    """Return five titles of five clips, four of them with labels; must not be changed."""
    catalogue = LabelledCatalogue(tmp_path_factory.mktemp("catalogue"))
    catalogue.filled(*TITLES)
    return catalogue


@pytest.fixture(scope="module")
def clips(small: LabelledCatalogue) -> pa.Table:
    """Return keys and vectors of all published clips, in the order of sets."""
    return mediafm_core.sql(
        "SELECT title_id, clip_id, start_s, end_s, proposed, embedding "
        "FROM clips JOIN clip_features USING (title_id, clip_id) "
        "ORDER BY title_id, start_s",
        store=small.root,
    )


@pytest.fixture(scope="module")
def labels(clips: pa.Table) -> pa.Table:
    """Return labels of all clips, of several types."""
    numbers = np.arange(clips.num_rows)
    return (
        clips.select(["title_id", "clip_id"])
        .append_column("genre", pa.array([GENRES[number % 3] for number in numbers]))
        .append_column("score", pa.array(numbers / 4))
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "set.parquet"
