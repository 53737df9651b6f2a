"""Definitions that Dagster loads: assets, checks, jobs, sensors, schedules and resources."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from mediafm_assets.alerts.failure_sensor import alert_on_failure
from mediafm_assets.assets.catalogue_asset import catalogue
from mediafm_assets.assets.encoder_assets import encoders
from mediafm_assets.assets.evaluation_asset import CHECKS, evaluation
from mediafm_assets.assets.inbox_asset import inbox
from mediafm_assets.assets.model_assets import mediafm_model, serving_model
from mediafm_assets.assets.title_assets import TITLE_ASSETS
from mediafm_assets.jobs.catalogue_jobs import (
    clean_catalogue,
    publish_features,
    retire_titles,
)
from mediafm_assets.jobs.release_jobs import release_model, rollback_model
from mediafm_assets.jobs.schedules import clean_daily, verify_nightly
from mediafm_assets.jobs.title_jobs import (
    embed_title,
    evaluate_catalogue,
    ingest_title,
    refresh_catalogue,
    train_model,
)
from mediafm_assets.jobs.verification_job import verify_catalogue
from mediafm_assets.resources.executor import interruptible_executor
from mediafm_assets.resources.platform_resource import options_of_run, resources
from mediafm_assets.sensors.automation import automation_sensor
from mediafm_assets.sensors.inbox_sensor import arrivals_sensor
from mediafm_assets.sensors.sweep import sweep_sensor
from mediafm_core.config.settings import load_settings
from mediafm_core.pipeline.graph import SPECS

settings = load_settings()


def definitions(resources: Mapping[str, Any]) -> dg.Definitions:
    """Return all definitions, with the given resources beside those that every run has."""
    return dg.Definitions(
        assets=[
            *(inbox, encoders, *TITLE_ASSETS),
            *(mediafm_model, serving_model, catalogue, evaluation),
        ],
        asset_checks=CHECKS,
        jobs=[
            *(ingest_title, refresh_catalogue, train_model, evaluate_catalogue),
            *(release_model, rollback_model, retire_titles, clean_catalogue),
            *(publish_features, embed_title, verify_catalogue),
        ],
        sensors=[
            arrivals_sensor(settings),
            automation_sensor(dg.AssetSelection.assets(*SPECS), settings),
            sweep_sensor(settings),
            alert_on_failure(settings),
        ],
        schedules=[clean_daily(settings), verify_nightly(settings)],
        # Steps pass no values to each other. The IO manager that Dagster would add writes pickles.
        resources={
            "io_manager": dg.mem_io_manager,
            "options": options_of_run,
            **resources,
        },
        # Steps share the process and so the networks that a run has loaded.
        executor=interruptible_executor,
    )


defs = definitions(resources(settings))
