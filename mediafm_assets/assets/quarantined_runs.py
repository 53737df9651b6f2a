"""Failed runs of single titles that a run over many titles has quarantined.

Open-source Dagster shows a partition as failed only if the last run that was to materialise it has
failed as a whole; it does not store its event for an asset that failed to materialise. A run over
many titles must not fail because of one of them. So the title gets a run of its own, over the
assets that the other run could not materialise, which is recorded as failed with the reason. The
title's partitions are then shown as failed and link to that run; retrying it retries the title.
"""

import dagster as dg

from mediafm_assets import dagster_internals
from mediafm_assets.dagster_internals import PARTITION_NAME_TAG
from mediafm_assets.tags import QUARANTINED_IN_TAG
from mediafm_core.pipeline.graph import SPECS


def record_failed_run(context: dg.AssetExecutionContext, title_id: str, reason: str) -> None:
    """Record a failed run over a quarantined title, once for each run over many titles.

    Args:
        context: of a step of the run over many titles.
        title_id: the title, a partition.
        reason: why it is quarantined.
    """
    instance = context.instance
    tags = {PARTITION_NAME_TAG: title_id, QUARANTINED_IN_TAG: context.run.run_id}
    if instance.get_runs_count(dg.RunsFilter(tags=tags)):
        return
    selected = context.job_def.asset_layer.selected_asset_keys
    failed = [
        key
        for key in map(dg.AssetKey, SPECS)
        if key in selected and not _is_materialised(context, key, title_id)
    ]
    message = f"{title_id} is quarantined: {reason}"
    dagster_internals.record_failed_run(
        instance, context.run, context.job_def, failed, tags, message
    )


def _is_materialised(context: dg.AssetExecutionContext, key: dg.AssetKey, title_id: str) -> bool:
    """Return True if this run has materialised an asset of a title."""
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[title_id])
    latest = context.instance.fetch_materializations(wanted, limit=1).records
    return bool(latest) and latest[0].run_id == context.run.run_id
