"""The jobs that work on titles, the one that trains and the one that measures."""

import dagster as dg

from mediafm_assets.resources.run_limits import max_runtime
from mediafm_core.config.settings import load_settings
from mediafm_core.pipeline.graph import SPECS, UP_TO_FUSION

MAX_RUNTIME = max_runtime(load_settings().run)
"""Tag of every run of a job; those that sensors ask for have one by their number of titles."""

INGEST_TITLE = "ingest_title"
EMBED_TITLE = "embed_title"
REFRESH_CATALOGUE = "refresh_catalogue"
TRAIN_MODEL = "train_model"
EVALUATE_CATALOGUE = "evaluate_catalogue"

ingest_title = dg.define_asset_job(
    INGEST_TITLE,
    tags=MAX_RUNTIME,
    selection=dg.AssetSelection.assets(*SPECS),
    description="A title folder, or many, to clip features, with the model that serves.",
)
embed_title = dg.define_asset_job(
    EMBED_TITLE,
    tags=MAX_RUNTIME,
    selection=dg.AssetSelection.assets(*UP_TO_FUSION),
    description="Title folders to fused vectors: what a first model is trained on.",
)
refresh_catalogue = dg.define_asset_job(
    REFRESH_CATALOGUE,
    tags=MAX_RUNTIME,
    selection=dg.AssetSelection.assets(*SPECS),
    description="Whatever titles have that is missing or of another version than is wanted.",
)
train_model = dg.define_asset_job(
    TRAIN_MODEL,
    tags=MAX_RUNTIME,
    selection=dg.AssetSelection.assets("mediafm_model"),
    description="Train MediaFM on the catalogue: a candidate for release_model.",
)
evaluate_catalogue = dg.define_asset_job(
    EVALUATE_CATALOGUE,
    tags=MAX_RUNTIME,
    selection=dg.AssetSelection.assets("evaluation"),
    description="Measure what serves on the labels of the catalogue's clips; labels, models, folds "
    "and seeds are the job's configuration.",
)
