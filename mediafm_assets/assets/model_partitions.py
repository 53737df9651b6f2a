"""The trained models of a catalogue as partitions of `release_model`: what the Launchpad offers.

A field of a job's configuration could only offer what there was when the code location was loaded,
and would refuse a model that was trained since. Partitions are read when the Launchpad asks.
"""

import dagster as dg

from mediafm_core.store.model_store import model_names
from mediafm_core.store.store import Store

MODELS = "models"
models = dg.DynamicPartitionsDefinition(name=MODELS)

Changes = list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]


def model_changes(instance: dg.DagsterInstance, store: Store) -> Changes:
    """Return what a sensor asks for so that the partitions are the models of the store."""
    known, there = set(instance.get_dynamic_partitions(MODELS)), model_names(store)
    new = [name for name in there if name not in known]
    gone = sorted(known - set(there))
    return [
        *([models.build_add_request(new)] if new else []),
        *([models.build_delete_request(gone)] if gone else []),
    ]


def offer_models(instance: dg.DagsterInstance, store: Store) -> None:
    """Let the Launchpad offer every model of the store at once, without waiting for a sensor."""
    instance.add_dynamic_partitions(MODELS, model_names(store))
