"""Observations of encoders and of the serving model, recorded when they change."""

from collections.abc import Iterable, Iterator

import dagster as dg

from mediafm_assets.assets.encoder_assets import observe_encoders
from mediafm_assets.assets.model_assets import observe_serving_model
from mediafm_assets.dagster_internals import DATA_VERSION_TAG
from mediafm_assets.tags import CONTENT_TAG
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.serving import release_history


def unrecorded(
    instance: dg.DagsterInstance, observations: Iterable[dg.AssetObservation]
) -> Iterator[dg.AssetObservation]:
    """Yield the observations that differ from the last recorded one of their asset."""
    for each in observations:
        last = instance.fetch_observations(each.asset_key, limit=1).records
        recorded = last[0].asset_observation if last else None
        if recorded is None or any(
            recorded.tags.get(tag) != each.tags.get(tag) for tag in (DATA_VERSION_TAG, CONTENT_TAG)
        ):
            yield each


def versions_to_record(
    instance: dg.DagsterInstance, platform: Platform
) -> list[dg.AssetObservation]:
    """Return the encoder and model versions that Dagster has not recorded yet.

    Record them before titles are computed: Dagster takes a later observation for a change.
    """
    observed = [
        *observe_encoders(platform),
        *observe_serving_model(release_history(platform.store)),
    ]
    return list(unrecorded(instance, observed))
