"""Fused vectors: unit_norm(concat(video, audio, text)), with zeros for missing modalities."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.errors import TitleError
from mediafm_core.fusion.concatenation import fuse, modality_ranges
from mediafm_core.vectors import to_arrow, to_numpy


def embeddings(vectors, present=None, title_id="film"):
    vectors = np.asarray(vectors, dtype=np.float32)
    count = len(vectors)
    return pa.table(
        {
            "title_id": pa.array([title_id] * count, pa.string()),
            "shot_index": pa.array(range(count), pa.int32()),
            "present": pa.array([True] * count if present is None else present, pa.bool_()),
            "embedding": to_arrow(vectors),
        }
    )


@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_fused_vectors(seed, presence):
    random = np.random.default_rng(seed)
    has_audio, has_text = zip(*presence, strict=True)
    count = len(presence)
    video = embeddings(random.uniform(0.1, 9, (count, 4)))
    audio = embeddings(random.uniform(0.1, 9, (count, 3)), has_audio)
    text = embeddings(random.uniform(0.1, 9, (count, 2)), has_text)
    table = fuse(video, audio, text)
    fused = to_numpy(table["embedding"])

    assert table["title_id"].to_pylist() == ["film"] * count
    assert table["has_audio"].to_pylist() == list(has_audio)
    assert table["has_text"].to_pylist() == list(has_text)
    assert all(table["has_video"].to_pylist())
    assert table["embedding"].type == pa.list_(pa.float32(), 9)
    np.testing.assert_allclose(np.linalg.norm(fused, axis=1), 1, atol=1e-6)
    ranges = modality_ranges(video, audio, text)
    assert ranges == {"video": (0, 4), "audio": (4, 7), "text": (7, 9)}
    # Modalities that are present have equal lengths.
    expected = 1 / np.sqrt(1 + np.array(has_audio) + np.array(has_text))
    for name, mask in (("video", np.ones(count)), ("audio", has_audio), ("text", has_text)):
        part = np.linalg.norm(fused[:, slice(*ranges[name])], axis=1)
        np.testing.assert_allclose(part, expected * np.array(mask), atol=1e-6)


def test_a_missing_modality_is_zero_even_with_a_vector():
    table = fuse(
        embeddings([[3.0, 4.0]]), embeddings([[1.0]], [False]), embeddings([[np.nan]], [False])
    )
    np.testing.assert_allclose(to_numpy(table["embedding"]), [[0.6, 0.8, 0, 0]], atol=1e-6)


def test_presence_may_have_chunks():
    halves = [embeddings([[1.0, 0.0]]), embeddings([[0.0, 1.0]])]
    video = pa.concat_tables(halves).set_column(1, "shot_index", pa.array([0, 1], pa.int32()))
    other = embeddings([[1.0], [1.0]], [False, True])
    assert fuse(video, other, other)["has_text"].to_pylist() == [False, True]


@pytest.mark.parametrize(
    ("video", "audio", "message"),
    [
        (embeddings([[1.0]] * 2), embeddings([[1.0]]), "film has 2 shots with video and 1 with"),
        (embeddings([[1.0]]), embeddings([[1.0]], title_id="b"), "are of other titles or shots"),
        (embeddings([[1.0], [np.nan]]), embeddings([[1.0]] * 2), "shot 1 has a video vector"),
        (embeddings([[1.0]]), embeddings([[np.inf]]), "film: shot 0 has a audio vector"),
        (embeddings([[1.0]]), embeddings([[0.0]]), "all zero though marked as present"),
        (
            embeddings([[1.0]] * 3, [True, True, False]),
            embeddings([[1.0]] * 3, [True, True, False]),
            "film: shot 2 has neither picture nor sound nor text",
        ),
    ],
)
def test_faulty_embeddings_are_refused(video, audio, message):
    text = embeddings([[1.0]] * video.num_rows, [False] * video.num_rows)
    with pytest.raises(TitleError, match=message):
        fuse(video, audio, text)
