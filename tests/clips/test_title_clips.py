import codecs
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.clips.title_clips import CLIP_SCHEMA, propose_clips, read_clips
from mediafm_core.errors import TitleError
from mediafm_core.titles.title_file import TitleFile


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "clips.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def shots_of(edges: list[float]) -> pa.Table:
    return pa.table(
        {
            "title_id": ["film"] * (len(edges) - 1),
            "shot_index": pa.array(range(len(edges) - 1), pa.int32()),
            "start_s": pa.array(edges[:-1], pa.float64()),
            "end_s": pa.array(edges[1:], pa.float64()),
        }
    )


def test_clips_with_labels(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'clip_id,start_s,end_s,mood,cast\nopening,0,12.5,tense,"Ann, Bo"\n\nchase , 10 ,60.02,,\n',
    )
    clips = read_clips(TitleFile.at(path), "film", 60.0)
    assert clips.schema == CLIP_SCHEMA
    assert clips.to_pylist() == [
        {
            "title_id": "film",
            "clip_id": "opening",
            "start_s": 0.0,
            "end_s": 12.5,
            "proposed": False,
            "labels": [("mood", "tense"), ("cast", "Ann, Bo")],
        },
        {
            "title_id": "film",
            "clip_id": "chase",
            "start_s": 10.0,
            "end_s": 60.0,
            "proposed": False,
            "labels": [],
        },
    ]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "latin-1"),
    ],
)
def test_encodings(tmp_path: Path, mark: bytes, encoding: str) -> None:
    text = "clip_id,start_s,end_s,label\r\nà,0,1,Café\r\n"
    clips = read_clips(TitleFile.at(write(tmp_path, mark + text.encode(encoding))), "film", 9.0)
    assert clips["clip_id"].to_pylist() == ["à"]
    assert clips["labels"].to_pylist() == [[("label", "Café")]]


HEADER = "clip_id,start_s,end_s\n"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "line 1: column 'clip_id' is missing"),
        ("clip_id,start_s\na,1\n", "column 'end_s' is missing from 'clip_id,start_s'"),
        ("id;start_s;end_s\na;1;2\n", "column 'clip_id' is missing from 'id,start_s,end_s'"),
        ("clip_id,start_s,end_s,a,a\n", "line 1: column 5, 'a', has no unique name"),
        ("clip_id,start_s,end_s,,b\n", "line 1: column 4, '', has no unique name"),
        ("clip_id,Clip_ID,start_s,end_s\n,a,1,2\n", "line 2: the clip_id is empty"),
        ("Clip_ID,Clip-Id,start_s,end_s\n", "line 1: column 2, 'clip_id', has no unique name"),
        (HEADER, "lists no clip"),
        (HEADER + "a,0,1\nb,5,4\n", "line 3: clip 'b' ends at 4 s, not after its start at 5 s"),
        (HEADER + "a,5,5\n", "line 2: clip 'a' ends at 5 s, not after"),
        (HEADER + "a,-1,4\n", "from -1 to 4 s is outside the title, which lasts 60.000 s"),
        (HEADER + "a,1,60.06\n", "from 1 to 60.06 s is outside the title"),
        (HEADER + "a,60,60.04\n", "from 60 to 60.04 s is outside the title"),
        (HEADER + "a,99,100\n", "from 99 to 100 s is outside the title"),
        (HEADER + "a,0,1\na,2,3\n", "line 3: clip_id 'a' occurs twice"),
        (HEADER + " ,0,1\n", "line 2: the clip_id is empty"),
        (HEADER + "a,zero,1\n", "line 2: start_s 'zero' is not a number"),
        (HEADER + "a,0,nan\n", "line 2: end_s 'nan' is not a number"),
        (HEADER + "a,0,inf\n", "line 2: end_s 'inf' is not a number"),
        (HEADER + "a,,1\n", "line 2: start_s '' is not a number"),
        (HEADER + "a,0\n", "line 2: 2 values for 3 columns"),
        (HEADER + "a,0,1,x\n", "line 2: 4 values for 3 columns"),
        (HEADER + 'a,0,"1\n', "line 2: not a row of values separated by ','"),
        (HEADER + "a,00:00:01:12,9\n", "line 2: start_s '00:00:01:12' counts frames"),
        (HEADER + "a,00:00:01;12,9\n", "line 2: start_s '00:00:01;12' counts frames"),
        ("sep=;\n\n\nclip_id;start_s;end_s\na;x;2\n", "line 5: start_s 'x' is not a number"),
        (HEADER + "a\x00b,1,9\n", "has invisible characters"),
        (HEADER + "a\u202eb,1,9\n", "has invisible characters"),
        (HEADER + "a,1e999,9\n", "line 2: start_s '1e999' is not a number"),
        (HEADER + "a,1_0,20\n", "line 2: start_s '1_0' is not a number"),
        (HEADER + "a," + "9" * 10_000 + ",9\n", "line 2: start_s '999"),
        (HEADER + "a" * 501 + ",1,9\n", "has more than 500 characters"),
        (HEADER[:-1] + ",b\na,1,9," + "b" * 10_001, "line 2: a value has more than 10000 "),
        (HEADER + "a" * 200_000 + ",1,9\n", "field larger than field limit"),
        (HEADER[:-1] + "".join(f",l{n}" for n in range(100_000)), "100003 columns, more than 1000"),
        (HEADER + "".join(f"c{n},1,9\n" for n in range(100_001)), "more than 100000 rows"),
        (HEADER + "\n" * 1_000_001, "has more than 1000000 lines"),
        (b"\x8f\x9d\x81" * 9, "fits no encoding"),
    ],
)
def test_an_invalid_file_is_refused_in_one_sentence(
    tmp_path: Path, content: str | bytes, named: str
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(TitleError) as raised:
        read_clips(TitleFile.at(path), "film", 60.0)
    message = str(raised.value)
    assert str(path) in message
    assert named in message
    assert len(message) - len(str(path)) < 250


@pytest.mark.parametrize(
    "content",
    [
        "clip_id;start_s;end_s;mood\na;61,5;63,25;tense\n",  # Excel with a decimal comma
        "sep=;\nclip_id;start_s;end_s;mood\na;61,5;63,25;tense\n",
        "clip_id\tstart_s\tend_s\tmood\na\t61.5\t63.25\ttense\n",
        'clip_id,start_s,end_s,mood\na,"61,5","63,25",tense\n',
        "Clip_ID,Start_S,END_S,mood\na,1:01.5,0:01:03.25,tense\n",
        "\n\nclip id, start-s ,End S,mood\na,00:01:01.500,00:01:03.250,tense\n",
        '"clip_id";"start_s";"end_s";"mood";;\r\n"a";"61.5";"63.25";"tense";;\r\n;;;;;\r\n',
        "clip_id,start_s,end_s,mood\r\r\na,61.5,63.25,tense,,\r\r\n",
        "mood|clip_id|start_s|end_s\ntense|a|61.5|63.25\n",
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_tables_of_spreadsheet_programs(tmp_path: Path, content: str, mark: str) -> None:
    (clip,) = read_clips(TitleFile.at(write(tmp_path, mark + content)), "film", 90.0).to_pylist()
    assert (clip["clip_id"], clip["start_s"], clip["end_s"]) == ("a", 61.5, 63.25)
    assert clip["labels"] == [("mood", "tense")]


def test_the_language_decides_between_legacy_encodings(tmp_path: Path) -> None:
    path = write(tmp_path, "clip_id,start_s,end_s,жанр\nа,0,1,комедия\n".encode("cp1251"))
    clips = read_clips(TitleFile.at(path), "film", 9.0, "ru")
    assert clips["labels"].to_pylist() == [[("жанр", "комедия")]]


shot_lengths = st.floats(min_value=0.04, max_value=200.0)
probabilities = st.floats(min_value=0.0, max_value=1.0, width=32)


def edges_of(lengths: list[float]) -> list[float]:
    return [0.0, *np.cumsum(lengths).tolist()]


edges_of_titles = st.lists(shot_lengths, min_size=1, max_size=80).map(edges_of)
titles_with_scenes = st.lists(st.tuples(shot_lengths, probabilities), min_size=1, max_size=80).map(
    lambda shots: (edges_of([s for s, _ in shots]), np.array([p for _, p in shots], np.float32))
)


def lengths_of(clips: pa.Table) -> np.ndarray:
    return clips["end_s"].to_numpy() - clips["start_s"].to_numpy()


@given(titles_with_scenes, st.booleans())
def test_proposed_clips_partition_the_title_at_shot_boundaries(
    title: tuple[list[float], np.ndarray], by_scenes: bool
) -> None:
    edges, starts = title
    clips = propose_clips(shots_of(edges), 30.0, starts if by_scenes else None)
    begins, ends = clips["start_s"].to_pylist(), clips["end_s"].to_pylist()
    assert clips.schema == CLIP_SCHEMA
    assert [*begins, ends[-1]] == [edges[0], *ends]
    assert ends[-1] == edges[-1]
    assert set(begins) <= set(edges)
    assert (lengths_of(clips) > 0).all()
    assert all(clips["proposed"].to_pylist())
    assert clips["clip_id"].to_pylist() == [f"proposed-{n:04d}" for n in range(len(begins))]


@given(edges_of_titles)
def test_no_proposed_clip_is_much_shorter_than_the_target(edges: list[float]) -> None:
    lengths = lengths_of(propose_clips(shots_of(edges), 30.0))
    assert len(lengths) == 1 or lengths.min() >= 15.0 - 1e-6
    # A longer clip could be split near its middle into two that cost less.
    assert lengths.max() <= 1.5 * 30.0 + np.diff(edges).max() + 1e-6


@given(titles_with_scenes)
def test_scenes_move_the_bounds_of_lengths_to_a_third_of_the_target(
    title: tuple[list[float], np.ndarray],
) -> None:
    edges, starts = title
    lengths = lengths_of(propose_clips(shots_of(edges), 30.0, starts))
    assert len(lengths) == 1 or lengths.min() >= 10.0 - 1e-6
    assert lengths.max() <= 1.5 * 30.0 + np.diff(edges).max() + 1e-6


@given(edges_of_titles, probabilities, st.integers(0, 2**32 - 1))
def test_without_evidence_scenes_change_nothing(
    edges: list[float], first: float, seed: int
) -> None:
    shots = shots_of(edges)
    unlikely = np.random.default_rng(seed).uniform(0.0, 0.11, shots.num_rows)
    unlikely[0] = first  # a title starts with a scene in any case
    assert propose_clips(shots, 30.0, unlikely).equals(propose_clips(shots, 30.0))


def test_proposed_clips_of_short_shots_are_close_to_the_target() -> None:
    clips = propose_clips(shots_of(np.arange(0, 601, 3.0).tolist()), 30.0)
    np.testing.assert_allclose(lengths_of(clips), 30.0)


def starts_at(seconds: list[float], edges: np.ndarray) -> np.ndarray:
    """Return probabilities that are high where a scene starts and low elsewhere."""
    return np.where(np.isin(edges[:-1], seconds), 0.95, 0.02)


def test_proposed_clips_start_with_scenes() -> None:
    edges = np.arange(0, 181, 3.0)
    scenes = [0.0, 21.0, 66.0, 90.0, 132.0]
    clips = propose_clips(shots_of(edges.tolist()), 30.0, starts_at(scenes, edges))
    assert clips["start_s"].to_pylist() == [*scenes, 156.0]


def test_short_scenes_are_merged_and_long_ones_split_where_a_start_is_likeliest() -> None:
    edges = np.arange(0, 178, 3.0)
    starts = starts_at([0.0, 87.0, 93.0], edges)
    starts[edges[:-1] == 51.0] = 0.2
    clips = propose_clips(shots_of(edges.tolist()), 30.0, starts)
    assert clips["start_s"].to_pylist() == [0.0, 24.0, 51.0, 87.0, 117.0, 147.0]


def test_a_hostile_case(shared_cases: Path) -> None:
    path = shared_cases / "hostile" / "inbox" / "many_columns_csv" / "clips.csv"
    with pytest.raises(TitleError, match=r"line 1: .* columns, more than 1000"):
        read_clips(TitleFile.at(path), "many_columns_csv", 60.0)
