"""Cases from public bug reports of players, subtitle tools and pipelines, with the right results.

Each case represents a kind; further cases of the kind are tested beside the code.
"""

from collections.abc import Callable

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.usefixtures("shared_cases")

TEXTS = {
    "braces_in_captions": "{music playing} {laughs} Come in",
    "captions_cp1251": "Привет, как дела? Всё хорошо.",
    "forced_track_before_full": "Where are we going? [In Russian] Go away. The tower is clear.",
    "srt_with_html_entities": "Tom & Jerry's <3 day",
    "two_times_in_srt_text": "The gap from 00:00:05,000 to 00:00:07,000 was erased",
    "vtt_cues_without_blank_line": "Hello there General The end",
    "vtt_empty_is_valid": "",
    "vtt_escaped_angle_brackets": "If a < b and c > d then stop",
}


@pytest.mark.parametrize("case", TEXTS)
def test_captions(ingest_case: Callable, case: str):
    found = ingest_case(case)
    assert (found.reason, found.text) == ("", TEXTS[case])


def test_cues_without_blank_lines_are_three(ingest_case: Callable):
    assert ingest_case("vtt_cues_without_blank_line").timed_text["cues_read"] == 3


def test_a_bad_byte_costs_one_letter(ingest_case: Callable):
    found = ingest_case("captions_utf8_one_bad_byte")
    assert found.text == "Un café déjà vu \ufffdt\ufffd"  # two bytes of the file are bad
    source = found.timed_text["source"]
    assert (source["encoding"], source["notes"]) == (
        "utf-8",
        ["characters that are damaged and read as U+FFFD: 2"],
    )


def test_a_manifest_in_utf16(ingest_case: Callable):
    assert ingest_case("title_json_utf16").reason == ""


@pytest.mark.parametrize("case", ["tag_not_utf8_mp4", "tag_not_utf8_avi", "mjpeg_with_exif"])
def test_side_data_has_no_effect(ingest_case: Callable, case: str):
    found = ingest_case(case)
    assert found.reason == ""
    assert found.shots["frames"] > 0


def test_joined_segments_are_complete(ingest_case: Callable):
    found = ingest_case("hls_joined_segments")
    assert (found.reason, found.shots["frames"], found.shots["damaged_packets"]) == ("", 300, 0)


def test_a_picture_lasts_as_long_as_its_sound(ingest_case: Callable):
    found = ingest_case("one_picture_long_sound_mkv")
    assert (found.reason, found.shots["rows"]) == ("", 1)
    assert found.shots["duration_s"] == pytest.approx(60, abs=0.2)


def test_a_clock_that_jumps(ingest_case: Callable):
    """Video (2,250 frames of 40 ms) and sound are 90 s each; the program ffmpeg reports 90.04 s."""
    found = ingest_case("ts_clock_jumps_2h")
    assert (found.reason, found.shots["frames"]) == ("", 2250)
    assert found.shots["duration_s"] == pytest.approx(90, abs=0.5)
    assert soundfile.info(str(found.sound)).duration == pytest.approx(90, abs=0.5)
    assert found.shots["clock_jumps"] == 1
    assert found.shots["clock_jumped_s"] == pytest.approx(7155, abs=1)
    assert "1 jumps of the file's clock left out, 7154.9" in found.checks["shots_partition_title"]


def test_sound_of_many_channels(ingest_case: Callable):
    found = ingest_case("sound_of_60_channels")
    assert found.reason == ""
    assert found.sound is not None


def test_channels_that_cancel_each_other(ingest_case: Callable):
    found = ingest_case("sound_in_antiphase")
    assert found.reason == ""
    samples, rate = soundfile.read(str(found.sound))
    assert np.sqrt(np.mean(samples**2)) > 0.05
    spectrum = np.abs(np.fft.rfft(samples[:rate]))  # a second: bins of 1 Hz
    assert spectrum.max() > 0.9 * np.linalg.norm(spectrum), "one tone"
