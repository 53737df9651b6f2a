"""Assets `mediafm_model`, which a run of `train_model` trains, and `serving_model`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from mediafm_assets.assets.metadata import describe_model
from mediafm_assets.dagster_internals import DATA_VERSION_TAG
from mediafm_assets.partitions import offer_models
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_assets.tags import ACCELERATOR_POOL, OWNERS
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.release import refuse_overruled, release
from mediafm_core.pipeline.serving import Release, release_history

if TYPE_CHECKING:
    from mediafm_core.model.training.progress_events import Event
    from mediafm_core.pipeline.catalogue_training import TrainedModel

SERVING_MODEL = "serving_model"


class ReleaseRecord(dg.Config):
    """Person and reason of a release."""

    reason: str = Field("", description="reason; by default the model's validation loss")
    released_by: str = Field("", description="person; by default the login user of this process")


class TrainingConfig(ReleaseRecord):
    """Release of the trained model."""

    release: bool = Field(
        False, description="serve it at once; otherwise it is a candidate for `release_model`"
    )


@dg.asset(
    deps=["fused_embeddings"],
    group_name="model",
    kinds={"pytorch", "safetensors"},
    owners=OWNERS,
    code_version="1",
    pool=ACCELERATOR_POOL,
)
def mediafm_model(
    context: dg.AssetExecutionContext, config: TrainingConfig, platform: PlatformResource
) -> dg.MaterializeResult:
    """The MediaFM Transformer, trained on every title's fused vectors."""
    if config.release:
        refuse_overruled(platform)
    trained = _train(context, platform)
    offer_models(context.instance, platform.store)
    if config.release:
        release(platform, trained.candidate, reason=config.reason, released_by=config.released_by)
    state = "released" if platform.serving_model == trained.identity else "candidate"
    return dg.MaterializeResult(
        data_version=dg.DataVersion(trained.identity),
        metadata={"state": state, **describe_model(platform, trained)},
    )


def _train(context: dg.AssetExecutionContext, platform: Platform) -> "TrainedModel":
    """Train a model, with its progress in the run's log."""
    from mediafm_core.model.training.progress_events import training_observer
    from mediafm_core.pipeline.catalogue_training import train_model
    from mediafm_core.runtime.progress import progress_lines

    with progress_lines(context.log.info) as lines:
        log = training_observer(lines.show, context.log.info)

        def report(event: "Event") -> None:
            platform.training_progress(event)
            log(event)

        trained = train_model(platform, report)
        lines.finish()
    return trained


def training_config(release: bool, reason: str = "", released_by: str = "") -> dict[str, Any]:
    """Return the configuration of a run of `train_model`."""
    chosen = {"release": release, "reason": reason, "released_by": released_by}
    return {"ops": {"mediafm_model": {"config": chosen}}}


@dg.multi_observable_source_asset(
    specs=[
        dg.AssetSpec(
            SERVING_MODEL,
            deps=["mediafm_model"],
            description="The released model, which computes the catalogue's contextual vectors.",
            group_name="model",
            kinds={"json"},
            owners=OWNERS,
        )
    ]
)
def serving_model(platform: PlatformResource) -> dg.ObserveResult | None:
    """Observe the serving model; releasing the same one again does not change its data version."""
    served = describe_release(release_history(platform.store))
    if served is None:
        return None
    return dg.ObserveResult(data_version=dg.DataVersion(served["model"]), metadata=served)


def observe_serving_model(history: Sequence[Release]) -> list[dg.AssetObservation]:
    """Return the serving model as an event; nothing before the first release."""
    served = describe_release(history)
    if served is None:
        return []
    tags = {DATA_VERSION_TAG: served["model"]}
    return [dg.AssetObservation(SERVING_MODEL, metadata=served, tags=tags)]


def report_serving_model(instance: dg.DagsterInstance, history: Sequence[Release]) -> None:
    """Record an observation of the serving model, the last of a history of releases."""
    for observation in observe_serving_model(history):
        instance.report_runless_asset_event(observation)


def describe_release(history: Sequence[Release]) -> dict[str, Any] | None:
    """Return the serving release as metadata: model, time, person, reason and predecessor."""
    if not history:
        return None
    serving = history[-1]
    return {
        "model": serving.model,
        "released_at": dg.MetadataValue.timestamp(serving.released_at),
        "released_by": serving.released_by,
        "reason": serving.reason,
        "previous": serving.previous,
        "releases": len(history),
    }
