"""Cutover: when readers move to the features of another model, and which titles they see then.

From a release on, the serving model contextualises titles (`serving`). Readers keep seeing the
published model, the one before it, until the conditions of this module hold; then they move to the
serving model at once. This module is the policy only: `publishing` carries it out, and
`mediafm_core.store.features.publication` evaluates it within the lock of writers and replaces the
published file.

Readers move as soon as every title of `titles_kept_visible` has up-to-date features of the serving
model. After a rollback they move without waiting (`moves_at_once`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from mediafm_core.pipeline.planning.asset_states import CatalogueComparison
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.serving import Release, serving_model
from mediafm_core.store.features import Conditions, TitleVersions, catalogue


def cut_over_conditions(platform: Platform, model: str) -> Conditions:
    """Return the conditions under which readers move to a model."""
    return Conditions(
        kept=lambda published: titles_kept_visible(platform, published),
        current=lambda title_ids: _up_to_date(platform, model, title_ids),
    )


def cut_over_waits_for(platform: Platform) -> list[str] | None:
    """Return the titles that the cutover to the serving model waits for, sorted.

    None where readers see the serving model. Where no title is left the next publication cuts over:
    the last titles have been quarantined or removed from the inbox since the last publication.

    Raises:
        StoreError: what readers see cannot be read.
    """
    model, seen = platform.serving_model, catalogue(platform.store)
    if model is None or seen is None or seen.model == model:
        return None
    kept = titles_kept_visible(platform, seen.versions)
    return sorted(set(kept) - _up_to_date(platform, model, kept).keys())


def moves_at_once(history: Sequence[Release]) -> bool:
    """Return True if the serving release is a rollback, which waits for no title.

    Readers then see the restored model as they last saw it; titles that were added or changed since
    follow with the next run.

    Args:
        history: all releases, at least one, the serving one last.
    """
    return history[-1].restores is not None


def titles_kept_visible(platform: Platform, published: Collection[str]) -> set[str]:
    """Return those of the published titles that must not disappear at the cutover.

    The result decides two things:

    - Until each of these titles has up-to-date features of the serving model, the cutover does not
      happen, and all published titles stay visible with the features of the published model.
    - Published titles that are not among them are not waited for and disappear at the cutover, even
      if they have features of the serving model. So a policy that waits for a part of the titles
      must not just leave out the others here: those that are finished would disappear as well.

    Titles without a folder in the inbox are not among them, nor are quarantined ones unless the
    setting `publishing.failed_titles` is "hold". An empty inbox changes nothing.

    Args:
        platform: settings, store and inbox.
        published: titles that readers see.
    """
    in_inbox = {folder.name for folder in platform.inbox.scan()}
    if not in_inbox:  # its disk may not be mounted: readers keep all titles
        return set(published)
    kept = set(published) & in_inbox
    if platform.settings.publishing.failed_titles == "drop":
        kept -= {entry.title_id for entry in Quarantine(platform.store)}
    return kept


def finished_versions(
    comparison: CatalogueComparison, title_ids: Iterable[str]
) -> dict[str, TitleVersions]:
    """Return the recorded versions of those of some titles that are finished."""
    versions = {}
    for title_id in title_ids:
        features = comparison.recorded("clip_features", title_id)
        title = comparison.recorded("title", title_id)
        if features and title:
            versions[title_id] = TitleVersions(features.data_version, title.data_version)
    return versions


def _up_to_date(
    platform: Platform, model: str, title_ids: Collection[str]
) -> Mapping[str, TitleVersions]:
    """Return the recorded versions of those of some titles whose features are up to date.

    Empty where another model serves by now: readers never move to a model that was replaced.
    """
    # A run pins its model: only the store shows a release or rollback made meanwhile.
    if serving_model(platform.store) != model:
        return {}
    comparison = CatalogueComparison(platform)
    # A folder that is being delivered again does not count until it is complete.
    states = {state.title_id: state.state for state in comparison.states()}
    usable = {name for name in title_ids if states.get(name) in ("present", "waiting")}
    return finished_versions(comparison, usable)
