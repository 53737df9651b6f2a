"""Work that fails though no input is known to be at fault: the others go on, blame takes proof."""

import errno
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from films import take_in

from mediafm_core.errors import MachineError, StoreError, WorkError
from mediafm_core.pipeline import materialise as materialising
from mediafm_core.pipeline.failures.unknown_failures import RUNS_TO_HOLD_BACK
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.materialise import DECODED, materialise
from mediafm_core.pipeline.planning.asset_states import catalogue_states, variant_of
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.work import Work
from mediafm_core.store.equality import differences
from mediafm_core.store.store import Store

CONTEXT = ("contextual_embeddings",)
TEXT = ("timed_text",)
MORE_THAN_ENOUGH = RUNS_TO_HOLD_BACK + 2


def states(platform) -> dict[str, str]:
    return {each.title_id: each.state for each in catalogue_states(platform)}


def damage_a_page(store: Store, asset: str, title_id: str) -> None:
    """Spoil the data of a table and leave its footer."""
    path = store.path(asset, title_id)
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    path.write_bytes(content)


def forget(platform, asset: str, title_id: str) -> None:
    platform.store.remove(asset, title_id, variant_of(platform, SPECS[asset]))


def failing(*titles: str, error: Exception, asset: str = TEXT[0]) -> Callable[[Work], None]:
    """The computation of an asset, which fails for some titles."""
    compute = materialising._COMPUTE[asset]

    def fail(work: Work) -> None:
        if work.title_id in titles:
            raise error
        compute(work)

    return fail


def test_a_table_with_damaged_data_is_removed_and_made_again(catalogue, taken_in):
    platform = catalogue.platform()
    damage_a_page(platform.store, "fused_embeddings", "cat")
    forget(platform, CONTEXT[0], "cat")
    assert states(platform)["cat"] != "present"
    with pytest.raises(StoreError, match="cat: fused_embeddings could not be read and were remov"):
        materialise(platform, CONTEXT, "cat")
    take_in(platform, ["cat", "coffee"])
    assert states(platform) == {"cat": "present", "coffee": "present"}
    assert differences(Store(taken_in.store), platform.store) == []


@pytest.mark.parametrize("fault", ["cut", "no length"])
def test_a_damaged_soundtrack_is_removed_and_made_again(catalogue, taken_in, fault):
    platform = catalogue.platform()
    path = platform.store.path("soundtrack", "coffee", suffix=".flac")
    content = bytearray(path.read_bytes())
    if fault == "cut":
        content = content[: len(content) // 2]
    else:  # as libsndfile left it on a full disk: total samples 0 in STREAMINFO, RFC 9639
        content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])
    path.write_bytes(content)
    forget(platform, "audio_embeddings", "coffee")
    with pytest.raises(StoreError, match="coffee: soundtrack could not be read and were removed"):
        materialise(platform, ("audio_embeddings",), "coffee")
    take_in(platform, ["cat", "coffee"])
    assert list(Quarantine(platform.store)) == []
    assert differences(Store(taken_in.store), platform.store) == []


def test_a_title_is_held_back_once_others_have_passed_in_enough_runs(catalogue, monkeypatch):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    with monkeypatch.context() as broken:
        error = ZeroDivisionError("division by zero\nin a library")
        broken.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
        for run in range(1, RUNS_TO_HOLD_BACK + 1):
            for _ in range(2 if run == 1 else 1):  # a run that tries twice counts once
                with pytest.raises(WorkError, match=f"work on coffee passes, .* run {run} of 3 "):
                    materialise(platform, TEXT, "cat")
            assert list(Quarantine(platform.store)) == []
            platform.begin_run()
        (outcome,) = materialise(platform, TEXT, "cat")
        assert outcome.status == "quarantined"
        assert "failed in 3 runs (ZeroDivisionError: division by zero)" in outcome.reason
        assert "--titles cat --retry" in outcome.reason
        assert "\n" not in outcome.reason
    take_in(platform, ["cat"])  # which begins with the folder, and so tries again
    assert states(platform)["cat"] == "present"


def test_the_trial_writes_nothing(catalogue, monkeypatch):
    platform = catalogue.platform()
    for group in (DECODED, TEXT, ("video_embeddings",), CONTEXT, ("clip_features",)):
        before = written(catalogue.store)
        error = ZeroDivisionError()
        with monkeypatch.context() as broken:
            broken.setitem(
                materialising._COMPUTE, group[0], failing("cat", error=error, asset=group[0])
            )
            for asset in group:
                forget(platform, asset, "cat")
            with pytest.raises(WorkError, match="The same work on coffee passes"):
                materialise(platform, group, "cat")
        after = written(catalogue.store)
        assert after == before
        materialise(platform, group, "cat")


def written(store: Path) -> dict[Path, int]:
    """Files of the other title and when they were written."""
    return {path: path.stat().st_mtime_ns for path in store.rglob("coffee.*")}


def test_work_that_fails_for_another_title_too_is_the_machines(catalogue, monkeypatch):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    error = RuntimeError("a library was replaced under the run")
    monkeypatch.setitem(materialising._COMPUTE, TEXT[0], failing("cat", "coffee", error=error))
    for _ in range(MORE_THAN_ENOUGH):
        with pytest.raises(MachineError, match="and so did the same work on coffee, which has pas"):
            materialise(platform, TEXT, "cat")
        platform.begin_run()
    assert list(Quarantine(platform.store)) == []


def test_without_another_title_there_is_no_proof(catalogue, monkeypatch):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    forget(platform, TEXT[0], "coffee")
    error = RuntimeError("odd")
    monkeypatch.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
    for _ in range(MORE_THAN_ENOUGH):
        with pytest.raises(WorkError, match="There is no other title to try the same work on"):
            materialise(platform, TEXT, "cat")
        platform.begin_run()
    assert list(Quarantine(platform.store)) == []


@pytest.mark.parametrize("change", ["success", "content", "error"])
def test_only_the_same_failure_of_the_same_content_counts(catalogue, monkeypatch, change):
    platform = catalogue.platform()
    for run in range(MORE_THAN_ENOUGH):
        error: Exception = ZeroDivisionError()
        if change == "error" and run % 2:
            error = KeyError("other")
        if change == "content":
            captions = f"WEBVTT\n\n00:01.000 --> 00:02.000\nnumber {run}\n"
            (catalogue.inbox / "cat" / "captions.en.vtt").write_text(captions)
            materialise(platform, ("title",), "cat")
        forget(platform, TEXT[0], "cat")
        with monkeypatch.context() as broken:
            broken.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
            with pytest.raises(WorkError, match=" run 1 of 3 "):
                materialise(platform, TEXT, "cat")
        if change == "success":
            materialise(platform, TEXT, "cat")
        platform.begin_run()
    assert list(Quarantine(platform.store)) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        RuntimeError("CUDA error: unspecified launch failure"),
    ],
    ids=str,
)
def test_the_machine_holds_no_title_back_however_long_it_fails(catalogue, monkeypatch, error):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    monkeypatch.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
    for _ in range(MORE_THAN_ENOUGH):
        with pytest.raises(MachineError, match=r"cat: timed_text failed\. This machine fails"):
            materialise(platform, TEXT, "cat")
        platform.begin_run()
    assert list(Quarantine(platform.store)) == []


def test_a_file_that_the_system_refuses_holds_no_title_back(catalogue, monkeypatch):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    error = OSError(errno.EACCES, "Permission denied", "/store/timed_text")
    monkeypatch.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
    for _ in range(MORE_THAN_ENOUGH):
        with pytest.raises(WorkError, match=r"cat: timed_text failed .*Permission denied: '/store"):
            materialise(platform, TEXT, "cat")
        platform.begin_run()
    assert list(Quarantine(platform.store)) == []


def test_a_folder_that_is_away_holds_no_title_back(catalogue):
    """Taken out of the inbox meanwhile, or with the whole of it, when a mount has gone."""
    platform = catalogue.platform()
    forget(platform, TEXT[0], "coffee")
    (catalogue.inbox / "coffee").rename(catalogue.inbox.parent / "away")
    for assets in (("title",), TEXT):
        with pytest.raises(WorkError, match=r"coffee is no longer in the inbox .*: put it back"):
            materialise(platform, assets, "coffee")
    assert list(Quarantine(platform.store)) == []


def test_with_little_room_an_unknown_error_is_the_disks(catalogue, monkeypatch):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    error = RuntimeError("System error.")
    monkeypatch.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
    monkeypatch.setattr("mediafm_core.runtime.error_causes._LOW_BYTES", 1 << 60)
    with pytest.raises(MachineError, match=r"store has .* MiB free: make room there"):
        materialise(platform, TEXT, "cat")


def test_a_check_that_fails_blames_what_computed_the_artefact(catalogue, monkeypatch, caplog):
    """A vector that is not finite may come from a GPU; the title is tried again."""
    caplog.set_level(logging.CRITICAL)
    platform = catalogue.platform()
    forget(platform, "video_embeddings", "cat")
    encoder = platform.video_encoder
    encode = encoder.encode
    with monkeypatch.context() as broken:
        broken.setattr(encoder, "encode", lambda pictures: encode(pictures) * float("nan"))
        for _ in range(MORE_THAN_ENOUGH):
            with pytest.raises((WorkError, MachineError), match="unusable video_embeddings"):
                materialise(platform, ("video_embeddings",), "cat")
            platform.begin_run()
            assert list(Quarantine(platform.store)) == []
    take_in(platform, ["cat"])
    assert states(platform)["cat"] == "present"
