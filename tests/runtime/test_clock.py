"""After a clock was set back, nothing waits until it reaches the recorded moments."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_catalogue import MODEL, SmallCatalogue

from mediafm_assets.sensors.single_daemon import reason_to_stand_by
from mediafm_core.model.training.training_checkpoint import remove_old_checkpoints
from mediafm_core.runtime.clock import SKEW_S, is_ahead
from mediafm_core.runtime.process import ProcessMark, start_of
from mediafm_core.storage.cache import FileCache
from mediafm_core.store.features import clean

YEAR_S = 365 * 24 * 3600.0


def date_ahead(path: Path) -> None:
    os.utime(path, (time.time() + YEAR_S,) * 2)


def test_clocks_that_differ_a_little_are_no_clock_that_was_set_back() -> None:
    assert not is_ahead(1000.0, 1000.0)
    assert not is_ahead(1000.0 + SKEW_S, 1000.0)
    assert is_ahead(1001.0 + SKEW_S, 1000.0)


def test_the_other_daemon_is_silent_by_what_it_did(tmp_path: Path) -> None:
    small = SmallCatalogue(tmp_path).filled("alpha")
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        mark = ProcessMark.of_this_process()
        mark = mark.model_copy(update={"pid": other.pid, "started": start_of(other.pid)})
        note = {"process": mark.model_dump(), "looked": time.time()}
        (tmp_path / ".watching.json").write_text(json.dumps(note))
        assert f"Process {other.pid} watches" in reason_to_stand_by(small.store)
        note["looked"] = time.time() + YEAR_S
        (tmp_path / ".watching.json").write_text(json.dumps(note))
        assert reason_to_stand_by(small.store) == ""
        assert mark.state == "alive"
    finally:
        other.communicate()


def test_copies_dated_ahead_make_room_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = FileCache(tmp_path / "copies", "s3://b", room_bytes=1000)

    def keep(key: str) -> Path:
        prepared = tmp_path / "prepared"
        prepared.write_bytes(b"x" * 300)
        return copies.keep(prepared, key, "v")

    for number in range(10):
        date_ahead(keep(f"old {number}").parent)
    keep("new")
    later = SimpleNamespace(time=lambda: time.time() + 3600)
    monkeypatch.setattr("mediafm_core.storage.cache.time", later)
    keep("newer")
    assert len(list(tmp_path.rglob("@v/*"))) <= 3


def test_states_of_trainings_dated_ahead_age_from_now_on(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "step-00000001").mkdir(parents=True)
    date_ahead(state)
    assert remove_old_checkpoints(tmp_path) == []
    assert not is_ahead(state.stat().st_mtime, time.time())


def test_files_of_features_dated_ahead_have_their_time_of_grace_from_now_on(
    tmp_path: Path,
) -> None:
    small = SmallCatalogue(tmp_path).filled("alpha")
    (shots,) = (tmp_path / "features" / MODEL / "shots").iterdir()
    unfinished = shots.with_name("0123456789abcdef.parquet")  # of a writer that was killed
    unfinished.write_bytes(shots.read_bytes())
    date_ahead(unfinished)
    clean(small.store, [], grace_s=24 * 3600.0)
    assert unfinished.exists()
    assert not is_ahead(unfinished.stat().st_mtime, time.time())
    date_ahead(unfinished)
    clean(small.store, [], grace_s=0.0)
    assert not unfinished.exists()
    assert shots.exists()


def test_shards_dropped_ahead_have_their_time_of_grace_from_now_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = SmallCatalogue(tmp_path)
    later = SimpleNamespace(time=lambda: time.time() + YEAR_S)
    with monkeypatch.context() as patched:
        patched.setattr("mediafm_core.store.features.snapshot_writer.time", later)
        small.filled("alpha")
        small.write("alpha", edition=2)
        small.publish("alpha")
    folder = tmp_path / "features" / MODEL / "shots"
    assert len(list(folder.iterdir())) == 2
    clean(small.store, [], grace_s=24 * 3600.0)
    assert len(list(folder.iterdir())) == 2
    clean(small.store, [], grace_s=0.0)
    assert len(list(folder.iterdir())) == 1
