"""Three short titles, one of them bad, ingested by Dagster as `mediafm run` does."""

import shutil
import uuid
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import yaml
from copied_catalogue import copy_catalogue
from films import make_inbox, settings_for, write_manifest
from postgres_server import Postgres

from mediafm_assets.cli.runner import CatalogueRunner
from mediafm_assets.resources.instance import open_instance
from mediafm_core.pipeline.graph import UP_TO_FUSION
from mediafm_core.pipeline.platform import Platform

HOMES = Path(__file__).parents[2] / "dagster_home"
GOOD = ["cat", "coffee"]
BAD = "broken"


@dataclass(frozen=True)
class DagsterCatalogue:
    """An inbox and a store whose Dagster home is inside it.

    Attributes:
        run_ids: of the runs that ingested the titles: up to fusion, training, from the model on.
        postgres: the server that holds Dagster's state, in the database that the home names;
            None for SQLite.
    """

    inbox: Path
    store: Path
    run_ids: list[str]
    postgres: Postgres | None = None

    def platform(self) -> Platform:
        return Platform(settings_for(self.inbox, self.store))

    def instance(self) -> AbstractContextManager[dg.DagsterInstance]:
        return open_instance(self.platform().store)

    def copy(self, root: Path) -> "DagsterCatalogue":
        """Return a copy to change, whose titles count as ingested."""
        copy_catalogue(self.inbox, self.store, root / "inbox", root / "store")
        if self.postgres:
            use_postgres(root / "store", self.postgres, copy_of=database_of(self.store))
        return DagsterCatalogue(root / "inbox", root / "store", self.run_ids, self.postgres)


def inbox_with_a_bad_title(inbox: Path) -> Path:
    """Make an inbox of two good titles, and one whose media is a text file."""
    make_inbox(inbox)
    (inbox / BAD).mkdir()
    (inbox / BAD / "media.mp4").write_text("This is not a film.\n" * 50)
    write_manifest(inbox / BAD)
    return inbox


def ingest_with_dagster(
    root: Path, postgres: Postgres | None = None, computed: Path | None = None
) -> DagsterCatalogue:
    """Make the inbox and run everything on it.

    Args:
        root: folder of inbox and store.
        postgres: where Dagster's state goes, instead of SQLite.
        computed: a store whose vectors are copied, so that only the rest is computed.
    """
    inbox, store = inbox_with_a_bad_title(root / "inbox"), root / "store"
    for asset in UP_TO_FUSION if computed else ():
        shutil.copytree(computed / asset, store / asset)
    if postgres:
        use_postgres(store, postgres)
    platform = Platform(settings_for(inbox, store))
    with open_instance(platform.store) as instance:
        report = CatalogueRunner(platform, instance).run([BAD, *GOOD])
    assert report.failures == {}
    return DagsterCatalogue(inbox, store, report.run_ids, postgres)


def use_postgres(store: Path, postgres: Postgres, copy_of: str = "template1") -> None:
    """Configure the Dagster home of a store to use a new database, as in production."""
    database = postgres.create(f"dagster_{uuid.uuid4().hex}", copy_of)
    home = store / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    local, production = (
        yaml.safe_load((HOMES / name).read_text())
        for name in ("dagster.yaml", "production/dagster.yaml")
    )
    storage = production["storage"]
    storage["postgres"]["postgres_db"] |= postgres.address(database)
    (home / "dagster.yaml").write_text(yaml.safe_dump({**local, "storage": storage}))


def database_of(store: Path) -> str:
    """Return the database of a store's Dagster home."""
    home = yaml.safe_load((store / "dagster_home" / "dagster.yaml").read_text())
    return home["storage"]["postgres"]["postgres_db"]["db_name"]
