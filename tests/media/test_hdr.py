"""Tone mapping of high dynamic range video to SDR."""

import io
from pathlib import Path

import numpy as np
import pytest
from make_media import ffmpeg
from PIL import Image

from mediafm_core.config.media_settings import KeyframeSettings
from mediafm_core.media.decoding import MediaDecoder, Picture
from mediafm_core.media.probe import probe
from mediafm_core.media.scaling import PictureScaler, Thumbnails
from mediafm_core.shots.keyframes import KeyframeCandidate, KeyframeEncoder
from mediafm_core.titles.title_file import TitleFile


def pq_code(nits: float) -> float:
    """Return the code value of SMPTE ST 2084, 0 to 1."""
    y = (nits / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def hlg_code(nits: float) -> float:
    """Return the code value of grey of ARIB STD-B67 on a display of 1000 nits, 0 to 1."""
    scene = (nits / 1000) ** (1 / 1.2)
    if scene <= 1 / 12:
        return float(np.sqrt(3 * scene))
    return 0.17883277 * float(np.log(12 * scene - 0.28466892)) + 0.55991073


def film(path: Path, code: float, transfer: str, chroma: tuple[int, int] = (512, 512)) -> Path:
    """Write frames of one colour in ten bits; `code` is the luma, 0 to 1."""
    luma = round(64 + 876 * code)
    colour = f"geq=lum={luma}:cb={chroma[0]}:cr={chroma[1]}"
    ffmpeg(
        *("-f", "lavfi", "-i", "nullsrc=size=64x48:rate=25:duration=0.2"),
        *("-vf", f"format=yuv420p10le,{colour}", "-c:v", "libx265", "-x265-params"),
        f"log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc",
        *("-color_trc", transfer, "-color_primaries", "bt2020", "-colorspace", "bt2020nc", path),
    )
    return path


def shown(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean colour of the keyframe and of the thumbnail of the first frame."""
    file = TitleFile.at(path)
    described = probe(file)
    picture = next(item for item in MediaDecoder(file, described) if isinstance(item, Picture))
    settings = KeyframeSettings()
    scaled = PictureScaler(described.video, settings.short_side).scale(picture.frame)
    encoder = KeyframeEncoder("film", described.video.orientation, settings.jpeg_quality)
    encoder.add(0, [KeyframeCandidate(0, 0.0, scaled)])
    jpeg = encoder.take()["jpeg"][0].as_py()
    thumbnail = Thumbnails(48, 27, described.video.orientation).scale(picture.frame)
    keyframe = np.asarray(Image.open(io.BytesIO(jpeg)))
    return keyframe.mean(axis=(0, 1)), thumbnail.mean(axis=(0, 1))


@pytest.mark.parametrize(
    ("transfer", "code_of"), [("smpte2084", pq_code), ("arib-std-b67", hlg_code)]
)
@pytest.mark.parametrize(("nits", "code"), [(20, 97), (60, 153), (203, 230), (1000, 255)])
def test_light_is_mapped_to_sdr_code_values(
    tmp_path: Path, transfer: str, code_of, nits: float, code: int
):
    """Up to 90 nits the code is 255 (nits / 203)^(1 / 2.4): light of 203 nits is white."""
    keyframe, thumbnail = shown(film(tmp_path / "film.mkv", code_of(nits), transfer))
    assert keyframe == pytest.approx([code] * 3, abs=4)
    assert thumbnail == pytest.approx([code] * 3, abs=4)


def test_ten_bits_of_standard_range_are_not_changed(tmp_path: Path):
    keyframe, _ = shown(film(tmp_path / "film.mkv", 0.5, "bt709"))
    assert keyframe == pytest.approx([128] * 3, abs=3)


def test_colours_keep_their_hue(tmp_path: Path):
    """A red of BT.2020, at 100 nits."""
    keyframe, _ = shown(film(tmp_path / "film.mkv", 0.35, "smpte2084", chroma=(450, 700)))
    red, green, blue = keyframe
    assert red > green + 60
    assert red > blue + 60
