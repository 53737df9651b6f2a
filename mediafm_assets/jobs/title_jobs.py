"""Jobs over assets: on titles, training, and evaluation."""

import dagster as dg

from mediafm_assets.resources.run_limits import max_runtime
from mediafm_core.config.settings import load_settings
from mediafm_core.pipeline.graph import SPECS, UP_TO_FUSION

MAX_RUNTIME = max_runtime(load_settings().run)
"""Tag of the runs of a job; runs that sensors request have one by their number of titles."""

INGEST_TITLE = "ingest_title"
EMBED_TITLE = "embed_title"
REFRESH_CATALOGUE = "refresh_catalogue"
TRAIN_MODEL = "train_model"
EVALUATE_CATALOGUE = "evaluate_catalogue"

ingest_title = dg.define_asset_job(
    INGEST_TITLE,
    tags=MAX_RUNTIME,
    selection=dg.AssetSelection.assets(*SPECS),
    description="Compute titles from their folders to clip features, with the serving model.",
)
embed_title = dg.define_asset_job(
    EMBED_TITLE,
    tags=MAX_RUNTIME,
    selection=dg.AssetSelection.assets(*UP_TO_FUSION),
    description="Compute titles up to their fused vectors, on which a first model is trained.",
)
refresh_catalogue = dg.define_asset_job(
    REFRESH_CATALOGUE,
    tags=MAX_RUNTIME,
    selection=dg.AssetSelection.assets(*SPECS),
    description="Compute the artefacts of titles that are missing or stale.",
)
train_model = dg.define_asset_job(
    TRAIN_MODEL,
    tags=MAX_RUNTIME,
    selection=dg.AssetSelection.assets("mediafm_model"),
    description="Train MediaFM on the catalogue; the model is a candidate for `release_model`.",
)
evaluate_catalogue = dg.define_asset_job(
    EVALUATE_CATALOGUE,
    tags=MAX_RUNTIME,
    selection=dg.AssetSelection.assets("evaluation"),
    description="Evaluate the serving model on the labels of clips. Labels, models, folds and "
    "seeds are set in the job's configuration.",
)
