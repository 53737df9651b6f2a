"""The model: trained when someone asks for it, released, and observed by what it serves."""

from typing import TYPE_CHECKING

import dagster as dg

from mediafm_assets.metadata import describe_model
from mediafm_assets.resources import PlatformResource
from mediafm_assets.title_assets import OWNERS
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.serving import release

if TYPE_CHECKING:
    from mediafm_core.model.training import Progress

SERVING_MODEL = "serving_model"
LOG_EVERY_STEPS = 50


class TrainingConfig(dg.Config):
    """What to do with the trained model."""

    release: bool = True
    """Serve it at once. Otherwise it stays a candidate under `<store>/models`."""


@dg.asset(
    deps=["fused_embeddings"],
    group_name="model",
    kinds={"pytorch", "safetensors"},
    owners=OWNERS,
    code_version="1",
)
def mediafm_model(
    context: dg.AssetExecutionContext, config: TrainingConfig, platform: PlatformResource
) -> dg.MaterializeResult:
    """The MediaFM Transformer, trained by Masked Shot Modeling on every title's fused vectors."""
    from mediafm_core.pipeline.training import train_model

    def report(at: "Progress") -> None:
        platform.progress("", "mediafm_model", at.step / at.steps)
        if at.step % LOG_EVERY_STEPS == 0 or at.step == at.steps:
            context.log.info(
                f"step {at.step} of {at.steps}: training loss {at.training_loss:.4f}, "
                f"{at.shots_per_second:.0f} shots per second"
            )

    trained = train_model(platform, report)
    if config.release:
        release(platform.store, trained.identity)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(trained.identity),
        metadata={"released": config.release, **describe_model(platform, trained)},
    )


@dg.multi_observable_source_asset(
    specs=[
        dg.AssetSpec(
            SERVING_MODEL,
            deps=["mediafm_model"],
            description="The released model version: what the catalogue is contextualised with.",
            group_name="model",
            kinds={"json"},
            owners=OWNERS,
        )
    ]
)
def serving_model(platform: PlatformResource) -> dg.ObserveResult | None:
    """Its data version is the model's identity: releasing the same model again changes nothing."""
    served = platform.serving_model
    if served is None:
        return None
    return dg.ObserveResult(data_version=dg.DataVersion(served), metadata={"model": served})


def report_serving_model(instance: dg.DagsterInstance, platform: Platform) -> None:
    """Record which model serves now."""
    served = platform.serving_model
    if served is not None:
        instance.report_runless_asset_event(
            dg.AssetObservation(
                SERVING_MODEL, metadata={"model": served}, tags={"dagster/data_version": served}
            )
        )
