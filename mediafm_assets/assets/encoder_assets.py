"""Encoders and shot detector as observed assets whose data version is their identity.

Another encoder in the settings has another identity and so another data version; the same encoder
has the same.
"""

from collections.abc import Iterator

import dagster as dg

from mediafm_assets.dagster_internals import DATA_VERSION_TAG
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_assets.tags import OWNERS
from mediafm_core.pipeline.platform import Platform

_DESCRIPTIONS = {
    "shot_detector": "The shot detector in the settings.",
    "video_encoder": "The encoder of keyframes in the settings.",
    "audio_encoder": "The encoder of sound in the settings.",
    "text_encoder": "The encoder of timed text and of the title's metadata in the settings.",
}


def identities(platform: Platform) -> dict[str, str]:
    """Return the identity of each encoder and of the shot detector, by asset."""
    return {
        "shot_detector": str(platform.detector.identity),
        "video_encoder": str(platform.video_encoder.identity),
        "audio_encoder": str(platform.audio_encoder.identity),
        "text_encoder": str(platform.text_encoder.identity),
    }


def observe_encoders(platform: Platform) -> list[dg.AssetObservation]:
    """Return the identities of the encoders and of the shot detector now, as events."""
    return [
        dg.AssetObservation(
            name, metadata={"identity": identity}, tags={DATA_VERSION_TAG: identity}
        )
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
    """Observe the identities with the settings as they are now."""
    for name, identity in identities(platform).items():
        if dg.AssetKey(name) in context.selected_asset_keys:
            yield dg.ObserveResult(
                asset_key=name,
                data_version=dg.DataVersion(identity),
                metadata={"identity": identity},
            )
