"""Bring what readers see up to date after titles were worked on."""

from collections.abc import Iterable

from mediafm_core.errors import StoreError
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.store.features import Publication, catalogue, publish
from mediafm_core.titles.folder import scan_inbox


def publish_titles(platform: Platform, title_ids: Iterable[str]) -> Publication:
    """Publish the clip features of titles under the serving model.

    Nothing is written where readers have them already, so that this can be called at any time:
    it is how a run catches up on what a killed one had computed but not published.

    While a new model has not reached every title that readers see, less those that are quarantined
    or gone from the inbox, readers keep the old model's features.

    Raises:
        StoreError: no model serves, or features of a title are missing.
    """
    store, model = platform.store, platform.serving_model
    if model is None:
        raise StoreError(f"No model is released in {store.root}: run `mediafm train`.")
    seen = catalogue(store)
    if seen is None or seen.model == model:
        return publish(store, model, title_ids)
    held_back = {entry.title_id for entry in Quarantine(store)}
    asked = set(title_ids)
    in_inbox = {folder.name for folder in scan_inbox(platform.inbox)}
    kept = set(seen.versions) & in_inbox - held_back
    return publish(store, model, asked, expected=asked | kept)
