"""Assignment of cues to the shots that they overlap."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.errors import TitleError
from mediafm_core.media.subtitles import Cue, read_side_file
from mediafm_core.media.timed_text import (
    SHOT_TEXT_SCHEMA,
    timed_text_per_shot,
)
from mediafm_core.titles.title_file import TitleFile


def shots_of(edges: list[float]) -> pa.Table:
    return pa.table(
        {
            "title_id": ["film"] * (len(edges) - 1),
            "shot_index": pa.array(range(len(edges) - 1), pa.int32()),
            "start_s": pa.array(edges[:-1], pa.float64()),
            "end_s": pa.array(edges[1:], pa.float64()),
        }
    )


def test_assignment_of_cues_to_shots() -> None:
    cues = [
        Cue(-3.0, -1.0, "before the start"),
        Cue(-1.0, 0.5, "runs into it"),
        Cue(0.5, 2.1, "lingers over a cut"),
        Cue(1.0, 4.0, "spans two"),
        Cue(4.9, 5.3, "half and half, nearly"),
        Cue(5.2, 5.2, "without length"),
        Cue(8.5, 99.0, "runs past the end"),
        Cue(9.0, 10.0, "starts at the end"),
        Cue(70.0, 71.0, "of another film"),
    ]
    table, summary = timed_text_per_shot(cues, shots_of([0.0, 2.0, 5.0, 5.3, 8.0, 9.0]))
    assert table.schema == SHOT_TEXT_SCHEMA
    assert table["text"].to_pylist() == [
        "runs into it lingers over a cut spans two",
        "spans two",
        "half and half, nearly without length",
        None,
        "runs past the end",
    ]
    assert table["cues"].to_pylist() == [3, 1, 2, 0, 1]
    assert summary == (9, 6, 2, 1, 4, 0)


@pytest.mark.timeout(120)  # detects excessive time and memory
@pytest.mark.parametrize(("cues", "length"), [(50_000, 1), (20, 9_000)])
def test_cues_that_cover_everything_are_refused(cues: int, length: int) -> None:
    everywhere = [Cue(0.0, 9e9, "x" * length)] * cues
    with pytest.raises(TitleError, match=f"film: {cues} cues cover .* correct the ends"):
        timed_text_per_shot(everywhere, shots_of(np.arange(0.0, 1001.0).tolist()))


def test_no_cues() -> None:
    table, summary = timed_text_per_shot([], shots_of([0.0, 2.0, 5.0]))
    assert table.schema == SHOT_TEXT_SCHEMA
    assert table["text"].to_pylist() == [None, None]
    assert table["cues"].to_pylist() == [0, 0]
    assert summary == (0, 0, 0, 0, 0, None)


def test_elephants_dream_starts_with_the_shot_on_screen_at_15_seconds(shared_media: Path) -> None:
    path = shared_media / "elephants_dream" / "captions.en.vtt"
    cues = read_side_file(TitleFile.at(path), "en").cues
    shots = shots_of([0.0, 14.0, 17.0, 22.0, 40.0, 71.9])
    _, summary = timed_text_per_shot(cues, shots)
    assert summary.first_captioned_shot == 1
    assert summary.cues_past_end > 0
    assert summary.cues_used == summary.cues_read - summary.cues_past_end


times = st.floats(0.0, 120.0)


@given(
    st.lists(st.floats(0.04, 9.0), min_size=1, max_size=30),
    st.lists(st.tuples(times, st.floats(0.0, 12.0)), max_size=30),
)
def test_each_cue_within_the_title_has_overlapping_shots_only(
    lengths: list[float], spans: list[tuple[float, float]]
) -> None:
    edges = [0.0, *np.cumsum(lengths).tolist()]
    cues = [Cue(start, start + length, f"<{n}>") for n, (start, length) in enumerate(sorted(spans))]
    table, summary = timed_text_per_shot(cues, shots_of(edges))
    past_end = [cue for cue in cues if cue.start_s >= edges[-1]]
    assert summary.cues_past_end == len(past_end)
    assert summary.cues_used == len(cues) - len(past_end)
    for row, (start, end) in enumerate(pairwise(edges)):
        words = (table["text"][row].as_py() or "").split()
        assert len(words) == table["cues"][row].as_py()
        assert words == sorted(words, key=lambda word: int(word[1:-1]))
        for word in words:
            cue = cues[int(word[1:-1])]
            assert cue.start_s < end
            assert cue.end_s >= start
