"""Graph of a title's assets: inputs, encoder or model, and code version of each.

This table alone decides which assets are stale. Dagster's assets, `mediafm status` and `mediafm
run` all read it. An input such as `title.captions` is one facet of the asset `title`: a changed
subtitle does not decode a film again.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from mediafm_core.encoders import embed
from mediafm_core.fusion import concatenation
from mediafm_core.identity import Identity, digest_of_settings
from mediafm_core.pipeline.platform import Platform
from mediafm_core.runtime.precision import vector_precision

IdentityOf = Callable[[Platform], Identity | str | None]


@dataclass(frozen=True)
class AssetSpec:
    """One asset of a title.

    Attributes:
        name: as in the Dagster UI; also the folder in the store.
        inputs: assets, or facets of `title`, that it is computed from.
        description: one sentence for people.
        identity: of the encoder, detector or model that computes it; None for plain code.
        code_version: raised when the code's results change.
        per_model: True if it is kept per version of the serving model.
    """

    name: str
    inputs: tuple[str, ...]
    description: str
    identity: IdentityOf = lambda _platform: None
    code_version: str = "1"
    per_model: bool = False

    @cached_property
    def dependencies(self) -> tuple[str, ...]:
        """The assets behind the inputs, each once."""
        return tuple(dict.fromkeys(name.partition(".")[0] for name in self.inputs))


def _keyframe_identity(platform: Platform) -> Identity:
    settings = platform.settings.keyframes.model_dump()
    detector = str(platform.detector.identity)
    return Identity(
        name="keyframes",
        version="1",
        digest=digest_of_settings({"detector": detector, **settings}),
    )


def _clip_identity(platform: Platform) -> Identity:
    settings = platform.settings.clips.model_dump()
    if platform.settings.publishing.fused_vectors:
        settings["fused_vectors"] = True  # absent where off, so that earlier versions still hold
    return Identity(name="clips", version="1", digest=digest_of_settings(settings))


def _context_identity(platform: Platform) -> str | None:
    """Return the serving model, with its precision where that is lower than float32."""
    model = platform.serving_model
    rounded = vector_precision(platform.settings)
    return model if model is None or rounded == "float32" else f"{model} in {rounded}"


TITLE_ASSETS: tuple[AssetSpec, ...] = (
    AssetSpec(
        "title",
        (),
        "The title folder: validated manifest, probe of the media, content digests.",
    ),
    AssetSpec(
        "shots",
        ("title.media",),
        "The title's shots, which partition it, found by the shot boundary detector.",
        lambda platform: platform.detector.identity,
    ),
    AssetSpec(
        "keyframes",
        ("title.media",),
        "A few pictures per shot, for the video encoder and for people.",
        _keyframe_identity,
    ),
    AssetSpec("soundtrack", ("title.media",), "The sound as 16 kHz mono, on the shots' clock."),
    AssetSpec(
        "timed_text",
        ("title.captions", "title.media", "shots"),
        "Captions or subtitles per shot, from side files or embedded tracks.",
        code_version="2",  # captions by their purpose and by each format's own rule
    ),
    AssetSpec(
        "video_embeddings",
        ("keyframes",),
        "One video vector per shot: the mean over its keyframes, unit length.",
        lambda platform: platform.video_encoder.identity,
        embed.CODE_VERSION,
    ),
    AssetSpec(
        "audio_embeddings",
        ("soundtrack", "shots"),
        "One audio vector per shot: the mean over its sound, unit length.",
        lambda platform: platform.audio_encoder.identity,
        embed.CODE_VERSION,
    ),
    AssetSpec(
        "text_embeddings",
        ("timed_text",),
        "One text vector per shot with text, zero elsewhere, unit length.",
        lambda platform: platform.text_encoder.identity,
        embed.CODE_VERSION,
    ),
    AssetSpec(
        "title_metadata_embedding",
        ("title.metadata",),
        "Synopsis and tags through the text encoder: the model's [GLOBAL] input.",
        lambda platform: platform.text_encoder.identity,
        embed.CODE_VERSION,
    ),
    AssetSpec(
        "fused_embeddings",
        ("video_embeddings", "audio_embeddings", "text_embeddings"),
        "unit_norm(concat(video, audio, text)) per shot.",
        code_version=concatenation.CODE_VERSION,
    ),
    AssetSpec(
        "contextual_embeddings",
        ("fused_embeddings", "title_metadata_embedding"),
        "One contextual vector per shot, from one inference over the whole title.",
        _context_identity,
        "2",  # windows of long titles fade into each other
        per_model=True,
    ),
    AssetSpec(
        "scenes",
        ("fused_embeddings", "shots"),
        "Where scenes start, without labels: probabilities per shot, and the scenes that follow.",
        lambda platform: platform.serving_model,  # computed in float32 in any case
        per_model=True,
    ),
    AssetSpec(
        "clip_features",
        ("contextual_embeddings", "scenes", "shots", "title.clips"),
        "One vector per clip: its shots' contextual vectors weighted by seconds, and on request "
        "their fused vectors; in DuckDB.",
        _clip_identity,
        "2",  # proposed clips start where scenes do
        per_model=True,
    ),
)

SPECS = {spec.name: spec for spec in TITLE_ASSETS}
UP_TO_FUSION = tuple(spec.name for spec in TITLE_ASSETS if not spec.per_model)
# Table of the titles' own vectors, written beside the contextual ones with the same record.
BESIDE_CONTEXTUAL = "title_embeddings"

FROM_MODEL = tuple(spec.name for spec in TITLE_ASSETS if spec.per_model)


def depends_on(assets: Iterable[str], others: Collection[str]) -> bool:
    """Return True if an asset is made from one of others, directly or with assets in between."""
    return any(
        not set(SPECS[asset].dependencies).isdisjoint(others)
        or depends_on(SPECS[asset].dependencies, others)
        for asset in assets
    )
