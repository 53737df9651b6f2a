"""Bring what readers see up to date after titles were worked on."""

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

    Nothing is written where readers have them already, so that this can be called at any time:
    it is how a run catches up on what a killed one had computed but not published.

    While a new model has not reached every title that readers see, readers keep the old model's
    features. Titles that are gone from the inbox hold nothing up, nor do quarantined ones unless
    the setting `publishing.failed_titles` is "hold". Under the model that readers see already, only
    these titles are looked at, however many the catalogue has.

    Args:
        platform: settings and store.
        title_ids: titles that are finished.
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
    """Publish every finished title of the catalogue; None where there is none, or no model.

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
    """Let readers see another serving model without a run, where that is possible.

    After a rollback it is: readers see the earlier model as they last saw it, at once; titles that
    have come or changed since follow with the next run. After a release it is where every title
    has the model's features already. None where a run has work to do first.

    Raises:
        ConfigurationError: the inbox does not exist.
        StoreError: features cannot be published.
    """
    store, model = platform.store, platform.serving_model
    seen = read_snapshot(store)
    if model is None or seen is None:
        return None
    if release_history(store)[-1].restores is not None:
        restored = serve(store, model)
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
    """Those of some titles whose finished features are not published yet, sorted.

    That is what a run leaves that was killed after it had computed a title. Quarantined titles are
    left out. It reads recorded versions and nothing of the features, so it is quick for a whole
    catalogue.

    Args:
        platform: settings and store.
        title_ids: titles to look at.
        comparison: of the catalogue as it is, where one has been made already.

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
    """Titles that keep readers at another model than the one that serves, sorted.

    None where readers see the serving model. With no title left the next publication takes readers
    to it: what was waited for has been held back or taken out of the inbox since the last one.

    Raises:
        StoreError: what readers see cannot be read.
    """
    model, seen = platform.serving_model, catalogue(platform.store)
    if model is None or seen is None or seen.model == model:
        return None
    kept = _kept(platform, seen.versions)
    return sorted(set(kept) - _current(platform, model, kept).keys())


def _kept(platform: Platform, seen: Collection[str]) -> set[str]:
    """Titles that readers see and shall go on seeing."""
    in_inbox = {folder.name for folder in platform.inbox.scan()}
    if not in_inbox:  # it may be away: no reason to show readers nothing
        return set(seen)
    kept = set(seen) & in_inbox
    if platform.settings.publishing.failed_titles == "drop":
        kept -= {entry.title_id for entry in Quarantine(platform.store)}
    return kept


def _current(
    platform: Platform, model: str, title_ids: Collection[str]
) -> Mapping[str, TitleVersions]:
    """Those of some titles whose features are what their inputs and the settings give now."""
    # A run keeps to its model: a release or rollback made meanwhile is only seen in the store.
    if serving_model(platform.store) != model:
        return {}
    comparison = CatalogueComparison(platform)
    # A folder that is being delivered again has no part in this until it is complete.
    states = {state.title_id: state.state for state in comparison.states()}
    usable = {name for name in title_ids if states.get(name) in ("present", "waiting")}
    return _recorded(comparison, usable)


def _recorded(
    comparison: CatalogueComparison, title_ids: Iterable[str]
) -> dict[str, TitleVersions]:
    """The recorded versions of those of some titles that are finished."""
    versions = {}
    for title_id in title_ids:
        features = comparison.recorded("clip_features", title_id)
        title = comparison.recorded("title", title_id)
        if features and title:
            versions[title_id] = TitleVersions(features.data_version, title.data_version)
    return versions
