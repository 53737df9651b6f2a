"""Bring what readers see up to date after titles were worked on."""

from collections.abc import Iterable

from mediafm_core.errors import StoreError
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.states import catalogue_states
from mediafm_core.store.features import Catalogue, Publication, catalogue, publish


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
        raise StoreError(f"No model is released in {store.location}: run `mediafm train`.")
    seen = catalogue(store)
    if seen is None or seen.model == model:
        return publish(store, model, title_ids)
    asked = set(title_ids)
    return publish(store, model, asked, expected=asked | _to_keep(platform, seen))


def publish_at_once(platform: Platform) -> Publication | None:
    """Let readers see another serving model without a run, where nothing has to be computed.

    That is so after a rollback: the features of the model that served before are still there. None
    where a run has work to do first, and then nothing is changed.

    Raises:
        ConfigurationError: the inbox does not exist.
        StoreError: features cannot be published.
    """
    store, model = platform.store, platform.serving_model
    seen = catalogue(store)
    if model is None or seen is None or platform.settings.inbox is None:
        return None
    kept = _to_keep(platform, seen)
    # One look at each title's last file spares most of the work where a model is new. Nothing to
    # keep is no reason to show readers nothing: the inbox may be away.
    if not kept or not all(store.has("clip_features", title_id, model) for title_id in kept):
        return None
    present = {state.title_id for state in catalogue_states(platform) if state.state == "present"}
    return publish_titles(platform, present) if kept <= present else None


def _to_keep(platform: Platform, seen: Catalogue) -> set[str]:
    """Titles that readers see and shall go on seeing: in the inbox and not quarantined."""
    held_back = {entry.title_id for entry in Quarantine(platform.store)}
    in_inbox = {folder.name for folder in platform.inbox.scan()}
    return set(seen.versions) & in_inbox - held_back
