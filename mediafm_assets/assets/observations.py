"""Observed versions, recorded when they change."""

from collections.abc import Iterable, Iterator

import dagster as dg

from mediafm_assets.assets.encoder_assets import observe_encoders
from mediafm_assets.assets.model_assets import observe_serving_model
from mediafm_assets.tags import DATA_VERSION, TOLD
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.serving import release_history


def unrecorded(
    instance: dg.DagsterInstance, observations: Iterable[dg.AssetObservation]
) -> Iterator[dg.AssetObservation]:
    """Observations that say something else than the last one of their asset."""
    for each in observations:
        last = instance.fetch_observations(each.asset_key, limit=1).records
        said = last[0].asset_observation if last else None
        if said is None or any(
            said.tags.get(tag) != each.tags.get(tag) for tag in (DATA_VERSION, TOLD)
        ):
            yield each


def versions_to_record(
    instance: dg.DagsterInstance, platform: Platform
) -> list[dg.AssetObservation]:
    """What computes from here on, where Dagster does not know it yet.

    To be recorded before titles are computed: what is observed later counts as a change.
    """
    observed = [
        *observe_encoders(platform),
        *observe_serving_model(release_history(platform.store)),
    ]
    return list(unrecorded(instance, observed))
