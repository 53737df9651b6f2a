"""The sample catalogue is complete, and its tables agree with its films."""

import csv
import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pysubs2
import pytest

CATALOGUE = Path(__file__).parents[2] / "samples" / "catalogue"
TITLES = sorted(folder.name for folder in CATALOGUE.iterdir() if folder.is_dir())
MEDIA = {".mp4", ".webm"}


def media_of(title: str) -> Path:
    [media] = (file for file in (CATALOGUE / title).iterdir() if file.suffix in MEDIA)
    return media


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def film_of(title: str) -> tuple[int, Fraction]:
    """Count the frames by the packets of the video stream; return them and frames per second."""
    with av.open(str(media_of(title))) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate
        assert rate is not None
        return sum(packet.size > 0 for packet in container.demux(stream)), rate


def seconds_of(title: str) -> float:
    frames, rate = film_of(title)
    return float(frames / rate)


def test_four_titles_that_are_small_enough_to_ship():
    assert len(TITLES) == 4
    files = [file for file in (CATALOGUE.parent).rglob("*") if "__pycache__" not in file.parts]
    assert sum(file.stat().st_size for file in files if file.is_file()) < 10_000_000


@pytest.mark.parametrize("title", TITLES)
def test_manifest_names_its_folder(title: str):
    manifest = json.loads((CATALOGUE / title / "title.json").read_text("utf-8"))
    assert manifest["title_id"] == title
    assert manifest["language"] == "en"
    assert manifest["name"]
    assert manifest["kind"]
    assert manifest["credit"]
    assert len(manifest["synopsis"]) > 60
    assert len(manifest["tags"]) >= 4


@pytest.mark.parametrize("title", TITLES)
def test_picture_and_sound_decode_to_the_end(title: str):
    frames, _ = film_of(title)
    with av.open(str(media_of(title))) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height) == (640, 360)
        assert sum(1 for _ in container.decode(video)) == frames
        container.seek(0)
        heard = sum(frame.samples for frame in container.decode(audio)) / audio.rate
    assert heard == pytest.approx(seconds_of(title), abs=0.1)


@pytest.mark.parametrize("title", TITLES)
def test_shots_partition_the_film(title: str):
    shots = rows_of(CATALOGUE / title / "shots.csv")
    starts = [int(shot["start_frame"]) for shot in shots]
    ends = [int(shot["end_frame"]) for shot in shots]
    frames, rate = film_of(title)
    assert 8 <= len(shots) <= 16
    assert starts == [0, *(end + 1 for end in ends[:-1])]
    assert ends[-1] + 1 == frames
    assert all(end - start + 1 > rate for start, end in zip(starts, ends, strict=True))


@pytest.mark.parametrize("title", TITLES)
def test_captions_follow_each_other_inside_the_film(title: str):
    for path in (CATALOGUE / title).glob("captions.*"):
        events = list(pysubs2.load(str(path)))
        assert events
        assert all(event.text and event.start < event.end for event in events)
        assert all(a.end <= b.start for a, b in pairwise(events))
        assert events[-1].end / 1000 <= seconds_of(title)


@pytest.mark.parametrize("title", TITLES)
def test_clips_lie_inside_the_film(title: str):
    path = CATALOGUE / title / "clips.csv"
    clips = rows_of(path) if path.exists() else []
    assert len({clip["clip_id"] for clip in clips}) == len(clips)
    for clip in clips:
        # Times carry three decimals.
        assert 0 <= float(clip["start_s"]) < float(clip["end_s"]) <= seconds_of(title) + 0.0005
        assert clip["tone"]
        assert clip["place"]


def test_catalogue_has_titles_with_and_without_captions_and_clips():
    for pattern in ("captions.*", "clips.csv"):
        having = [title for title in TITLES if list((CATALOGUE / title).glob(pattern))]
        assert 0 < len(having) < len(TITLES)
