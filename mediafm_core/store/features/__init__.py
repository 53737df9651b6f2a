"""Published clip features: tables over immutable shards, defined as views in a small DuckDB file.

    features.duckdb                        the snapshot that readers see: views over shards
    features/<model>/titles/<shard>.parquet
    features/<model>/shots/<shard>.parquet
    features/<model>/clips/<shard>.parquet
    features/<model>/snapshot.duckdb       of a model that readers do not see: the one before, and
                                           the next one while its refresh is under way

Adding a title writes one shard and the small file, however large the catalogue is; another model
is published by replacing the small file alone. Everything here is derived from the artefacts and
can be rebuilt from them. `mediafm_core.store.features.feature_tables` describes what readers see.
"""

from mediafm_core.store.features.publication import (
    Conditions,
    Publication,
    publish,
    publish_earlier_model,
    remove,
)
from mediafm_core.store.features.read_tables import (
    PublishedCatalogue,
    catalogue,
    has_earlier_tables,
    open_features,
)
from mediafm_core.store.features.shards import TitleVersions
from mediafm_core.store.features.unused_shards import CleanedFeatures, clean

__all__ = [
    "CleanedFeatures",
    "Conditions",
    "Publication",
    "PublishedCatalogue",
    "TitleVersions",
    "catalogue",
    "clean",
    "has_earlier_tables",
    "open_features",
    "publish",
    "publish_earlier_model",
    "remove",
]
