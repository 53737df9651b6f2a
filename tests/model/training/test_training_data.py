"""Training data: reading, caching, and refusals."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm_core.errors import ConfigurationError, IdentityMismatchError, TitleError
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.vectors import to_arrow, to_numpy


def write(folder, name: str, vectors: np.ndarray) -> TitleSource:
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table({"embedding": to_arrow(vectors)}), path)
    return TitleSource(name, path)


def test_any_range_of_shots_is_read_across_row_groups(make_catalogue) -> None:
    data = make_catalogue(21, row_group_size=4)
    expected = to_numpy(pq.read_table(data.titles[0].path)["embedding"])
    for start in range(21):
        for stop in range(start + 1, 22):
            np.testing.assert_array_equal(data.read(0, start, stop), expected[start:stop])


def test_the_cache_is_bounded_and_does_not_change_vectors(make_catalogue) -> None:
    large = make_catalogue(40, 40)
    one_group = 8 * 24 * 4
    small = TrainingData(large.titles, 6, cache_bytes=2 * one_group)
    for title in (0, 1, 0):
        np.testing.assert_array_equal(small.read(title, 3, 38), large.read(title, 3, 38))
    assert small.cached_bytes <= 2 * one_group
    assert large.cached_bytes == 10 * one_group


def test_half_precision_files_are_read_as_float32(tmp_path) -> None:
    vectors = np.eye(3, 4, dtype=np.float16)
    data = TrainingData([write(tmp_path, "a", vectors)], 2)
    assert data.read(0, 0, 3).dtype == np.float32
    np.testing.assert_array_equal(data.read(0, 0, 3), vectors)


def test_titles_without_metadata_get_zeros(tmp_path) -> None:
    data = TrainingData([write(tmp_path, "a", np.eye(2))], 5)
    np.testing.assert_array_equal(data.globals, np.zeros((1, 5)))


def test_training_without_titles_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="No titles"):
        TrainingData([], 5)


def test_titles_of_different_width_are_refused(tmp_path) -> None:
    titles = [write(tmp_path, "a", np.eye(3)), write(tmp_path, "b", np.eye(4))]
    with pytest.raises(IdentityMismatchError, match=r"b has fused vectors of 4 .* a of 3"):
        TrainingData(titles, 5)


@pytest.mark.parametrize("vector", [[0, 0, 0], [1, np.nan, 0], [np.inf, 0, 0]])
def test_unusable_vectors_name_title_and_shot(tmp_path, vector) -> None:
    vectors = np.eye(3, dtype=np.float32)
    vectors[1] = vector
    data = TrainingData([write(tmp_path, "bad_film", vectors)], 5)
    with pytest.raises(TitleError, match=r"bad_film .* at shot 1"):
        data.read(0, 0, 2)


def test_damaged_missing_and_foreign_files_name_the_title(tmp_path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"embedding": [[1.0], [2.0]]}), tmp_path / "lists.parquet")
    pq.write_table(pa.table({"other": [1]}), tmp_path / "other.parquet")
    write(tmp_path, "empty", np.empty((0, 4)))
    for name, message in {
        "torn": "damaged",
        "missing": "no file",
        "lists": "no vectors",
        "other": "no vectors",
        "empty": "no vectors",
    }.items():
        with pytest.raises(TitleError, match=f"{name} has .*{message}"):
            TrainingData([TitleSource(name, tmp_path / f"{name}.parquet")], 5)
