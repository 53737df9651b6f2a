"""Selection of the titles of the inbox that need work."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from mediafm_core.errors import ConfigurationError
from mediafm_core.pipeline.planning.asset_states import (
    CatalogueComparison,
    TitleState,
    VersionComparison,
)
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine, has_usable_name
from mediafm_core.titles.title_folder import TitleFolder


@dataclass(frozen=True)
class Selection:
    """Titles of a run, and those of them that need work.

    Attributes:
        folders: of all titles of the run.
        before: their states before the run.
        work: ids of those that need work.
        is_whole: True for the whole inbox.
    """

    folders: list[TitleFolder]
    before: list[TitleState]
    work: list[str]
    is_whole: bool = False

    def after(self, platform: Platform) -> list[TitleState]:
        """Return the present states of the same titles."""
        if not self.work:
            return self.before
        now = {folder.name: folder for folder in platform.inbox.scan()}
        comparison = _comparison(platform, self.is_whole)
        return [comparison.title_state(now.get(each.name, each)) for each in self.folders]


def select_titles(
    platform: Platform,
    names: Sequence[str] | None = None,
    retry: bool = False,
    force: bool = False,
) -> Selection:
    """Find the titles that are missing or stale.

    A folder whose name cannot be a title id is quarantined here: it cannot become a partition.
    A quarantine is lifted here when the title's folder has changed or is gone.

    Args:
        platform: settings and store.
        names: only these titles; None takes the whole inbox.
        retry: also select quarantined titles whose folder has not changed.
        force: also select titles that are up to date.

    Raises:
        ConfigurationError: the inbox has no title of one of the names.
    """
    inbox = list(platform.inbox.scan())
    folders = inbox if names is None else _named(inbox, names)
    quarantine = Quarantine(platform.store)
    usable = [folder for folder in folders if has_usable_name(folder, quarantine)]
    comparison = _comparison(platform, names is None)
    states = {folder.name: comparison.title_state(folder) for folder in folders}
    in_inbox = {folder.name for folder in inbox}
    for entry in quarantine:
        state = states.get(entry.title_id)
        if entry.title_id not in in_inbox or (state and state.state != "quarantined"):
            quarantine.lift(entry.title_id)
    wanted = {"missing", "stale"} | ({"quarantined"} if retry else set())
    wanted |= {"present"} if force else set()
    work = [folder.name for folder in usable if states[folder.name].state in wanted]
    return Selection(folders, list(states.values()), work, is_whole=names is None)


def _comparison(platform: Platform, is_whole: bool) -> VersionComparison:
    return CatalogueComparison(platform) if is_whole else VersionComparison(platform)


def _named(folders: Sequence[TitleFolder], names: Sequence[str]) -> list[TitleFolder]:
    known = {folder.name: folder for folder in folders}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "see `mediafm status`."
            raise ConfigurationError(f"The inbox has no title {name!r}: {hint}")
    return [known[name] for name in dict.fromkeys(names)]
