"""Everything that Dagster loads."""

import dagster as dg

from mediafm_assets.inbox import inbox
from mediafm_assets.model_assets import mediafm_model, serving_model
from mediafm_assets.release_jobs import release_model, rollback_model
from mediafm_assets.resources import platform_from_environment
from mediafm_assets.title_assets import TITLE_ASSETS
from mediafm_core.pipeline.graph import FROM_MODEL, SPECS, UP_TO_FUSION

ingest_titles = dg.define_asset_job(
    "ingest_titles",
    selection=dg.AssetSelection.assets(*SPECS),
    description="Title folders to clip features, with the model that serves.",
)
embed_titles = dg.define_asset_job(
    "embed_titles",
    selection=dg.AssetSelection.assets(*UP_TO_FUSION),
    description="Title folders to fused vectors: what a first model is trained on.",
)
refresh_titles = dg.define_asset_job(
    "refresh_titles",
    selection=dg.AssetSelection.assets(*FROM_MODEL),
    description="Contextual embeddings and clip features again, after a release.",
)
train_model = dg.define_asset_job(
    "train_model",
    selection=dg.AssetSelection.assets("mediafm_model"),
    description="Train MediaFM on the catalogue: a candidate for release_model.",
)

defs = dg.Definitions(
    assets=[inbox, *TITLE_ASSETS, mediafm_model, serving_model],
    jobs=[
        *(ingest_titles, embed_titles, refresh_titles),
        *(train_model, release_model, rollback_model),
    ],
    resources={"platform": platform_from_environment},
    # Steps share the process, and with it the networks that a run has loaded.
    executor=dg.in_process_executor,
)
