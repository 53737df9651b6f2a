"""Releasing and rolling back from Dagster's UI."""

import dagster as dg
from pydantic import Field

from mediafm_assets.assets.model_assets import ReleaseRecord, observe_serving_model
from mediafm_assets.assets.model_partitions import models
from mediafm_assets.jobs.title_jobs import MAX_RUNTIME
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_assets.sensors.priorities import RELEASE, priority
from mediafm_core.errors import MediaFMError
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import publish_at_once
from mediafm_core.pipeline.releases.candidates import resolve
from mediafm_core.pipeline.releases.model_comparison import Finding, compare_before_release
from mediafm_core.pipeline.releases.release import Released, release, rollback
from mediafm_core.runtime.progress import progress_lines


class ReleaseConfig(ReleaseRecord):
    """Which candidate to release."""

    version: str = Field(
        "",
        description="identity of the model, or the first digits of its digest; empty where it is "
        "chosen as the partition",
    )
    compare: bool = Field(
        True,
        description="compare it with the model that serves first; a warning forbids nothing",
    )


class RollbackConfig(ReleaseRecord):
    """Who rolls back, and why."""


@dg.op
def release_candidate(
    context: dg.OpExecutionContext, config: ReleaseConfig, platform: PlatformResource
) -> None:
    """Make a trained model the one that the catalogue is contextualised with."""
    version = _chosen(context, config)
    try:
        candidate = resolve(platform.store, version)
        findings: list[Finding] = []
        if config.compare:
            with progress_lines(context.log.info) as lines:
                findings = compare_before_release(platform, candidate, context.log.info, lines.show)
        for finding in findings:
            log = context.log.warning if finding.passed is False else context.log.info
            log(finding.sentence)
        released = release(
            platform, candidate, reason=config.reason, released_by=config.released_by
        )
        if not released.is_new:
            context.log.info(f"{released.release.model} serves already.")
        _publish(context, platform, released)
    except MediaFMError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


@dg.op
def restore_previous_release(
    context: dg.OpExecutionContext, config: RollbackConfig, platform: PlatformResource
) -> None:
    """Go back to the release before the serving one."""
    try:
        released = rollback(platform, reason=config.reason, released_by=config.released_by)
        _publish(context, platform, released)
    except MediaFMError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _chosen(context: dg.OpExecutionContext, config: ReleaseConfig) -> str:
    """Return the model to release, chosen as the partition or named in the configuration."""
    if context.has_partition_key and config.version:
        raise dg.Failure(
            f"{context.partition_key} is chosen as the partition and {config.version} as "
            "`version`: choose one of them.",
            allow_retries=False,
        )
    return context.partition_key if context.has_partition_key else config.version


def _publish(context: dg.OpExecutionContext, platform: Platform, released: Released) -> None:
    """Record the serving model, and let readers see it if nothing has to be computed."""
    for observation in observe_serving_model(released.history):
        context.log_event(observation)
    publication = publish_at_once(platform)
    if publication is None:
        context.log.info("Readers see it once every title has been brought to it.")
    else:
        context.log.info(f"Readers: {publication}.")


@dg.job(
    description="Serve a candidate: choose the model as the partition; who and why are the job's "
    "configuration. `mediafm models` compares the candidates.",
    partitions_def=models,
    tags={**priority(RELEASE), **MAX_RUNTIME},
)
def release_model() -> None:
    """The job of `release_candidate`."""
    release_candidate()


@dg.job(
    description="Serve the release before the serving one again.",
    tags={**priority(RELEASE), **MAX_RUNTIME},
)
def rollback_model() -> None:
    """The job of `restore_previous_release`."""
    restore_previous_release()
