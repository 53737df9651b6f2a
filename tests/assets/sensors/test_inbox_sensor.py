"""The inbox sensor requests each complete folder that is new or has changed, once."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from dagster_catalogue import BAD, GOOD, DagsterCatalogue
from sensors import Sensing, Tick, sensing

from mediafm_assets.partitions import TITLES
from mediafm_assets.sensors.inbox_sensor import NAME, arrivals_sensor
from mediafm_core.errors import ConfigurationError
from mediafm_core.pipeline.graph import SPECS, UP_TO_FUSION
from mediafm_core.pipeline.quarantine import Quarantine


@pytest.fixture
def inbox(any_dagster_catalogue: DagsterCatalogue, tmp_path: Path) -> Iterator[Sensing]:
    with sensing(any_dagster_catalogue.copy(tmp_path)) as found:
        yield found


def evaluate(inbox: Sensing, **changes: object) -> Tick:
    return inbox.tick(arrivals_sensor(inbox.settings(**changes)))


STILL = {"sensors": {"settle_s": 0.0}}
CHANGING = {"sensors": {"settle_s": 24 * 3600.0}}


def media_of(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if path.name.startswith("media"))


def touch(folder: Path) -> None:
    """Change a folder as if its media file had been delivered again."""
    os.utime(media_of(folder))


def test_a_tick_without_arrivals_counts_the_known_titles(inbox: Sensing):
    tick = evaluate(inbox)
    assert tick.requests == []
    assert tick.skipped == "No new or changed title: 1 quarantined, 2 known."


def test_a_new_title_is_registered_and_ingested(inbox: Sensing):
    inbox.deliver("dog")
    (request,) = evaluate(inbox).requests
    assert inbox.titles_of(request) == ["dog"]
    assert request.job_name == "ingest_title"
    assert {key.to_user_string() for key in request.asset_selection or ()} == set(SPECS)
    assert int(request.tags["dagster/priority"]) > 0


def test_a_half_copied_title_waits_for_its_manifest(inbox: Sensing):
    folder = inbox.deliver("dog", complete=False)
    tick = evaluate(inbox)
    assert tick.requests == []
    assert "1 waiting for title.json" in tick.skipped
    assert "dog" not in inbox.instance.get_dynamic_partitions(TITLES)
    manifest = (inbox.catalogue.inbox / GOOD[0] / "title.json").read_text()
    (folder / "title.json").write_text(manifest.replace(GOOD[0], "dog"))
    assert [inbox.titles_of(request) for request in evaluate(inbox).requests] == [["dog"]]


def test_a_tick_that_is_evaluated_again_requests_the_same_run(inbox: Sensing):
    inbox.deliver("dog")
    first, second = evaluate(inbox), evaluate(inbox)
    assert first.requests[0].run_key is not None
    assert [each.run_key for each in first.requests] == [each.run_key for each in second.requests]


def test_a_title_of_an_unfinished_run_is_not_requested_again(inbox: Sensing):
    inbox.deliver("dog")
    (request,) = evaluate(inbox).requests
    inbox.create(request, NAME)
    inbox.deliver("emu")
    assert [inbox.titles_of(each) for each in evaluate(inbox).requests] == [["emu"]]
    shutil.rmtree(inbox.catalogue.inbox / "emu")
    assert "Runs over all arrivals are under way" in evaluate(inbox).skipped


def test_a_changed_folder_is_ingested_once_it_is_stable(inbox: Sensing):
    folder = inbox.catalogue.inbox / GOOD[1]
    touch(folder)
    tick = evaluate(inbox, **CHANGING)
    assert tick.requests == []
    assert "1 still changing" in tick.skipped
    (request,) = evaluate(inbox, **STILL).requests
    assert inbox.titles_of(request) == [GOOD[1]]
    touch(folder)
    assert evaluate(inbox, **STILL).requests[0].run_key != request.run_key, "another delivery"


def test_a_quarantined_title_is_retried_when_its_folder_has_changed(inbox: Sensing):
    assert evaluate(inbox).requests == []
    touch(inbox.catalogue.inbox / BAD)
    assert [inbox.titles_of(request) for request in evaluate(inbox, **STILL).requests] == [[BAD]]


def test_a_folder_dated_a_year_ahead_does_not_wait_for_a_year(inbox: Sensing):
    media = media_of(inbox.catalogue.inbox / GOOD[1])
    ahead = time.time() + 365 * 24 * 3600
    os.utime(media, (ahead, ahead))
    (request,) = evaluate(inbox, **STILL).requests
    assert inbox.titles_of(request) == [GOOD[1]]


def test_after_the_clock_was_set_back_folders_must_be_unchanged_for_a_while(
    inbox: Sensing, monkeypatch: pytest.MonkeyPatch
):
    """Set the clock back: the file system's times are ahead then, so scans use another clock."""
    year, seconds = 365 * 24 * 3600.0, iter(range(0, 1000, 6))
    touch(inbox.catalogue.inbox / GOOD[1])
    clock = SimpleNamespace(time=lambda: time.time() - year, monotonic=lambda: float(next(seconds)))
    monkeypatch.setattr("mediafm_core.pipeline.planning.arrivals.time", clock)
    settling = {"sensors": {"settle_s": 31.0}}
    ticks = [evaluate(inbox, **settling) for _ in range(4)]
    assert [len(tick.requests) for tick in ticks] == [0, 0, 0, 1]
    touch(inbox.catalogue.inbox / GOOD[1])
    assert evaluate(inbox, **settling).requests == [], "it has changed again"


def test_other_content_of_equal_size_and_time_is_noticed(inbox: Sensing):
    media = media_of(inbox.catalogue.inbox / GOOD[1])
    status, content = media.stat(), bytearray(media.read_bytes())
    content[-1] ^= 1
    media.write_bytes(content)
    os.utime(media, ns=(status.st_atime_ns, status.st_mtime_ns))
    (request,) = evaluate(inbox, **STILL).requests
    assert inbox.titles_of(request) == [GOOD[1]]


def test_many_titles_come_in_few_runs_and_not_all_in_one_tick(inbox: Sensing):
    names = [f"title_{number}" for number in range(5)]
    for name in names:
        inbox.deliver(name)
    limits = {"sensors": {"runs_per_tick": 2}, "run": {"titles_per_run": 2}}
    requested: list[str] = []
    for expected in (names[:4], names[4:]):
        requests = evaluate(inbox, **limits).requests
        for request in requests:
            requested += inbox.titles_of(request)
            inbox.create(request, NAME)
        assert requested[-len(expected) :] == expected
        assert set(inbox.instance.get_dynamic_partitions(TITLES)) >= set(requested)
    assert requested == names
    assert evaluate(inbox, **limits).requests == []


def test_a_folder_that_cannot_be_a_partition_is_quarantined_alone(inbox: Sensing):
    inbox.deliver("Not A Title")
    inbox.deliver("dog")
    assert [inbox.titles_of(request) for request in evaluate(inbox).requests] == [["dog"]]
    entry = Quarantine(inbox.catalogue.platform().store).get("Not A Title")
    assert entry is not None
    assert "title id" in entry.reason


def test_without_a_model_titles_are_embedded_only(inbox: Sensing):
    (inbox.catalogue.store / "serving.json").unlink()
    inbox.deliver("dog")
    (request,) = evaluate(inbox).requests
    assert {key.to_user_string() for key in request.asset_selection or ()} == set(UP_TO_FUSION)


def test_with_a_named_first_model_titles_are_completed_at_once(inbox: Sensing):
    model = inbox.catalogue.platform().serving_model
    (inbox.catalogue.store / "serving.json").unlink()
    inbox.deliver("dog")
    folder = inbox.catalogue.store / "models" / str(model)
    (request,) = evaluate(inbox, serving_model=folder).requests
    assert {key.to_user_string() for key in request.asset_selection or ()} == set(SPECS)


def test_a_missing_inbox_is_an_error(inbox: Sensing):
    shutil.rmtree(inbox.catalogue.inbox)
    with pytest.raises(ConfigurationError, match=r"inbox .* is no folder"):
        evaluate(inbox)


def test_a_failed_request_is_left_to_the_sweep_and_takes_no_room(inbox: Sensing):
    inbox.deliver("dog")
    one = {"sensors": {"runs_per_tick": 1}}
    (request,) = evaluate(inbox, **one).requests
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    run = inbox.create(request.with_replaced_attrs(tags=tags), NAME)
    inbox.instance.report_run_failed(run)
    inbox.instance.delete_dynamic_partition(TITLES, "dog")  # as if it had been retired since
    assert "the sweep retries them" in evaluate(inbox, **one).skipped
    assert "dog" in inbox.instance.get_dynamic_partitions(TITLES), "else no sensor would ingest it"
    inbox.deliver("zebra")
    titles = [inbox.titles_of(each) for each in evaluate(inbox, run={"titles_per_run": 1}).requests]
    assert titles == [["zebra"]]
