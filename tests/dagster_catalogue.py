"""Three short titles, one of which is bad, taken in by Dagster as `mediafm run` does."""

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from films import make_inbox, settings_for, write_manifest

from mediafm_assets.instance import open_instance
from mediafm_assets.runner import CatalogueRunner
from mediafm_core.pipeline.platform import Platform

GOOD = ["cat", "coffee"]
BAD = "broken"


@dataclass(frozen=True)
class DagsterCatalogue:
    """An inbox and a store whose Dagster home is inside it.

    Attributes:
        run_ids: of the runs that took the titles in: up to fusion, training, from the model on.
    """

    inbox: Path
    store: Path
    run_ids: list[str]

    def platform(self) -> Platform:
        return Platform(settings_for(self.inbox, self.store))

    def instance(self) -> AbstractContextManager[dg.DagsterInstance]:
        return open_instance(self.platform().store)

    def copy(self, root: Path) -> "DagsterCatalogue":
        """A copy to change; modification times, and with them fingerprints, are kept."""
        shutil.copytree(self.inbox, root / "inbox")
        shutil.copytree(self.store, root / "store")
        return DagsterCatalogue(root / "inbox", root / "store", self.run_ids)


def inbox_with_a_bad_title(inbox: Path) -> Path:
    """Two good titles, and one whose media is a text file."""
    make_inbox(inbox)
    (inbox / BAD).mkdir()
    (inbox / BAD / "media.mp4").write_text("This is not a film.\n" * 50)
    write_manifest(inbox / BAD)
    return inbox


def take_in_with_dagster(root: Path) -> DagsterCatalogue:
    """Make the inbox and run everything on it."""
    inbox = inbox_with_a_bad_title(root / "inbox")
    platform = Platform(settings_for(inbox, root / "store"))
    with open_instance(platform.store) as instance:
        report = CatalogueRunner(platform, instance).run([BAD, *GOOD])
    assert report.failures == {}
    return DagsterCatalogue(inbox, root / "store", report.run_ids)
