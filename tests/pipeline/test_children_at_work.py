"""A child process that fails ends the work on its title at once, and the run goes on."""

import functools

import pytest

from mediafm_core.config.media_settings import LimitSettings
from mediafm_core.errors import ChangedTitleError, WorkError
from mediafm_core.isolation.readers import TitleReader
from mediafm_core.pipeline.failures.attempts import FOLDER
from mediafm_core.pipeline.materialise import DECODED, materialise
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine


@pytest.fixture
def platform(catalogue, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Platform whose child processes for `coffee` are replaced."""
    platform = catalogue.platform()
    made = platform.reader

    def reader(*arguments, probe=None, **more):
        if platform.at_work == "coffee":
            make = functools.partial(TitleReader, LimitSettings(no_progress_s=1.0))
            return make(*arguments, probe=probe, **more, tasks="hostile_tasks")
        return made(*arguments, probe=probe, **more)

    monkeypatch.setattr(platform, "reader", reader)
    monkeypatch.setattr(platform, "at_work", "", raising=False)
    return platform


@pytest.mark.parametrize(
    ("assets", "said"),
    [
        (("title",), "reading it returned an invalid result"),
        (("timed_text",), "reading captions returned an invalid result"),
        (("clip_features",), "reading clips returned an invalid result"),
    ],
)
def test_a_title_whose_child_was_taken_over_is_quarantined_at_once(platform, assets, said) -> None:
    for title_id in ("coffee", "cat"):
        platform.at_work = title_id
        (outcome,) = materialise(platform, assets, title_id, force=True)
        assert outcome.status == ("quarantined" if title_id == "coffee" else "computed")
        assert (said in outcome.reason) == (title_id == "coffee")
    assert [entry.title_id for entry in Quarantine(platform.store)] == ["coffee"]
    assert list((platform.store.root / FOLDER).glob("*.json")) == []


def test_a_crash_of_its_child_holds_a_title_back_and_keeps_what_it_has(
    platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.at_work = "coffee"
    before = platform.store.record("shots", "coffee")
    run = TitleReader.run
    monkeypatch.setattr(TitleReader, "run", lambda self, _task, *more: run(self, "crash", *more))
    outcomes = materialise(platform, DECODED, "coffee", force=True)
    assert {outcome.status for outcome in outcomes} == {"quarantined"}
    assert "decoding crashed (SIGSEGV)" in outcomes[0].reason
    assert platform.store.record("shots", "coffee") == before


def test_a_fault_of_the_machine_that_only_a_child_sees_stops_no_run(
    platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.at_work = "coffee"
    run, full = TitleReader.run, {"error": "full disk"}
    monkeypatch.setattr(
        TitleReader,
        "run",
        lambda self, _task, doing, files, *_more: run(self, "fail", doing, files, full),
    )
    with pytest.raises(WorkError, match=r"coffee: title failed: .* does not confirm: make room"):
        materialise(platform, ("title",), "coffee", force=True)
    assert list(Quarantine(platform.store)) == []


def test_what_a_child_uses_counts_as_the_work_of_its_title(catalogue) -> None:
    platform = catalogue.platform()
    used = []
    made = platform.reader

    def reader(*arguments, **more):
        used.append(made(*arguments, **more))
        return used[-1]

    platform.reader = reader
    (outcome,) = materialise(platform, ("timed_text",), "coffee", force=True)
    (child,) = used
    assert outcome.record.measured.cpu_seconds >= child.used.cpu_s > 0
    assert outcome.record.measured.peak_memory_bytes > child.used.peak_bytes > 0


def test_a_file_that_changes_while_its_child_reads_it_blames_nothing(catalogue) -> None:
    """The title has changed, whatever error the child reports."""
    platform = catalogue.platform()
    path = catalogue.inbox / "coffee" / "captions.en.vtt"
    made = platform.reader

    def reader(*arguments, **more):
        path.write_bytes(b"no captions at all")
        return made(*arguments, **more)

    platform.reader = reader
    with pytest.raises(ChangedTitleError, match="has changed since it was ingested"):
        materialise(platform, ("timed_text",), "coffee", force=True)
    assert list(Quarantine(platform.store)) == []
