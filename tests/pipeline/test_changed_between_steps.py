"""Files of a title that change after it was ingested are refused by later steps."""

import os

import pytest

from mediafm_core.errors import ChangedTitleError
from mediafm_core.pipeline.materialise import DECODED, materialise
from mediafm_core.pipeline.planning.title_comparison import TitleComparison
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.work import Work

STEPS = {"media.mp4": DECODED, "captions.en.vtt": ("timed_text",), "clips.csv": ("clip_features",)}


@pytest.mark.parametrize("name", STEPS)
def test_a_replaced_file_is_refused_until_the_title_is_ingested_again(catalogue, name):
    platform, path = catalogue.platform(), catalogue.inbox / "coffee" / name
    other = path.with_name(".other")
    other.write_bytes(path.read_bytes())  # even one of equal content
    other.replace(path)
    with pytest.raises(ChangedTitleError, match=f"{name} has changed since it was ingested"):
        materialise(platform, STEPS[name], "coffee", force=True)
    assert Quarantine(platform.store).get("coffee") is None
    assert materialise(platform, ("title",), "coffee")[0].status == "computed"
    outcomes = materialise(platform, STEPS[name], "coffee", force=True)
    assert {outcome.status for outcome in outcomes} == {"computed"}


@pytest.mark.parametrize("swap", [os.mkfifo, lambda path: path.symlink_to("title.json")])
def test_a_pipe_or_link_in_place_of_a_file_is_not_read(catalogue, swap):
    platform, path = catalogue.platform(), catalogue.inbox / "coffee" / "media.mp4"
    path.unlink()
    swap(path)
    with pytest.raises(ChangedTitleError, match=r"media\.mp4 has changed since it was ingested"):
        materialise(platform, DECODED, "coffee", force=True)
    (outcome,) = materialise(platform, ("title",), "coffee")
    assert outcome.status == "quarantined"
    assert "media.mp4 is " in outcome.reason


def test_a_file_that_changes_during_the_work_is_refused(catalogue):
    platform, path = catalogue.platform(), catalogue.inbox / "coffee" / "media.mp4"
    work = Work(TitleComparison(platform, "coffee"), {})
    with (
        pytest.raises(ChangedTitleError, match=r"media\.mp4 has changed since it was ingested"),
        work.file("media.mp4"),
    ):
        path.write_bytes(b"another film")
