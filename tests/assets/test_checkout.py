"""The repository as checked out: `workspace.yaml`, `dagster_home`, `[tool.dg]`, no settings."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from mediafm_assets.alerts.run_failures import first_failure
from mediafm_assets.jobs.schedules import clean_daily, verify_nightly
from mediafm_core.config.settings import load_settings

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 300.0
POLL_S = 0.2
SENTENCE = "Not set: MEDIAFM_INBOX and MEDIAFM_STORE. Set them and start Dagster again."
# Dagster warns that `dg` supersedes both commands, which does not concern the project.
SUPERSEDED = (
    *("-W", "ignore:Function `definitions_validate_command` is superseded"),
    *("-W", "ignore:Function `dev_command` is superseded"),
)
DG = Path(sys.executable).with_name("dg")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a copy of the repository's Dagster home, so that tests leave nothing in it."""
    shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", tmp_path)
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    """Return an environment with a Dagster home and without settings of MediaFM."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDIAFM_")}
    return {**kept, "DAGSTER_HOME": str(home), "NO_COLOR": "1"}


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("MEDIAFM_"):
            monkeypatch.delenv(name)


def succeeds_quietly(home: Path, command: list[str], sentence: str) -> None:
    """Check that a command at the repository's root succeeds without a warning."""
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert sentence in output
    assert not re.search("warning|deprecat|beta|preview", output, re.IGNORECASE), output


def test_the_definitions_are_valid(home: Path):
    validate = [sys.executable, *SUPERSEDED, "-m", "dagster", "definitions", "validate"]
    succeeds_quietly(home, validate, "All code locations passed validation.")


def test_dg_finds_the_definitions_without_a_warning(home: Path):
    if not DG.exists():
        pytest.skip("needs dagster-dg-cli: make setup-dev")
    succeeds_quietly(home, [str(DG), "check", "defs"], "All definitions loaded successfully.")


@pytest.fixture
def dagster_dev(home: Path) -> Iterator[Path]:
    """Return the log of a `dagster dev` at the repository's root."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = home / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *SUPERSEDED, "-m", "dagster", "dev", "--port", str(port)],
            cwd=REPOSITORY,
            env=environment(home),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for child in family:
            if child.is_running():
                child.kill()


def test_sensors_skip_with_one_sentence_while_nothing_is_set(dagster_dev: Path):
    expected = [
        f"Sensor {name} skipped: {SENTENCE}" for name in ("inbox_arrivals", "catalogue_sweep")
    ]
    deadline = time.monotonic() + PATIENCE_S
    while not all(line in dagster_dev.read_text() for line in expected):
        assert time.monotonic() < deadline, dagster_dev.read_text()
        time.sleep(POLL_S)
    assert "Traceback" not in dagster_dev.read_text()
    assert "Warning" not in dagster_dev.read_text()


@pytest.mark.parametrize("nightly", [clean_daily, verify_nightly])
def test_the_schedule_skips_while_nothing_is_set(nothing_set: None, tmp_path: Path, nightly):
    context = dg.build_schedule_context()
    assert nightly(load_settings()).evaluate_tick(context).skip_message == SENTENCE
    only_store = nightly(load_settings(store=tmp_path)).evaluate_tick(context)
    assert only_store.skip_message == "Not set: MEDIAFM_INBOX. Set it and start Dagster again."
    both = nightly(load_settings(store=tmp_path, inbox=tmp_path)).evaluate_tick(context)
    assert len(both.run_requests or ()) == 1


@pytest.mark.parametrize("job", ["ingest_title", "train_model", "clean_catalogue"])
def test_a_run_fails_with_one_sentence_while_nothing_is_set(nothing_set: None, job: str):
    from mediafm_assets.definitions import defs

    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("titles", ["cat"])
        done = defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key="cat" if job == "ingest_title" else None,
            raise_on_error=False,
        )
        assert not done.success
        logged = [each.user_message for each in instance.all_logs(done.run_id) if each.level >= 40]
        sentence = "No store: pass --store DIR or set MEDIAFM_STORE."
        assert sentence in logged
        assert first_failure(instance, done.run_id).endswith(sentence)
        run = instance.get_run_by_id(done.run_id)
        assert run is not None
        assert run.tags["dagster/max_retries"] == "0", "the daemon does not start it again"
