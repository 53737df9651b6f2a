"""`mediafm run` and `dagster asset materialize` as real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster_catalogue import BAD, GOOD, DagsterCatalogue
from films import SMALL_MODEL

from mediafm_assets.resources.instance import dagster_home, open_instance
from mediafm_assets.tags import INTERRUPTED_TAG
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.store.equality import differences
from mediafm_core.store.store import Store

PATIENCE_S = 600
POLL_S = 0.1

MEDIAFM = [sys.executable, "-m", "mediafm_core"]
# More steps than a test waits for, so that a run is killed during its training.
ENDLESS = {"MEDIAFM_TRAINING__STEPS": "1000000", "MEDIAFM_TRAINING__VALIDATE_EVERY": "1000000"}


def environment(inbox: Path, store: Path, **changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    paths = {"MEDIAFM_INBOX": str(inbox), "MEDIAFM_STORE": str(store)}
    return {**kept, **SMALL_MODEL, **paths, "COLUMNS": "120", **changes}


def run(catalogue: DagsterCatalogue, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MEDIAFM, "run", *arguments],
        env=environment(catalogue.inbox, catalogue.store),
        capture_output=True,
        text=True,
        check=False,
    )


def end_when(
    reached: Callable[[], bool],
    inbox: Path,
    store: Path,
    log: Path,
    number: signal.Signals = signal.SIGKILL,
    **changes: str,
) -> int:
    """Start `mediafm run`, send a signal once a condition holds, and return its exit code."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [*MEDIAFM, "run"],
            env=environment(inbox, store, **changes),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not reached():
                assert process.poll() is None, f"ended by itself: {log.read_text()}"
                assert time.monotonic() < deadline, f"not reached: {log.read_text()}"
                time.sleep(POLL_S)
            process.send_signal(number)
            return process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()


def training_has_logged(instance: dg.DagsterInstance) -> bool:
    """Return True if Dagster's log has the first steps of a training."""
    return any(
        entry.user_message.startswith("training, loss ")
        for run in instance.get_runs(dg.RunsFilter(job_name="train_model"))
        for entry in instance.all_logs(run.run_id)
    )


def test_killed_runs_leave_nothing_that_a_rerun_does_not_fix(
    dagster_catalogue: DagsterCatalogue, tmp_path: Path
):
    inbox, store = dagster_catalogue.inbox, Store(tmp_path / "store")
    log = tmp_path / "log"

    killed_by = end_when(lambda: any(store.root.glob("shots/*.parquet")), inbox, store.root, log)
    assert killed_by == -signal.SIGKILL
    killed = DagsterCatalogue(inbox, store.root, [])
    assert not store.features.exists()

    with open_instance(store) as instance:
        end_when(lambda: training_has_logged(instance), inbox, store.root, log, **ENDLESS)
    assert sorted(path.stem for path in store.root.glob("fused_embeddings/*.parquet")) == GOOD
    assert not store.features.exists()

    finished = run(killed, "--strict")
    assert finished.returncode == 3, finished.stderr  # the bad title
    assert differences(Store(dagster_catalogue.store), store) == []


def test_interrupted_runs_are_cancelled_and_a_rerun_finishes_them(
    dagster_catalogue: DagsterCatalogue, tmp_path: Path
):
    inbox, store = dagster_catalogue.inbox, Store(tmp_path / "store")
    log = tmp_path / "log"

    def decoding() -> bool:
        return any('"shots"' in note.read_text() for note in store.root.glob(".attempts/*.json"))

    with open_instance(store) as instance:
        # The bad title is quarantined by the first run, and no work of the others.
        for reached, number, code, job, titles in (
            (decoding, signal.SIGINT, 130, "embed_title", 3),
            (decoding, signal.SIGTERM, 143, "embed_title", 2),
            (lambda: training_has_logged(instance), signal.SIGINT, 130, "train_model", 2),
        ):
            assert end_when(reached, inbox, store.root, log, number, **ENDLESS) == code
            cancelled = instance.get_runs(
                dg.RunsFilter(statuses=[dg.DagsterRunStatus.CANCELED]), limit=1
            )
            assert [(run.job_name, run.tags[INTERRUPTED_TAG]) for run in cancelled] == [
                (job, "true")
            ]
            assert (
                instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])) == 0
            )
            line = log.read_text().rstrip().splitlines()[-1]
            assert line.startswith(
                f"Interrupted ({number.name}): 0 of {titles} titles are complete"
            )
            assert "Traceback" not in log.read_text()
    assert {entry.title_id for entry in Quarantine(store)} <= {BAD}

    finished = run(DagsterCatalogue(inbox, store.root, []), "--strict")
    assert finished.returncode == 3, finished.stderr  # the bad title
    assert differences(Store(dagster_catalogue.store), store) == []


def test_a_run_with_nothing_to_do_prints_it(dagster_catalogue: DagsterCatalogue):
    again = run(dagster_catalogue)
    assert again.returncode == 0, again.stderr
    assert "Nothing to do" in again.stdout
    rows = {line.split()[0]: line.split()[1] for line in again.stdout.splitlines() if line.split()}
    assert [rows[name] for name in (*GOOD, BAD)] == ["present", "present", "quarantined"]
    assert "media.mp4" in again.stdout
    assert again.stderr == ""


def test_only_the_named_titles_are_shown_and_checked(dagster_catalogue: DagsterCatalogue):
    named = run(dagster_catalogue, "--titles", "cat, coffee", "--strict")
    assert named.returncode == 0, named.stderr
    assert BAD not in named.stdout


def test_a_named_title_is_recomputed_on_request(
    dagster_catalogue: DagsterCatalogue, tmp_path: Path
):
    copy = dagster_catalogue.copy(tmp_path)
    forced = run(copy, "--titles", "coffee", "--force")
    assert forced.returncode == 0, forced.stderr
    assert "1 titles worked on" in forced.stdout
    assert differences(Store(dagster_catalogue.store), Store(copy.store)) == []
    assert "Nothing to do" in run(copy).stdout


def test_an_unknown_title_is_an_error_with_a_hint(dagster_catalogue: DagsterCatalogue):
    unknown = run(dagster_catalogue, "--titles", "cofee")
    assert unknown.returncode not in (0, 3)
    assert "'cofee'" in unknown.stderr
    assert "did you mean 'coffee'?" in unknown.stderr
    assert "Traceback" not in unknown.stderr


@pytest.mark.parametrize(
    "selection",
    ["shots", "group:ingest or group:embeddings or group:context"],
    ids=["one asset", "all of a title"],
)
def test_dagsters_own_command_materialises_a_title(
    dagster_catalogue: DagsterCatalogue, tmp_path: Path, selection: str
):
    copy = dagster_catalogue.copy(tmp_path)
    clips = copy.inbox / "coffee" / "clips.csv"
    clips.write_text("clip_id,start_s,end_s,mood\na,0,5.5,calm\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "asset", "materialize"),
            *("-m", "mediafm_assets.definitions"),
            *("--select", selection, "--partition", "coffee"),
        ],
        env={
            **environment(copy.inbox, copy.store),
            "DAGSTER_HOME": str(dagster_home(Store(copy.store))),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "RUN_SUCCESS" in done.stderr
    state = run(copy, "--titles", "coffee")
    assert ("Nothing to do" in state.stdout) == (selection != "shots"), state.stdout
