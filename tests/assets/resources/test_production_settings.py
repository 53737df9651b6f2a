"""The `dagster.yaml` for several users, on a real PostgreSQL and a real S3 server."""

import shutil
import tempfile
from pathlib import Path

import dagster as dg
import pytest
import yaml
from postgres_server import Postgres
from s3_server import ACCESS_KEY, SECRET_KEY, s3_server

HOMES = Path(__file__).parents[3] / "dagster_home"
LOCAL, PRODUCTION = HOMES / "dagster.yaml", HOMES / "production" / "dagster.yaml"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def machine(s3, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Set up a machine as the file requires; returns a function that opens the instance there."""
    address = postgres.address(postgres.create("production"))
    names = {"hostname": "HOST", "db_name": "DB", "username": "USER"}
    for name, value in address.items():
        monkeypatch.setenv(f"DAGSTER_PG_{names.get(name, name.upper())}", str(value))
    monkeypatch.setenv("DAGSTER_LOGS_BUCKET", s3.bucket("logs"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    def opened(name: str) -> dg.DagsterInstance:
        home = tmp_path / name
        (home / "tmp").mkdir(parents=True)
        shutil.copy(PRODUCTION, home)
        monkeypatch.setattr(tempfile, "tempdir", str(home / "tmp"))
        return dg.DagsterInstance.from_config(str(home))

    return opened


@dg.op
def speaks():
    print("The cat has 12 shots.")


@dg.job
def talk():
    speaks()


def test_one_machine_shows_what_another_has_run(machine, postgres: Postgres):
    with machine("worker") as worker:
        done = talk.execute_in_process(instance=worker, tags={"dagster/partition": "cat"})
        worker.add_dynamic_partitions("title", ["cat"])
        assert postgres.password not in worker.info_str()
    with machine("ui") as ui:
        [run] = ui.get_runs(dg.RunsFilter(tags={"dagster/partition": "cat"}))
        assert (run.run_id, run.status) == (done.run_id, dg.DagsterRunStatus.SUCCESS)
        assert ui.get_dynamic_partitions("title") == ["cat"]
        [captured] = ui.all_logs(run.run_id, of_type=dg.DagsterEventType.LOGS_CAPTURED)
        data = captured.dagster_event.logs_captured_data
        key = [run.run_id, "compute_logs", data.file_key]
        log = ui.compute_log_manager.get_log_data(key)
        assert log.stdout.decode().strip() == "The cat has 12 shots."


def test_it_differs_from_the_file_for_one_machine_only_where_needed():
    local, production = (yaml.safe_load(file.read_text()) for file in (LOCAL, PRODUCTION))
    shared = ("telemetry", "nux", "run_launcher", "run_retries", "concurrency")
    assert [name for name in shared if local[name] != production[name]] == []
    assert set(local) < set(production)
