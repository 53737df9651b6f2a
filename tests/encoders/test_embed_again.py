"""Vectors of unchanged shots are reused when a title is delivered again, bit for bit."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from simple_encoders import RATE, Letters, MeanColour, Surroundings, jpeg, keyframes, shots

from mediafm_core.encoders.embed import embed_audio, embed_text, embed_video, reused_rows
from mediafm_core.vectors import to_arrow, to_numpy

PICTURES = [jpeg(colour) for colour in ("red", "lime", "blue", "gray")]
WINDOW_S = Surroundings.window_s


def marked(table: pa.Table) -> pa.Table:
    """Return the table with every vector negated, to see which are reused."""
    place = table.column_names.index("embedding")
    turned = to_arrow(-to_numpy(table["embedding"]))
    return table.set_column(place, "embedding", turned)


def taken_over(table: pa.Table, computed: pa.Table) -> list[bool]:
    """Return the rows that are reused from a marked table; others must equal computed ones."""
    found, expected = to_numpy(table["embedding"]), to_numpy(computed["embedding"])
    marks = (found == -expected).all(axis=1) & expected.any(axis=1)
    np.testing.assert_array_equal(found[~marks], expected[~marks])
    return marks.tolist()


# --- video

FILMS = st.lists(
    st.lists(st.integers(0, len(PICTURES) - 1), min_size=0, max_size=3), min_size=1, max_size=8
).filter(any)


def rows_of(film):
    return [(shot, PICTURES[picture]) for shot, each in enumerate(film) for picture in each]


def video(film, encoder=None, batch_size=2, **options):
    return embed_video(
        encoder or MeanColour(), keyframes(rows_of(film)), len(film), batch_size, **options
    )


@given(FILMS, FILMS, st.integers(1, 4))
def test_only_shots_with_other_keyframes_are_encoded(before, after, batch_size):
    encoder, earlier = MeanColour(), video(before)
    table = video(after, encoder, batch_size, earlier=earlier)
    assert table.equals(video(after))
    kept = [shot in before and shot != [] for shot in after]
    assert taken_over(video(after, earlier=marked(earlier)), table) == kept
    assert reused_rows(table, earlier) == sum(kept)
    new = [shot for shot, same in zip(after, kept, strict=True) if not same]
    assert sum(encoder.calls) == sum(map(len, new))


@given(FILMS, st.integers(1, 6), st.integers(1, 6))
def test_where_batches_end_does_not_show(film, one, other):
    assert video(film, batch_size=one).equals(video(film, batch_size=other))


# --- sound


@st.composite
def soundtracks(draw):
    """Return a soundtrack and its shots, before and after a change."""
    seconds = draw(st.integers(1, 12))
    signal = np.random.default_rng(draw(st.integers(0, 9))).uniform(-0.5, 0.5, seconds * RATE)
    cuts = draw(st.sets(st.integers(1, 13 * 4), max_size=8))
    moved = draw(st.sets(st.sampled_from(sorted(cuts)), max_size=2)) if cuts else set()
    changed = signal.copy()
    at = draw(st.integers(0, len(signal) - 1))
    change = draw(st.sampled_from(["none", "second", "tail", "shorter", "longer"]))
    if change == "second":
        changed[at : at + RATE] *= 0.5
    elif change == "tail":
        changed[at:] = 0.25
    elif change == "shorter":
        changed = changed[: at + 1]
    elif change == "longer":
        changed = np.concatenate([changed, changed[:at]])
    edges = [[0, *(cut / 4 for cut in sorted(each)), 14] for each in (cuts, cuts - moved)]
    return (signal, edges[0]), (changed, edges[1])


@given(soundtracks(), st.integers(1, 3))
def test_only_windows_that_a_changed_shot_touches_are_encoded(tmp_path_factory, pair, batch_size):
    def audio(sound, encoder=None, **options):
        samples, edges = sound
        soundfile.write(file, samples, RATE, subtype="PCM_24")
        return embed_audio(encoder or Surroundings(), file, shots(edges), batch_size, **options)

    def decisive(sound):
        """Return each shot's span and the sound of all windows that it overlaps."""
        samples, edges = sound
        length = len(samples) / RATE
        windows = [samples[n : n + 3 * RATE].tobytes() for n in range(0, len(samples), 3 * RATE)]
        for start, end in itertools.pairwise(edges):
            end = min(end, length)
            touched = [n for n in range(len(windows)) if max(n * 3, start) < min((n + 1) * 3, end)]
            yield (start, end, tuple(windows[n] for n in touched)), touched

    file = tmp_path_factory.getbasetemp() / "again.flac"
    before, after = pair
    encoder, earlier = Surroundings(), audio(before)
    table = audio(after, encoder, earlier=earlier)
    assert table.equals(audio(after))
    known = {what for what, touched in decisive(before) if touched}
    kept = [what in known for what, _ in decisive(after)]
    assert taken_over(audio(after, earlier=marked(earlier)), table) == kept
    assert reused_rows(table, earlier) == sum(kept)
    needed = {
        window
        for (_, touched), same in zip(decisive(after), kept, strict=True)
        for window in touched
        if not same
    }
    expected = sum(min(WINDOW_S, len(after[0]) / RATE - n * WINDOW_S) for n in needed)
    assert encoder.seconds == pytest.approx(expected)


# --- text


def text(lines, encoder=None, **options):
    timed_text = shots(range(len(lines) + 1)).append_column("text", pa.array(lines, pa.string()))
    return embed_text(encoder or Letters(), timed_text, 2, **options)


LINES = st.lists(st.sampled_from(["a", "ab", " ab", "abc", "cc", " ", None]), max_size=8)


@given(LINES, LINES)
def test_only_new_text_is_encoded(before, after):
    encoder, earlier = Letters(), text(before)
    table = text(after, encoder, earlier=earlier)
    assert table.equals(text(after))
    known = {line.strip() for line in before if line}
    lines = [(line or "").strip() for line in after]
    assert encoder.seen == list(dict.fromkeys(x for x in lines if x and x not in known))
    assert reused_rows(table, earlier) == sum(x in known for x in lines if x)


# --- earlier tables that are of no use


def test_a_table_from_before_there_were_digests_is_of_no_use():
    film = [[0], [1, 2]]
    earlier = video(film).drop_columns("input_digest")
    encoder = MeanColour()
    table = video(film, encoder, earlier=earlier)
    assert (sum(encoder.calls), reused_rows(table, earlier)) == (3, 0)


def test_what_was_absent_is_not_taken_over():
    earlier = text([None, " "])
    assert earlier["input_digest"].null_count == 2
    assert text(["a", None], earlier=earlier)["present"].to_pylist() == [True, False]
