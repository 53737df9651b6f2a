"""Pooling per shot, with encoders simple enough to be checked by hand."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from simple_encoders import (
    BLUE,
    GREEN,
    RATE,
    RED,
    FrameTimes,
    Letters,
    MeanColour,
    keyframes,
    shots,
)

from mediafm_core.encoders.embed import embed_audio, embed_metadata, embed_text, embed_video
from mediafm_core.errors import DamagedArtefactError
from mediafm_core.vectors import to_numpy


@pytest.fixture
def soundtrack(tmp_path):
    def write(samples, rate=RATE):
        file = tmp_path / "soundtrack.flac"
        soundfile.write(file, samples, rate, subtype="PCM_24")
        return file

    return write


# --- video


def test_video_is_the_mean_over_frames():
    table = embed_video(
        MeanColour(), keyframes([(0, RED), (0, BLUE), (2, GREEN)]), shot_count=3, batch_size=2
    )
    assert table["title_id"].to_pylist() == ["film"] * 3
    assert table["shot_index"].to_pylist() == [0, 1, 2]
    assert table["present"].to_pylist() == [True, False, True]
    assert table["embedding"].type == pa.list_(pa.float32(), 3)
    expected = [[0.5**0.5, 0, 0.5**0.5], [0, 0, 0], [0, 1, 0]]
    np.testing.assert_allclose(to_numpy(table["embedding"]), expected, atol=0.01)  # JPEG


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12).map(sorted),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_video_does_not_depend_on_batches(order, batch_size, chunk):
    rows = [(shot, (RED, GREEN, BLUE)[n % 3]) for n, shot in enumerate(order)]
    encoder, shares = MeanColour(), []
    table = embed_video(encoder, keyframes(rows, chunk), 6, batch_size, shares.append)
    whole = embed_video(MeanColour(), keyframes(rows), 6, batch_size=100)
    assert max(encoder.calls) <= batch_size
    assert shares == sorted(shares)
    assert 0 < shares[-1] <= 1
    np.testing.assert_allclose(
        to_numpy(table["embedding"]), to_numpy(whole["embedding"]), atol=1e-6
    )
    assert table["present"].to_pylist() == [shot in order for shot in range(6)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no keyframes"),
        ([(0, RED), (3, RED)], "film: a keyframe of shot 3 among 3 shots"),
        ([(1, RED), (0, RED)], "film: a keyframe of shot 0"),
        ([(0, RED), (1, b"no picture")], "film: keyframe 1 of shot 1 is no whole JPEG"),
        ([(0, RED[: len(RED) // 2])], "film: keyframe 0 of shot 0 is no whole JPEG"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 8])
def test_video_faults(rows, message, batch_size):
    with pytest.raises(DamagedArtefactError, match=message):
        embed_video(MeanColour(), keyframes(rows), 3, batch_size)


# --- audio


@given(
    st.lists(st.integers(1, 3000), min_size=1, max_size=12),
    st.integers(1, 9000),
    st.integers(1, 4),
)
def test_audio_is_the_mean_of_frames_in_the_shot(tmp_path_factory, lengths, samples, batch_size):
    """The vectors equal the definition, written as a loop over shots."""
    file = tmp_path_factory.getbasetemp() / "sound.flac"
    signal = np.linspace(-0.9, 0.9, samples)
    soundfile.write(file, signal, RATE, subtype="PCM_24")
    edges = np.concatenate([[0], np.cumsum(lengths)]) / RATE
    table = embed_audio(FrameTimes(), file, shots(edges), batch_size)

    centres, vectors = [], []
    for start in range(0, samples, 3000):
        window = signal[start : start + 3000]
        (frames,) = FrameTimes().encode([window])
        centres += list((start + (np.arange(len(frames)) + 0.5) * len(window) / len(frames)) / RATE)
        vectors += list(frames)
    centres, vectors = np.array(centres), np.array(vectors)
    found = to_numpy(table["embedding"])
    for shot, (start, end) in enumerate(itertools.pairwise(edges)):
        inside = (centres >= start) & (centres < end)
        assert table["present"][shot].as_py() == (start < samples / RATE)
        if inside.any():
            mean = vectors[inside].mean(axis=0)
            # 24 bits of FLAC, float32 frames
            np.testing.assert_allclose(found[shot], mean / np.linalg.norm(mean), atol=1e-5)
        elif start < samples / RATE:
            middle = (start + min(end, samples / RATE)) / 2
            slack = 1e-6 + np.sort(abs(centres - middle))[0]
            near = vectors[abs(centres - middle) <= slack]
            near = near / np.linalg.norm(near, axis=1, keepdims=True)
            gap = np.abs(near - found[shot]).max(axis=1).min()
            assert gap < 1e-5 or abs(middle % 3.0) < 0.1  # windows part there
        else:
            assert not found[shot].any()


def test_audio_after_the_sound_ends_is_absent(soundtrack):
    table = embed_audio(FrameTimes(), soundtrack(np.ones(4500) * 0.5), shots([0, 4, 4.6, 9]), 4)
    assert table["present"].to_pylist() == [True, True, False]


def test_audio_before_the_first_shot_is_left_out(soundtrack):
    signal = np.concatenate([np.full(1000, -0.5), np.full(1000, 0.5)])
    table = embed_audio(FrameTimes(), soundtrack(signal), shots([1, 2]), 4)
    np.testing.assert_allclose(
        to_numpy(table["embedding"]), [[1 / 1.25**0.5, 0.5 / 1.25**0.5]], atol=1e-6
    )


def test_digital_silence_is_present(soundtrack):
    table = embed_audio(FrameTimes(), soundtrack(np.zeros(2000)), shots([0, 1, 2]), 4)
    assert table["present"].to_pylist() == [True, True]


def test_no_soundtrack_is_absent():
    table = embed_audio(FrameTimes(), None, shots([0, 1, 2]), 4)
    assert table["present"].to_pylist() == [False, False]
    assert not to_numpy(table["embedding"]).any()


def test_audio_of_a_changed_shot_table_reads_the_same_grid(soundtrack):
    """A cut inside a shot leaves the vectors of the other shots exactly as they were."""
    file = soundtrack(np.random.default_rng(0).uniform(-0.5, 0.5, 8000))
    before = to_numpy(embed_audio(FrameTimes(), file, shots([0, 2, 5, 8]), 4)["embedding"])
    after = to_numpy(embed_audio(FrameTimes(), file, shots([0, 2, 3.3, 5, 8]), 1)["embedding"])
    np.testing.assert_array_equal(after[[0, 3]], before[[0, 2]])


@pytest.mark.parametrize(
    ("samples", "rate"), [(np.zeros((100, 2)), RATE), (np.zeros(100), 2 * RATE)]
)
def test_audio_of_another_format_is_refused(soundtrack, samples, rate):
    with pytest.raises(DamagedArtefactError, match="not 1 at 1000"):
        embed_audio(FrameTimes(), soundtrack(samples, rate), shots([0, 1]), 4)


def test_damaged_soundtracks_are_refused(soundtrack, tmp_path):
    file = soundtrack(np.random.default_rng(0).uniform(-0.5, 0.5, 60_000))
    file.write_bytes(file.read_bytes()[:40_000])
    with pytest.raises(DamagedArtefactError, match=r"soundtrack\.flac"):
        embed_audio(FrameTimes(), file, shots([0, 60]), 4)
    with pytest.raises(DamagedArtefactError, match=r"absent\.flac cannot be read"):
        embed_audio(FrameTimes(), tmp_path / "absent.flac", shots([0, 60]), 4)


# --- text


def test_text_sends_each_text_once():
    texts = ["aab", None, "  ", "c", " aab\n", ""]
    timed_text = shots(range(7)).append_column("text", pa.array(texts, pa.string()))
    encoder, shares = Letters(), []
    table = embed_text(encoder, timed_text, batch_size=1, progress=shares.append)
    assert encoder.seen == ["aab", "c"]
    assert shares == [0.5, 1.0]
    assert table["present"].to_pylist() == [True, False, False, True, True, False]
    expected = np.zeros((6, 3))
    expected[[0, 4]] = [2 / 5**0.5, 1 / 5**0.5, 0]
    expected[3] = [0, 0, 1]
    np.testing.assert_allclose(to_numpy(table["embedding"]), expected, atol=1e-6)


@pytest.mark.parametrize("kind", [pa.string(), pa.null()])
def test_title_without_text(kind):
    timed_text = shots(range(4)).append_column("text", pa.array([None] * 3, kind))
    table = embed_text(Letters(), timed_text, batch_size=8)
    assert table["present"].to_pylist() == [False] * 3
    assert to_numpy(table["embedding"]).shape == (3, 3)


def test_metadata():
    encoder = Letters()
    vector = embed_metadata(encoder, " a film ", ["b", " ", "c"])
    assert encoder.seen == ["a film\nb, c"]
    np.testing.assert_allclose(vector, np.full(3, 3**-0.5), atol=1e-6)
    assert not embed_metadata(encoder, " ", []).any()
    assert encoder.seen == ["a film\nb, c"]
