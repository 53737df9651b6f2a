"""Publication of finished titles to readers, and their cutover to another model."""

from collections.abc import Collection, Iterable, Mapping

from mediafm_core.errors import StoreError
from mediafm_core.pipeline.planning.asset_states import CatalogueComparison
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.serving import release_history, serving_model
from mediafm_core.store.features import (
    Conditions,
    Publication,
    TitleVersions,
    catalogue,
    publish,
    serve,
)
from mediafm_core.store.features.publication import published_versions
from mediafm_core.store.features.snapshot import read_snapshot


def publish_titles(
    platform: Platform, title_ids: Iterable[str], again: bool = False
) -> Publication:
    """Publish the clip features of titles under the serving model.

    It is idempotent: features that readers have already are not written again. So a run also
    publishes the titles that a killed run had computed and not published.

    Readers keep the old model's features until the new model has features of every title that
    readers see; then they cut over. Titles without a folder in the inbox are not waited for, nor
    are quarantined ones unless the setting `publishing.failed_titles` is "hold". Where readers see
    the serving model already, only the given titles are read, however many the catalogue has.

    Args:
        platform: settings and store.
        title_ids: finished titles.
        again: write the rows of these titles also where readers have their versions already.

    Raises:
        StoreError: no model serves, or features of a title are missing.
    """
    store, model = platform.store, platform.serving_model
    if model is None:
        raise StoreError(f"No model is released in {store.location}: run `mediafm train`.")
    conditions = Conditions(
        kept=lambda seen: _kept(platform, seen),
        current=lambda title_ids: _current(platform, model, title_ids),
    )
    return publish(store, model, title_ids, conditions, again)


def publish_finished(platform: Platform) -> Publication | None:
    """Publish every finished title of the catalogue; return None without titles or a model.

    Raises:
        StoreError: features cannot be published.
    """
    present = [
        state.title_id
        for state in CatalogueComparison(platform).states()
        if state.state == "present"
    ]
    if not present or platform.serving_model is None:
        return None
    return publish_titles(platform, present)


def publish_at_once(platform: Platform) -> Publication | None:
    """Let readers cut over to the serving model without a run, where that is possible.

    After a rollback readers see the earlier model at once, as they last saw it; titles that were
    added or changed since follow with the next run. After a release the cutover is possible where
    every title has features of the model already. None where a run has to compute some first.

    Raises:
        ConfigurationError: the inbox does not exist.
        StoreError: features cannot be published.
    """
    store, seen = platform.store, read_snapshot(platform.store)
    history = release_history(store)
    if not history or seen is None:
        return None
    serving = history[-1]
    if serving.restores is not None:
        restored = serve(store, serving.model)
        if restored is not None:
            return restored
    if platform.settings.inbox is None:
        return None
    publication = publish_titles(platform, ())
    return None if publication.outcome == "held back" else publication


def unpublished(
    platform: Platform,
    title_ids: Collection[str],
    comparison: CatalogueComparison | None = None,
) -> list[str]:
    """Return those of some titles whose finished features are not published yet, sorted.

    A run that is killed after it has computed a title leaves such a title. Quarantined titles are
    left out. Only recorded versions are read and no features: it is quick for a whole catalogue.

    Args:
        platform: settings and store.
        title_ids: titles to check.
        comparison: of the catalogue, where one has been made already.

    Raises:
        StoreError: what was published cannot be read.
    """
    model = platform.serving_model
    if model is None:
        return []
    comparison = comparison or CatalogueComparison(platform)
    held_back = {entry.title_id for entry in Quarantine(platform.store)}
    published = published_versions(platform.store, model)
    found = _recorded(comparison, set(title_ids) - held_back)
    return sorted(name for name, versions in found.items() if versions != published.get(name))


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
    kept = _kept(platform, seen.versions)
    return sorted(set(kept) - _current(platform, model, kept).keys())


def _kept(platform: Platform, seen: Collection[str]) -> set[str]:
    """Return the titles that readers see and that a cutover has to keep."""
    in_inbox = {folder.name for folder in platform.inbox.scan()}
    if not in_inbox:  # its disk may not be mounted: readers keep all titles
        return set(seen)
    kept = set(seen) & in_inbox
    if platform.settings.publishing.failed_titles == "drop":
        kept -= {entry.title_id for entry in Quarantine(platform.store)}
    return kept


def _current(
    platform: Platform, model: str, title_ids: Collection[str]
) -> Mapping[str, TitleVersions]:
    """Return the recorded versions of those of some titles whose features are up to date."""
    # A run pins its model: only the store shows a release or rollback made meanwhile.
    if serving_model(platform.store) != model:
        return {}
    comparison = CatalogueComparison(platform)
    # A folder that is being delivered again does not count until it is complete.
    states = {state.title_id: state.state for state in comparison.states()}
    usable = {name for name in title_ids if states.get(name) in ("present", "waiting")}
    return _recorded(comparison, usable)


def _recorded(
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
