"""Fixtures that several test modules use."""

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster import DagsterInstance
    from dagster_catalogue import DagsterCatalogue
    from marked_catalogue import MarkedModels
    from postgres_server import Postgres
    from trained_store import TrainedStore

REPOSITORY = Path(__file__).parent.parent

# Files of minutes. `make test` starts with them: a worker that gets one of them last works alone.
LONGEST_FILES = (
    "benchmarks/test_benchmarks.py",
    "assets/sensors/test_living.py",
    "assets/cli/test_commands.py",
    "assets/ui/test_ui.py",
    "assets/cli/test_run_progress.py",
    "assets/sensors/test_sweep.py",
    "storage/test_main_job.py",
    "model/training/test_far_apart.py",
    "assets/assets/test_titles_in_dagster.py",
    "assets/sensors/test_inbox_sensor.py",
    "storage/test_odd_paths.py",
    "assets/assets/test_failing_work.py",
    "training_sets/test_over_s3.py",
)

# Threads of networks as small as the tests' wait for each other: on a busy machine one thread was
# measured to be twelve times as fast as two.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test depends on time: by default Hypothesis fails an example that takes more than 200 ms, and a
# test whose examples are slow to draw. Limits of time in tests only guard against hanging.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(trylast=True)  # after pytest has grouped tests by the parameters of fixtures
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; workers take whole files in this order."""
    ranks = {REPOSITORY / "tests" / name: rank for rank, name in enumerate(LONGEST_FILES)}
    if missing := [str(path) for path in ranks if not path.is_file()]:
        raise pytest.UsageError(f"LONGEST_FILES names files that do not exist: {missing}")
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """Return the folder of real titles, an inbox of five."""
    return _shared("media")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Return the folder of small files with properties of real collections."""
    return _shared("cases")


@pytest.fixture(scope="session")
def shared_benchmark() -> Path:
    """Return the folder of tables for measuring quality: labelled shots and scenes of films."""
    return _shared("benchmark")


@pytest.fixture(scope="session")
def dagster_catalogue(tmp_path_factory: pytest.TempPathFactory) -> "DagsterCatalogue":
    """Ingest two good titles and a bad one with Dagster once; to read, or to copy and change."""
    from dagster_catalogue import ingest_with_dagster

    return ingest_with_dagster(tmp_path_factory.mktemp("dagster_catalogue"))


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Postgres]":
    """Start a PostgreSQL server for all tests; skip them where it is not installed."""
    from postgres_server import NoPostgresError, postgres_server

    try:
        with postgres_server() as server:
            yield server
    except NoPostgresError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def dagster_catalogue_on_postgres(
    dagster_catalogue: "DagsterCatalogue",
    postgres: "Postgres",
    tmp_path_factory: pytest.TempPathFactory,
) -> "DagsterCatalogue":
    """Ingest the same titles with Dagster's state in PostgreSQL."""
    from dagster_catalogue import ingest_with_dagster

    root = tmp_path_factory.mktemp("dagster_catalogue_on_postgres")
    return ingest_with_dagster(root, postgres, computed=dagster_catalogue.store)


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def any_dagster_catalogue(
    request: pytest.FixtureRequest, dagster_catalogue: "DagsterCatalogue"
) -> "DagsterCatalogue":
    """Return the titles that Dagster ingested, with its state in SQLite, then in PostgreSQL."""
    if request.param == "sqlite":
        return dagster_catalogue
    return request.getfixturevalue("dagster_catalogue_on_postgres")


@pytest.fixture(params=["sqlite", "postgres"])
def dagster_instance(request: pytest.FixtureRequest) -> "Iterator[DagsterInstance]":
    """Open a fresh Dagster instance, on either storage."""
    import dagster as dg

    storage = {}
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        address = server.address(server.create(f"instance_{uuid.uuid4().hex}"))
        scheme = {"scheme": "postgresql+psycopg2"}
        storage = {"storage": {"postgres": {"postgres_db": {**scheme, **address}}}}
    with dg.instance_for_test(overrides=storage) as instance:
        yield instance


@pytest.fixture(scope="session")
def _trained_store(tmp_path_factory: pytest.TempPathFactory) -> "TrainedStore":
    from trained_store import make_trained_store

    return make_trained_store(tmp_path_factory.mktemp("trained_store"))


@pytest.fixture
def trained_store(_trained_store: "TrainedStore", tmp_path: Path) -> "TrainedStore":
    """Copy a store with three small models, none of them released; to change."""
    return _trained_store.copy(tmp_path)


@pytest.fixture(scope="session")
def marked_models(tmp_path_factory: pytest.TempPathFactory) -> "MarkedModels":
    """Make a labelled catalogue with a serving model and two compared candidates; to read."""
    from marked_catalogue import make_marked_models

    return make_marked_models(tmp_path_factory.mktemp("marked_models"))


def _shared(name: str) -> Path:
    folder = Path(os.environ.get("MEDIAFM_SHARED", REPOSITORY.parent / "shared")) / name
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist: set MEDIAFM_SHARED to the folder that holds {name}")
    return folder
