"""Jobs on the catalogue as a whole: what readers see, what nobody needs any more, what leaves."""

import dagster as dg
from pydantic import Field

from mediafm_assets.assets.partitions import TITLES
from mediafm_assets.jobs.nightly import nightly
from mediafm_assets.jobs.title_jobs import MAX_RUNTIME
from mediafm_assets.pools import FEATURES
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_core.config.settings import Settings
from mediafm_core.errors import MediaFMError

PUBLISH_FEATURES = "publish_features"


class RetirementConfig(dg.Config):
    """Which titles leave the catalogue."""

    titles: list[str] = Field(
        description="title ids whose folders have been taken out of the inbox", min_length=1
    )


@dg.op(pool=FEATURES)
def publish_finished_titles(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Let readers see every finished title that a killed run did not come to publish."""
    from mediafm_core.pipeline.planning.asset_states import catalogue_states
    from mediafm_core.pipeline.publishing import publish_titles

    present = [state.title_id for state in catalogue_states(platform) if state.state == "present"]
    context.log.info(f"features.duckdb {publish_titles(platform, present)}")


@dg.op(pool=FEATURES)
def remove_what_nobody_needs(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Remove features of models before the last two, and merge small shards of features."""
    from mediafm_core.pipeline.releases.garbage_collection import clean_up

    context.log.info(f"{clean_up(platform)}")


@dg.op(pool=FEATURES)
def remove_titles(
    context: dg.OpExecutionContext, config: RetirementConfig, platform: PlatformResource
) -> None:
    """Remove titles with everything that was computed of them, their rows and their partitions."""
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
    description="Show readers what is finished: for what a killed run did not come to publish.",
)
def publish_features() -> None:
    """The job of `publish_finished_titles`."""
    publish_finished_titles()


@dg.job(
    tags=MAX_RUNTIME,
    description="Remove unused features: earlier models, old shards.",
)
def clean_catalogue() -> None:
    """The job of `remove_what_nobody_needs`."""
    remove_what_nobody_needs()


@dg.job(
    tags=MAX_RUNTIME,
    description="Remove titles that have left the inbox: artefacts, rows and partitions.",
)
def retire_titles() -> None:
    """The job of `remove_titles`."""
    remove_titles()


def clean_daily(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule that cleans up; it skips while no catalogue is set up."""
    return nightly(
        settings, "clean_daily", clean_catalogue, "30 3 * * *", "Cleans up in the night."
    )
