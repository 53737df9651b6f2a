"""Serialisation of children's results as JSON and raw bytes, and validation in the parent.

Tables are not sent as Arrow IPC, because its reader trusts its input more than a JSON parser does.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mediafm_core.clips.title_clips import CLIP_SCHEMA
from mediafm_core.isolation.wire import Message, WireError
from mediafm_core.media.subtitles import TimedText
from mediafm_core.shots.decode import PARTS, SHOT_SCHEMA, DecodeSummary
from mediafm_core.shots.keyframes import KEYFRAME_SCHEMA

TIMED_TEXT = TypeAdapter(TimedText)
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_BYTES_PER_PIXEL, _JPEG_HEADER_BYTES = 4, 65_536  # upper bounds for a JPEG image


class _Summary(BaseModel):
    """A serialised `DecodeSummary`; `shots` has a list per column, without `title_id`."""

    model_config = ConfigDict(extra="allow")

    shots: dict[str, list[int | float]]


SUMMARY = TypeAdapter(_Summary)
_FIGURES = {
    each.name: TypeAdapter(cast(Any, each.type))
    for each in dataclasses.fields(DecodeSummary)
    if each.name != "shots"
}


class _Keyframe(NamedTuple):
    """A row of `KEYFRAME_SCHEMA` without `title_id`, and with the length of the JPEG image."""

    shot_index: int
    position: int
    time_s: float
    frame: int
    width: int
    height: int
    jpeg_bytes: int


_KEYFRAMES = TypeAdapter(list[_Keyframe])


class _ClipColumns(BaseModel):
    """The columns of `CLIP_SCHEMA` that are read from the file."""

    clip_id: list[str] = Field(min_length=1)
    start_s: list[float]
    end_s: list[float]
    labels: list[list[tuple[str, str]]]


def summary_on_wire(summary: DecodeSummary) -> _Summary:
    """Convert the summary of a decode to its serialised form."""
    fields = {each.name: getattr(summary, each.name) for each in dataclasses.fields(summary)}
    shots = summary.shots.drop_columns(["title_id"])
    return _Summary(**{**fields, "shots": shots.to_pydict()})


@contextmanager
def parsing() -> Iterator[None]:
    """Convert errors of parsing and checking a result into a `WireError`."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError, pa.ArrowException) as error:
        raise WireError(str(error)) from error


def timed_text_from_wire(data: bytes) -> TimedText:
    """Parse and check the timed text that a child has sent.

    Raises:
        WireError: it is invalid.
    """
    with parsing():
        found = TIMED_TEXT.validate_json(data)
    times = np.array([cue[:2] for cue in found.cues], dtype=np.float64).reshape(-1, 2)
    _require(bool(np.isfinite(times).all()), "times of cues")
    return found


@parsing()
def summary_from_wire(data: bytes, title_id: str, frames: int, keyframes: int) -> DecodeSummary:
    """Parse and check the summary that a child has sent.

    Args:
        data: the child's result.
        title_id: the title.
        frames: number of video frames that it has sent.
        keyframes: number of keyframes that it has sent.

    Raises:
        WireError: it is invalid, inconsistent, or does not match the numbers sent.
    """
    sent = SUMMARY.validate_json(data)
    _require({"title_id", *sent.shots} == set(SHOT_SCHEMA.names), "columns of shots")
    count = len(sent.shots["shot_index"])
    columns = {"title_id": [title_id] * count, **sent.shots}
    shots = pa.table({name: columns[name] for name in SHOT_SCHEMA.names}, schema=SHOT_SCHEMA)
    figures = sent.model_extra or {}
    _require(figures.keys() == _FIGURES.keys(), "names of figures")
    summary = DecodeSummary(
        shots=shots,
        **{name: check.validate_python(figures[name]) for name, check in _FIGURES.items()},
    )
    start_s, end_s = shots["start_s"].to_numpy(), shots["end_s"].to_numpy()
    first, last = shots["start_frame"].to_numpy(), shots["end_frame"].to_numpy()
    _require(
        count > 0 and (shots["shot_index"].to_numpy() == np.arange(count)).all(), "numbers of shots"
    )
    _require(bool(np.isfinite(start_s).all() and np.isfinite(end_s).all()), "times of shots")
    _require(bool((end_s > start_s).all() and (start_s[1:] == end_s[:-1]).all()), "times of shots")
    _require(bool((last >= first).all() and (first[1:] == last[:-1] + 1).all()), "frames of shots")
    _require(
        (int(first[0]), int(last[-1]) + 1) == (0, frames) and summary.frames == frames,
        "number of frames",
    )
    _require(
        summary.keyframes == keyframes and summary.duration_s == end_s[-1],
        "number of keyframes or duration",
    )
    _require(
        0 <= summary.soundtrack_s < np.inf and set(summary.cpu_seconds) == set(PARTS),
        "seconds of sound or of work",
    )
    return summary


def keyframes_on_wire(batch: pa.RecordBatch) -> Message:
    """Serialise keyframes to a message."""
    names = KEYFRAME_SCHEMA.names
    jpegs = batch.column(names.index("jpeg")).to_pylist()
    columns = [batch.column(names.index(name)).to_pylist() for name in _Keyframe._fields[:-1]]
    rows = [(*row, len(jpeg)) for row, jpeg in zip(zip(*columns, strict=True), jpegs, strict=True)]
    return Message("keyframes", {"rows": rows}, b"".join(jpegs))


@parsing()
def keyframes_from_wire(message: Message, title_id: str) -> pa.RecordBatch:
    """Parse and check the keyframes that a child has sent.

    Raises:
        WireError: they are invalid.
    """
    rows = _KEYFRAMES.validate_python(message.head.get("rows"))
    for row in rows:
        pixels = row.width * row.height
        _require(
            0 < row.jpeg_bytes <= _BYTES_PER_PIXEL * pixels + _JPEG_HEADER_BYTES,
            "size of a keyframe",
        )
    jpegs = list(_cut(message.body, [row.jpeg_bytes for row in rows]))
    made = [
        {"title_id": title_id, **row._asdict(), "jpeg": jpeg}
        for row, jpeg in zip(rows, jpegs, strict=True)
    ]
    return pa.RecordBatch.from_pylist(made, schema=KEYFRAME_SCHEMA)


def columns_of(clips: pa.Table) -> bytes:
    """Serialise the columns of clips."""
    found = {name: clips[name].to_pylist() for name in _ClipColumns.model_fields}
    return json.dumps(found).encode()


@parsing()
def clips_from_wire(data: bytes, title_id: str, duration_s: float) -> pa.Table:
    """Parse and check the clips that a child has sent; returns a table of `CLIP_SCHEMA`.

    Raises:
        WireError: they are invalid, or lie outside the title.
    """
    sent = _ClipColumns.model_validate_json(data)
    count = len(sent.clip_id)
    start_s, end_s = np.array(sent.start_s), np.array(sent.end_s)
    _require(len(start_s) == len(end_s) == len(sent.labels) == count, "lengths of columns of clips")
    _require(bool((start_s >= 0).all() and (end_s > start_s).all()), "times of clips")
    _require(bool((end_s <= duration_s).all()), "times of clips")
    _require(len(set(sent.clip_id)) == count, "ids of clips")
    columns: Mapping[str, Sequence[Any]] = {
        "title_id": [title_id] * count,
        **{name: getattr(sent, name) for name in _ClipColumns.model_fields},
        "proposed": [False] * count,
    }
    return pa.table({name: columns[name] for name in CLIP_SCHEMA.names}, schema=CLIP_SCHEMA)


def _cut(data: bytes, lengths: Sequence[int]) -> Iterator[bytes]:
    """Split bytes into JPEG images of given lengths."""
    _require(sum(lengths) == len(data), "sizes of keyframes")
    start = 0
    for length in lengths:
        jpeg = data[start : start + length]
        _require(jpeg.startswith(_JPEG_START) and jpeg.endswith(_JPEG_END), "keyframes")
        yield jpeg
        start += length


def _require(holds: bool, part: str) -> None:
    """Refuse a result with an impossible part, such as "times of shots"."""
    if not holds:
        raise WireError(f"a result with impossible {part}")
