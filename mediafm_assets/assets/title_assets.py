"""Assets of a title, from its folder to its clip features: one partition per title."""

from collections.abc import Iterator

import dagster as dg

from mediafm_assets.assets.refresh_condition import REFRESH_ON_CHANGE
from mediafm_assets.assets.retries import retried
from mediafm_assets.assets.table_metadata import source_of
from mediafm_assets.assets.title_events import check_specs
from mediafm_assets.assets.title_runs import materialise_titles
from mediafm_assets.partitions import titles
from mediafm_assets.resources.platform_resource import OptionsResource, PlatformResource
from mediafm_assets.tags import ACCELERATOR_POOL, OWNERS, pool_of
from mediafm_core.config.settings import load_settings
from mediafm_core.pipeline.graph import FROM_MODEL, SPECS
from mediafm_core.pipeline.materialise import DECODED

RUN = load_settings().run
BACKFILL = dg.BackfillPolicy.multi_run(RUN.titles_per_run)
BACKFILL_FROM_MODEL = dg.BackfillPolicy.multi_run(RUN.refresh_titles_per_run)

GROUPS = {
    "ingest": ("title", "shots", "keyframes", "soundtrack", "timed_text"),
    "embeddings": (
        "video_embeddings",
        "audio_embeddings",
        "text_embeddings",
        "title_metadata_embedding",
        "fused_embeddings",
    ),
    "context": ("contextual_embeddings", "scenes", "clip_features"),
}
# Dependencies that are no assets of titles, so that the core's graph does not have them.
UNPARTITIONED_DEPENDENCIES = {
    "title": ("inbox",),
    **dict.fromkeys(DECODED, ("shot_detector",)),
    "video_embeddings": ("video_encoder",),
    "audio_embeddings": ("audio_encoder",),
    "text_embeddings": ("text_encoder",),
    "title_metadata_embedding": ("text_encoder",),
    "contextual_embeddings": ("serving_model",),
    "scenes": ("serving_model",),
}
KINDS = {
    "title": {"json"},
    "shots": {"parquet", "pytorch"},
    "keyframes": {"parquet"},
    "soundtrack": {"json"},
    "clip_features": {"parquet", "duckdb"},
    "contextual_embeddings": {"parquet", "pytorch"},
    "scenes": {"parquet", "duckdb", "pytorch"},
}


def title_asset(name: str) -> dg.AssetsDefinition:
    """Return an asset of the core's graph as a Dagster asset."""
    spec = dagster_spec(name)

    @dg.asset(
        key=spec.key,
        deps=spec.deps,
        description=spec.description,
        group_name=spec.group_name,
        kinds=spec.kinds,
        code_version=spec.code_version,
        owners=OWNERS,
        metadata=spec.metadata,
        partitions_def=titles,
        automation_condition=spec.automation_condition,
        backfill_policy=BACKFILL_FROM_MODEL if name in FROM_MODEL else BACKFILL,
        check_specs=check_specs(name, titles),
        pool=pool_of(name),
    )
    def body(
        context: dg.AssetExecutionContext, platform: PlatformResource, options: OptionsResource
    ) -> Iterator:
        with retried(context):
            yield from materialise_titles(context, platform, (name,), options.force)
            if name == "clip_features":
                publish(context, platform, options.force)

    return body


def publish(context: dg.AssetExecutionContext, platform: PlatformResource, force: bool) -> None:
    """Publish the titles of the run that are not quarantined."""
    from mediafm_core.pipeline.publishing import publish_titles
    from mediafm_core.pipeline.quarantine import Quarantine
    from mediafm_core.runtime.progress import WorkProgress, progress_lines

    quarantine = Quarantine(platform.store)
    ready = [key for key in context.partition_keys if quarantine.get(key) is None]
    with progress_lines(context.log.info) as lines:
        lines.show(WorkProgress(f"publishing {len(ready):,} titles"))
        publication = publish_titles(platform, ready, again=force)
    context.log.info(f"features.duckdb {publication}")


def dagster_spec(name: str, skippable: bool = False) -> dg.AssetSpec:
    """Return name, lineage and description of an asset, from the core's graph."""
    spec = SPECS[name]
    return dg.AssetSpec(
        name,
        deps=[*spec.dependencies, *UNPARTITIONED_DEPENDENCIES.get(name, ())],
        description=spec.description,
        group_name=next(group for group, names in GROUPS.items() if name in names),
        kinds=KINDS.get(name, {"parquet"}),
        code_version=spec.code_version,
        owners=OWNERS,
        skippable=skippable,
        metadata=source_of(name),
        # The sensor of the inbox watches the folders of titles.
        automation_condition=None if name == "title" else REFRESH_ON_CHANGE,
    )


@dg.multi_asset(
    name="decode",
    specs=[dagster_spec(name, skippable=True) for name in DECODED],
    can_subset=True,
    partitions_def=titles,
    backfill_policy=BACKFILL,
    pool=ACCELERATOR_POOL,
    check_specs=[check for name in DECODED for check in check_specs(name, titles)],
)
def decoded(
    context: dg.AssetExecutionContext, platform: PlatformResource, options: OptionsResource
) -> Iterator:
    """Compute shots, keyframes and soundtrack in a single pass over the media."""
    selected = {key.to_user_string() for key in context.selected_asset_keys}
    names = [name for name in DECODED if name in selected]
    with retried(context):
        yield from materialise_titles(context, platform, names, options.force)


TITLE_ASSETS = [
    decoded,
    *(title_asset(name) for names in GROUPS.values() for name in names if name not in DECODED),
]
