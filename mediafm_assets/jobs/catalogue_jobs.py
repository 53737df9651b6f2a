"""Jobs on the catalogue as a whole: publishing, garbage collection and retirement of titles."""

import dagster as dg
from pydantic import Field

from mediafm_assets.jobs.title_jobs import MAX_RUNTIME
from mediafm_assets.partitions import TITLES
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_assets.tags import FEATURES_POOL
from mediafm_core.errors import MediaFMError

PUBLISH_FEATURES = "publish_features"


class RetirementConfig(dg.Config):
    """Titles to remove from the catalogue."""

    titles: list[str] = Field(
        description="ids of titles whose folders have been removed from the inbox", min_length=1
    )


@dg.op(pool=FEATURES_POOL)
def publish_finished_titles(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Publish finished titles that a killed run has not published."""
    from mediafm_core.pipeline.planning.asset_states import catalogue_states
    from mediafm_core.pipeline.publishing import publish_titles

    present = [state.title_id for state in catalogue_states(platform) if state.state == "present"]
    context.log.info(f"features.duckdb {publish_titles(platform, present)}")


@dg.op(pool=FEATURES_POOL)
def remove_unused_features(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Remove features of all models before the last two, and merge small shards of features."""
    from mediafm_core.pipeline.releases.garbage_collection import clean_up

    context.log.info(f"{clean_up(platform)}")


@dg.op(pool=FEATURES_POOL)
def remove_titles(
    context: dg.OpExecutionContext, config: RetirementConfig, platform: PlatformResource
) -> None:
    """Remove titles with their artefacts, their rows and their partitions."""
    from mediafm_core.pipeline.retirement import retire

    try:
        context.log.info(f"{', '.join(config.titles)}: {retire(platform, config.titles)}")
    except MediaFMError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    for title_id in config.titles:
        context.instance.delete_dynamic_partition(TITLES, title_id)


@dg.job(
    name=PUBLISH_FEATURES,
    tags=MAX_RUNTIME,
    description="Publish finished titles that a killed run has not published.",
)
def publish_features() -> None:
    """Run `publish_finished_titles`."""
    publish_finished_titles()


@dg.job(
    tags=MAX_RUNTIME,
    description="Garbage-collect features of earlier models and old shards.",
)
def clean_catalogue() -> None:
    """Run `remove_unused_features`."""
    remove_unused_features()


@dg.job(
    tags=MAX_RUNTIME,
    description="Remove titles that have left the inbox: artefacts, rows and partitions.",
)
def retire_titles() -> None:
    """Run `remove_titles`."""
    remove_titles()
