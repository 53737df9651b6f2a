"""One of several daemons on a store acts, on whichever machines they run."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mediafm_assets.sensors.single_daemon import reason_to_stand_by
from mediafm_core.runtime.process import ProcessMark
from mediafm_core.store.store import Store

DAY_S = 86_400.0
WATCH = (
    "import sys; from pathlib import Path; "
    "from mediafm_assets.sensors.single_daemon import reason_to_stand_by; "
    "from mediafm_core.store.store import Store; "
    "print(reason_to_stand_by(Store(Path(sys.argv[1]))), flush=True); sys.stdin.read()"
)


def noted(store: Store, process: ProcessMark, looked: float) -> None:
    """Return the note of a daemon's last evaluation."""
    store.root.mkdir(exist_ok=True)
    note = {"process": process.model_dump(), "looked": looked}
    (store.root / ".watching.json").write_text(json.dumps(note))


def test_the_first_process_goes_on_until_it_ends(tmp_path: Path):
    store = Store(tmp_path / "store")
    first = subprocess.Popen(
        [sys.executable, "-c", WATCH, str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout
    assert first.stdout.readline() == "\n"
    assert reason_to_stand_by(store) == (
        f"Process {first.pid} watches {store.root} already: stop one of the two daemons."
    )
    first.communicate("")
    assert reason_to_stand_by(store) == ""
    assert reason_to_stand_by(store) == ""


def test_a_later_process_with_the_same_id_does_not_hold_the_catalogue(tmp_path: Path):
    store = Store(tmp_path / "store")
    noted(
        store,
        ProcessMark.of_this_process().model_copy(update={"pid": os.getppid(), "started": "1"}),
        time.time(),
    )
    assert reason_to_stand_by(store) == ""


@pytest.mark.parametrize(("ago_s", "acts"), [(0.0, False), (DAY_S, True), (-DAY_S, True)])
def test_a_daemon_of_another_machine_is_known_by_its_last_evaluation(
    tmp_path: Path, ago_s: float, acts: bool
):
    store = Store(tmp_path / "store")
    elsewhere = ProcessMark(host="studio-7", boot="b", namespace="n", pid=1, started="5")
    noted(store, elsewhere, time.time() - ago_s)
    other = reason_to_stand_by(store)
    assert (other == "") == acts
    if not acts:
        assert other.startswith(f"Process 1 of studio-7 watches {store.root} already")
