"""Publication of finished titles to readers, under the serving model.

`cutover` decides when readers move to another model than the published one, and which titles they
see then.
"""

from collections.abc import Collection, Iterable

from mediafm_core.errors import StoreError
from mediafm_core.pipeline.cutover import (
    cut_over_conditions,
    finished_versions,
    moves_at_once,
)
from mediafm_core.pipeline.planning.asset_states import CatalogueComparison
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.serving import release_history
from mediafm_core.store.features import Publication, publish, publish_earlier_model
from mediafm_core.store.features.publication import published_versions
from mediafm_core.store.features.snapshot import read_snapshot


def publish_titles(
    platform: Platform, title_ids: Iterable[str], again: bool = False
) -> Publication:
    """Publish the clip features of titles under the serving model.

    It is idempotent: features that readers have already are not written again. So a run also
    publishes the titles that a killed run had computed and not published.

    Readers keep the published model's features until the conditions of `cutover` hold; then they
    move to the serving model. Where readers see the serving model already, only the given titles
    are read, however many the catalogue has.

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
    return publish(store, model, title_ids, cut_over_conditions(platform, model), again)


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
    if moves_at_once(history):
        restored = publish_earlier_model(store, history[-1].model)
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
    quarantined = {entry.title_id for entry in Quarantine(platform.store)}
    published = published_versions(platform.store, model)
    found = finished_versions(comparison, set(title_ids) - quarantined)
    return sorted(name for name, versions in found.items() if versions != published.get(name))
