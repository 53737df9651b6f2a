"""The jobs that work on titles, the one that trains and the one that measures."""

import dagster as dg

from mediafm_core.pipeline.graph import SPECS, UP_TO_FUSION

INGEST_TITLE = "ingest_title"
EMBED_TITLE = "embed_title"
REFRESH_CATALOGUE = "refresh_catalogue"
TRAIN_MODEL = "train_model"
EVALUATE_CATALOGUE = "evaluate_catalogue"

ingest_title = dg.define_asset_job(
    INGEST_TITLE,
    selection=dg.AssetSelection.assets(*SPECS),
    description="A title folder, or many, to clip features, with the model that serves.",
)
embed_title = dg.define_asset_job(
    EMBED_TITLE,
    selection=dg.AssetSelection.assets(*UP_TO_FUSION),
    description="Title folders to fused vectors: what a first model is trained on.",
)
refresh_catalogue = dg.define_asset_job(
    REFRESH_CATALOGUE,
    selection=dg.AssetSelection.assets(*SPECS),
    description="Whatever titles have that is missing or of another version than is wanted.",
)
train_model = dg.define_asset_job(
    TRAIN_MODEL,
    selection=dg.AssetSelection.assets("mediafm_model"),
    description="Train MediaFM on the catalogue: a candidate for release_model.",
)
evaluate_catalogue = dg.define_asset_job(
    EVALUATE_CATALOGUE,
    selection=dg.AssetSelection.assets("evaluation"),
    description="Measure what serves on the labels of the catalogue's clips; labels, models, folds "
    "and seeds are the job's configuration.",
)
