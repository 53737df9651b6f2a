"""Jobs that release a model and roll back a release."""

import dagster as dg
from pydantic import Field

from mediafm_assets.assets.model_assets import ReleaseRecord, observe_serving_model
from mediafm_assets.jobs.title_jobs import MAX_RUNTIME
from mediafm_assets.partitions import models
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_assets.tags import RELEASE_PRIORITY, priority
from mediafm_core.errors import MediaFMError
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import publish_at_once
from mediafm_core.pipeline.releases.candidates import resolve
from mediafm_core.pipeline.releases.model_comparison import Finding, compare_before_release
from mediafm_core.pipeline.releases.release import Released, release, rollback
from mediafm_core.runtime.progress import progress_lines


class ReleaseConfig(ReleaseRecord):
    """Candidate to release."""

    version: str = Field(
        "",
        description="identity of the model, or the first digits of its digest; leave it empty if "
        "the model is chosen as the partition",
    )
    compare: bool = Field(
        True,
        description="first compare it with the serving model; a warning prevents no release",
    )


class RollbackConfig(ReleaseRecord):
    """Person and reason of a rollback."""


@dg.op
def release_candidate(
    context: dg.OpExecutionContext, config: ReleaseConfig, platform: PlatformResource
) -> None:
    """Make a trained model the serving model."""
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
            context.log.info(f"{released.release.model} is the serving model already.")
        _publish(context, platform, released)
    except MediaFMError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


@dg.op
def restore_previous_release(
    context: dg.OpExecutionContext, config: RollbackConfig, platform: PlatformResource
) -> None:
    """Roll back to the release before the serving one."""
    try:
        released = rollback(platform, reason=config.reason, released_by=config.released_by)
        _publish(context, platform, released)
    except MediaFMError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _chosen(context: dg.OpExecutionContext, config: ReleaseConfig) -> str:
    """Return the model to release, which is the partition or named in the configuration."""
    if context.has_partition_key and config.version:
        raise dg.Failure(
            f"{context.partition_key} is chosen as the partition and {config.version} as "
            "`version`: choose one of them.",
            allow_retries=False,
        )
    return context.partition_key if context.has_partition_key else config.version


def _publish(context: dg.OpExecutionContext, platform: Platform, released: Released) -> None:
    """Record the serving model, and publish it at once if nothing has to be computed."""
    for observation in observe_serving_model(released.history):
        context.log_event(observation)
    publication = publish_at_once(platform)
    if publication is None:
        context.log.info("Readers see it once every title has been computed with it.")
    else:
        context.log.info(f"Readers: {publication}.")


@dg.job(
    description="Release a candidate: choose the model as the partition; person and reason are set "
    "in the job's configuration. `mediafm models` compares the candidates.",
    partitions_def=models,
    tags={**priority(RELEASE_PRIORITY), **MAX_RUNTIME},
)
def release_model() -> None:
    """Run `release_candidate`."""
    release_candidate()


@dg.job(
    description="Roll back to the release before the serving one.",
    tags={**priority(RELEASE_PRIORITY), **MAX_RUNTIME},
)
def rollback_model() -> None:
    """Run `restore_previous_release`."""
    restore_previous_release()
