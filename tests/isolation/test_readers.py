"""Readers in a child give bit-identical results to the functions in this process."""

from pathlib import Path

import pyarrow as pa
import pytest
from films import SAMPLES, excerpt, write_manifest
from make_media import moving, tone, write_media
from simple_detectors import CutEvery

from mediafm_core.clips.title_clips import read_clips
from mediafm_core.config.media_settings import LimitSettings
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import TitleError
from mediafm_core.isolation.readers import TitleReader
from mediafm_core.media.probe import probe
from mediafm_core.media.subtitles import read_embedded, read_side_file
from mediafm_core.runtime.error_causes import Cause, fault_of
from mediafm_core.shots.decode import DecodeSummary, decode_title
from mediafm_core.shots.detector import ShotDetector
from mediafm_core.shots.keyframes import KEYFRAME_SCHEMA
from mediafm_core.shots.transnetv2 import TransNetV2Detector
from mediafm_core.titles.manifest import read_manifest
from mediafm_core.titles.title_file import TitleFile

COFFEE = SAMPLES / "the_astronauts_coffee"
CLIPS = "clip_id,start_s,end_s,mood\na,0,4.5,calm\nb,3,9.25,\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    excerpt(next(COFFEE.glob("*.mp4")), path, seconds=6.0)
    return path


def outcome(decode, film: Path, detector: ShotDetector, sound: Path) -> tuple:
    file = TitleFile.at(film)
    batches: list[pa.RecordBatch] = []
    settings = load_settings().keyframes
    summary: DecodeSummary = decode(
        file, "film", probe(file), detector, settings, batches.append, sound
    )
    figures = {name: value for name, value in vars(summary).items() if name != "cpu_seconds"}
    assert set(summary.cpu_seconds) == {"decode", "detect", "keyframes", "soundtrack"}
    keyframes = pa.Table.from_batches(batches, KEYFRAME_SCHEMA)
    return figures, keyframes, sound.read_bytes() if sound.exists() else None


@pytest.mark.parametrize("detector", ["transnetv2", "cuts", "late"])
def test_decoding(film: Path, tmp_path: Path, detector: str) -> None:
    chosen: ShotDetector = {
        "transnetv2": TransNetV2Detector(load_settings(device="cpu")),
        "cuts": CutEvery(30),
        "late": CutEvery(1000, delay=10_000),
    }[detector]
    here = outcome(decode_title, film, chosen, tmp_path / "here.flac")
    with TitleReader(LimitSettings(), probe=probe(TitleFile.at(film))) as reader:
        there = outcome(reader.decode, film, chosen, tmp_path / "there.flac")
    assert there == here
    assert reader.used.cpu_s > 0
    assert reader.used.peak_bytes > 1 << 20


def test_decoding_without_sound(tmp_path: Path) -> None:
    film = write_media(tmp_path / "film.mkv", moving(100))
    here = outcome(decode_title, film, CutEvery(30), tmp_path / "here.flac")
    with TitleReader(LimitSettings()) as reader:
        there = outcome(reader.decode, film, CutEvery(30), tmp_path / "there.flac")
    assert there == here
    assert not (tmp_path / "there.flac").exists()


def test_one_child_reads_the_files_of_a_title(film: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path)
    (tmp_path / "clips.csv").write_text(CLIPS)
    manifest, clips = TitleFile.at(tmp_path / "title.json"), TitleFile.at(tmp_path / "clips.csv")
    captions = TitleFile.at(COFFEE / "captions.en.vtt")
    with TitleReader(LimitSettings()) as reader:
        assert reader.manifest(manifest, tmp_path.name) == read_manifest(manifest, tmp_path.name)
        assert reader.probe(TitleFile.at(film), "en") == probe(TitleFile.at(film), "en")
        assert reader.side_file(captions, "en") == read_side_file(captions, "en")
        assert reader.clips(clips, "film", 21.0) == read_clips(clips, "film", 21.0)


def test_embedded_captions_and_their_progress(shared_media: Path) -> None:
    file = TitleFile.at(shared_media / "nasa_13013" / "media.mp4")
    (track, *_) = probe(file).subtitles
    here: list[float] = []
    there: list[float] = []
    with TitleReader(LimitSettings()) as reader:
        found = reader.embedded(file, track, 0.0, there.append)
    assert found == read_embedded(file, track, 0.0, here.append)
    assert there == here


def test_errors_about_files_are_restored(film: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mkv"
    whole = write_media(tmp_path / "film.mkv", moving(100), sound=tone(4.0))
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with (
        TitleReader(LimitSettings()) as reader,
        pytest.raises(TitleError, match=r"cut\.mkv.*truncated") as raised,
    ):
        outcome(reader.decode, cut, CutEvery(30), tmp_path / "cut.flac")
    assert fault_of(raised.value).cause is Cause.TITLE
    clips = tmp_path / "clips.csv"
    clips.write_text(CLIPS + "a,1,2,\n")
    with (
        TitleReader(LimitSettings()) as reader,
        pytest.raises(TitleError, match=r"clips\.csv, line 4: clip_id 'a' occurs twice"),
    ):
        reader.clips(TitleFile.at(clips), "film", 21.0)
