"""What computes the vectors, observed: an asset each, whose data version is the identity.

Setting another encoder changes the identity, and with it the data version; setting the same again
changes nothing.
"""

from collections.abc import Iterator

import dagster as dg

from mediafm_assets.owners import OWNERS
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_assets.tags import DATA_VERSION
from mediafm_core.pipeline.platform import Platform

_DESCRIPTIONS = {
    "shot_detector": "What finds the shots, as the settings name it.",
    "video_encoder": "What embeds keyframes, as the settings name it.",
    "audio_encoder": "What embeds sound, as the settings name it.",
    "text_encoder": "What embeds timed text and the title's metadata, as the settings name it.",
}


def identities(platform: Platform) -> dict[str, str]:
    """The identity of each network that the settings name, by its asset."""
    return {
        "shot_detector": str(platform.detector.identity),
        "video_encoder": str(platform.video_encoder.identity),
        "audio_encoder": str(platform.audio_encoder.identity),
        "text_encoder": str(platform.text_encoder.identity),
    }


def observe_encoders(platform: Platform) -> list[dg.AssetObservation]:
    """Which networks are wanted now, as events."""
    return [
        dg.AssetObservation(name, metadata={"identity": identity}, tags={DATA_VERSION: identity})
        for name, identity in identities(platform).items()
    ]


@dg.multi_observable_source_asset(
    name="encoders",
    specs=[
        dg.AssetSpec(
            name, description=text, group_name="encoders", kinds={"encoder"}, owners=OWNERS
        )
        for name, text in _DESCRIPTIONS.items()
    ],
    can_subset=True,
)
def encoders(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.ObserveResult]:
    """The identities as the settings are now."""
    for name, identity in identities(platform).items():
        if dg.AssetKey(name) in context.selected_asset_keys:
            yield dg.ObserveResult(
                asset_key=name,
                data_version=dg.DataVersion(identity),
                metadata={"identity": identity},
            )
