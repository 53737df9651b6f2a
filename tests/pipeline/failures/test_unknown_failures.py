"""Failures of unknown cause: other titles go on, and blaming a title needs evidence."""

import errno
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from films import ingest_titles

from mediafm_core.errors import MachineError, StoreError, WorkError
from mediafm_core.pipeline import materialise as materialising
from mediafm_core.pipeline.failures.unknown_failures import RUNS_TO_QUARANTINE
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.materialise import DECODED, materialise
from mediafm_core.pipeline.planning.asset_states import catalogue_states, variant_of
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.work import Work
from mediafm_core.store.equality import differences
from mediafm_core.store.store import Store

CONTEXT = ("contextual_embeddings",)
TEXT = ("timed_text",)
MORE_THAN_ENOUGH = RUNS_TO_QUARANTINE + 2


def states(platform) -> dict[str, str]:
    return {each.title_id: each.state for each in catalogue_states(platform)}


def damage_a_page(store: Store, asset: str, title_id: str) -> None:
    """Damage the data of a table but not its footer."""
    path = store.path(asset, title_id)
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    path.write_bytes(content)


def forget(platform, asset: str, title_id: str) -> None:
    platform.store.remove(asset, title_id, variant_of(platform, SPECS[asset]))


def failing(*titles: str, error: Exception, asset: str = TEXT[0]) -> Callable[[Work], None]:
    """Return a computation of an asset that fails for some titles."""
    compute = materialising._COMPUTE[asset]

    def fail(work: Work) -> None:
        if work.title_id in titles:
            raise error
        compute(work)

    return fail


def test_a_table_with_damaged_data_is_removed_and_computed_again(catalogue, ingested):
    platform = catalogue.platform()
    damage_a_page(platform.store, "fused_embeddings", "cat")
    forget(platform, CONTEXT[0], "cat")
    assert states(platform)["cat"] != "present"
    with pytest.raises(StoreError, match="cat: fused_embeddings could not be read and were remov"):
        materialise(platform, CONTEXT, "cat")
    ingest_titles(platform, ["cat", "coffee"])
    assert states(platform) == {"cat": "present", "coffee": "present"}
    assert differences(Store(ingested.store), platform.store) == []


@pytest.mark.parametrize("fault", ["cut", "no length"])
def test_a_damaged_soundtrack_is_removed_and_computed_again(catalogue, ingested, fault):
    platform = catalogue.platform()
    path = platform.store.path("soundtrack", "coffee", suffix=".flac")
    content = bytearray(path.read_bytes())
    if fault == "cut":
        content = content[: len(content) // 2]
    else:  # like libsndfile on a full disk: 0 total samples in STREAMINFO, RFC 9639
        content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])
    path.write_bytes(content)
    forget(platform, "audio_embeddings", "coffee")
    with pytest.raises(StoreError, match="coffee: soundtrack could not be read and were removed"):
        materialise(platform, ("audio_embeddings",), "coffee")
    ingest_titles(platform, ["cat", "coffee"])
    assert list(Quarantine(platform.store)) == []
    assert differences(Store(ingested.store), platform.store) == []


def test_a_title_is_quarantined_after_enough_runs_with_a_passed_cross_check(catalogue, monkeypatch):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    with monkeypatch.context() as broken:
        error = ZeroDivisionError("division by zero\nin a library")
        broken.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
        for run in range(1, RUNS_TO_QUARANTINE + 1):
            for _ in range(2 if run == 1 else 1):  # two failures in one run count once
                with pytest.raises(WorkError, match=f"work on coffee passes, .* run {run} of 3 "):
                    materialise(platform, TEXT, "cat")
            assert list(Quarantine(platform.store)) == []
            platform.begin_run()
        (outcome,) = materialise(platform, TEXT, "cat")
        assert outcome.status == "quarantined"
        assert "failed in 3 runs (ZeroDivisionError: division by zero)" in outcome.reason
        assert "--titles cat --retry" in outcome.reason
        assert "\n" not in outcome.reason
    ingest_titles(platform, ["cat"])  # the run starts with the folder, so the title is tried again
    assert states(platform)["cat"] == "present"


def test_a_cross_check_writes_nothing(catalogue, monkeypatch):
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
    """Return the files of the other title and their modification times."""
    return {path: path.stat().st_mtime_ns for path in store.rglob("coffee.*")}


def test_work_that_also_fails_for_another_title_is_a_machine_error(catalogue, monkeypatch):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    error = RuntimeError("a library was replaced under the run")
    monkeypatch.setitem(materialising._COMPUTE, TEXT[0], failing("cat", "coffee", error=error))
    for _ in range(MORE_THAN_ENOUGH):
        with pytest.raises(MachineError, match="and so did the same work on coffee, which has pas"):
            materialise(platform, TEXT, "cat")
        platform.begin_run()
    assert list(Quarantine(platform.store)) == []


def test_without_another_title_no_failure_is_counted(catalogue, monkeypatch):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    forget(platform, TEXT[0], "coffee")
    error = RuntimeError("odd")
    monkeypatch.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
    for _ in range(MORE_THAN_ENOUGH):
        with pytest.raises(WorkError, match="There is no other title to run the same work on"):
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
def test_errors_of_the_machine_never_quarantine_a_title(catalogue, monkeypatch, error):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    monkeypatch.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
    for _ in range(MORE_THAN_ENOUGH):
        with pytest.raises(MachineError, match=r"cat: timed_text failed\. This machine fails"):
            materialise(platform, TEXT, "cat")
        platform.begin_run()
    assert list(Quarantine(platform.store)) == []


def test_a_file_that_cannot_be_opened_does_not_quarantine_its_title(catalogue, monkeypatch):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    error = OSError(errno.EACCES, "Permission denied", "/store/timed_text")
    monkeypatch.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
    for _ in range(MORE_THAN_ENOUGH):
        with pytest.raises(WorkError, match=r"cat: timed_text failed .*Permission denied: '/store"):
            materialise(platform, TEXT, "cat")
        platform.begin_run()
    assert list(Quarantine(platform.store)) == []


def test_a_missing_folder_does_not_quarantine_its_title(catalogue):
    """The folder was removed from the inbox, or the whole inbox is gone with its mount."""
    platform = catalogue.platform()
    forget(platform, TEXT[0], "coffee")
    (catalogue.inbox / "coffee").rename(catalogue.inbox.parent / "away")
    for assets in (("title",), TEXT):
        with pytest.raises(WorkError, match=r"coffee is no longer in the inbox .*: put it back"):
            materialise(platform, assets, "coffee")
    assert list(Quarantine(platform.store)) == []


def test_an_unknown_error_on_a_full_disk_is_a_machine_error(catalogue, monkeypatch):
    platform = catalogue.platform()
    forget(platform, TEXT[0], "cat")
    error = RuntimeError("System error.")
    monkeypatch.setitem(materialising._COMPUTE, TEXT[0], failing("cat", error=error))
    monkeypatch.setattr("mediafm_core.runtime.error_causes._LOW_BYTES", 1 << 60)
    with pytest.raises(MachineError, match=r"store has .* MiB free: make room there"):
        materialise(platform, TEXT, "cat")


def test_a_failed_check_is_attributed_to_the_computation(catalogue, monkeypatch, caplog):
    """A non-finite vector may come from a GPU fault, so the title is tried again."""
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
    ingest_titles(platform, ["cat"])
    assert states(platform)["cat"] == "present"
