"""Tables in the UI: narrow, complete, and without markup from the names of titles."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm_assets.assets.table_metadata import (
    MOST_ROWS,
    clip_table,
    column_schema,
    markdown_table,
    reasons,
    source_of,
    table,
    uri,
)
from mediafm_core.clips.title_clips import CLIP_SCHEMA
from mediafm_core.pipeline.graph import SPECS

MARKUP = "&<>|*_`~[]()!#\\"


def clips(count: int) -> pa.Table:
    rows = [
        {
            "title_id": "film",
            "clip_id": f"clip{number}",
            "start_s": number * 3.0,
            "end_s": number * 3.0 + 2.0049,
            "proposed": False,
            "labels": [("mood", "calm"), ("place", "<b>sea</b>")] if number else [],
        }
        for number in range(count)
    ]
    return pa.Table.from_pylist(rows, CLIP_SCHEMA)


def test_clips_are_listed_with_times_and_labels():
    rows = [record.data for record in clip_table(clips(2)).records]
    assert rows == [
        {"clip": "clip0", "start_s": 0.0, "end_s": 2.0, "labels": ""},
        {"clip": "clip1", "start_s": 3.0, "end_s": 5.0, "labels": "mood: calm, place: <b>sea</b>"},
    ]


def test_a_table_has_a_bounded_size():
    shown = table(("clip",), [{"clip": "x" * 10_000}] * 1_000)
    assert len(shown.records) == MOST_ROWS
    assert max(len(str(record.data["clip"])) for record in shown.records) < 300
    assert len(clip_table(clips(500)).records) == MOST_ROWS
    assert "and 450 more" in markdown_table(("clip",), [{"clip": "x"}] * 500).value


@settings(deadline=None)
@given(st.text(max_size=40))
def test_a_cell_of_markdown_holds_no_markup(name: str):
    text = markdown_table(("name", "why"), [{"name": name, "why": MARKUP}]).value
    lines = text.rstrip(" ").split("\n")
    assert len(lines) == 3
    assert lines[0] == "| name | why |"
    cells = lines[2].removeprefix("| ").removesuffix(" |").split(" | ")
    assert len(cells) == 2
    for cell in cells:
        assert not set(cell.replace("&#", "").replace(";", "")) & set(MARKUP)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("/films/a b/x/media.mp4 is text", "x: a b/x/media.mp4 is text"),
        ("/films/in/x/media.mp4 is text, see /a/b.", "x: media.mp4 is text, see b."),
        ("s3://films/in/x/media.mp4 is text", "x: media.mp4 is text"),
        ("x: 24000/1001 frames and/or sound", "x: 24000/1001 frames and/or sound"),
    ],
)
def test_reasons_have_no_directories(reason: str, shown: str):
    [record] = reasons([("x", reason)]).records
    assert record.data["title and reason"] == shown


def test_markdown_opens_in_a_dialog():
    """Check the length: the UI shows less than a thousand characters in a narrow column."""
    assert len(markdown_table(("name",), [{"name": "x"}]).value) >= 1000


def test_columns_have_the_types_of_the_file():
    schema = pa.schema(
        [pa.field("a", pa.list_(pa.float32(), 4), nullable=False), ("b", pa.int64())]
    )
    columns = {
        column.name: (column.type, column.constraints.nullable)
        for column in column_schema(schema).columns
    }
    assert columns == {"a": ("fixed_size_list<item: float>[4]", False), "b": ("int64", True)}


@pytest.mark.parametrize("asset", SPECS)
def test_each_asset_names_the_code_that_computes_it(asset: str):
    [reference] = source_of(asset)["dagster/code_references"].code_references
    line = Path(reference.file_path).read_text().splitlines()[reference.line_number - 1]
    assert line.startswith(f"def {reference.label.rpartition('.')[2]}(")


def test_a_location_is_a_uri(tmp_path: Path):
    assert uri("s3://bucket/store/shots/a.parquet") == "s3://bucket/store/shots/a.parquet"
    assert uri(f"{tmp_path}/a b.parquet") == f"file://{tmp_path}/a%20b.parquet"
