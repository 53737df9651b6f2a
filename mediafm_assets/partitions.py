"""Partitions: a title of the catalogue, or a trained model.

The key of a title is the name of its folder in the inbox. Trained models are partitions so that the
Launchpad offers them for `release_model`: partitions are read when it opens, while a field of a
job's configuration could only offer the models that existed when the code location was loaded.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

from mediafm_assets.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from mediafm_assets.tags import TITLES_TAG
from mediafm_core.store.model_store import model_names
from mediafm_core.store.store import Store
from mediafm_core.titles.manifest import is_title_id

TITLES = "titles"
titles = dg.DynamicPartitionsDefinition(name=TITLES)
MODELS = "models"
models = dg.DynamicPartitionsDefinition(name=MODELS)

Changes = list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]


def register_titles(instance: dg.DagsterInstance, title_ids: Sequence[str]) -> list[str]:
    """Add titles as partitions; returns those that the instance did not have yet."""
    known = set(instance.get_dynamic_partitions(TITLES))
    new = [title_id for title_id in title_ids if title_id not in known]
    instance.add_dynamic_partitions(TITLES, new)
    return new


def range_tags(title_ids: Sequence[str]) -> dict[str, str]:
    """Return the tags of a run over titles that are consecutive in the order of registration."""
    first, others = title_ids[0], len(title_ids) - 1
    return {
        ASSET_PARTITION_RANGE_START_TAG: first,
        ASSET_PARTITION_RANGE_END_TAG: title_ids[-1],
        TITLES_TAG: f"{first} and {others} more" if others else first,
    }


def is_over_titles(tags: Mapping[str, str]) -> bool:
    """Return True for the tags of a run over titles, one or a range."""
    return ASSET_PARTITION_RANGE_START_TAG in tags or is_title_id(tags.get(PARTITION_NAME_TAG, ""))


def model_changes(instance: dg.DagsterInstance, store: Store) -> Changes:
    """Return the requests of a sensor that make the partitions equal to the store's models."""
    known, there = set(instance.get_dynamic_partitions(MODELS)), model_names(store)
    new = [name for name in there if name not in known]
    gone = sorted(known - set(there))
    return [
        *([models.build_add_request(new)] if new else []),
        *([models.build_delete_request(gone)] if gone else []),
    ]


def offer_models(instance: dg.DagsterInstance, store: Store) -> None:
    """Add every model of the store as a partition at once, without waiting for a sensor."""
    instance.add_dynamic_partitions(MODELS, model_names(store))
