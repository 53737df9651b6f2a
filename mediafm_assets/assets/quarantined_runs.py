"""Failed runs of single titles that a run over many titles has quarantined.

Dagster without its cloud shows a partition as failed only if the last run that was to materialise
it has failed as a whole; it does not store its event for an asset that failed to materialise. A
run over many titles must not fail for one of them. So the title gets a run of its own over what
the other run could not materialise of it, which has failed from the start, with the reason. The
title's partitions are then failed and link to it; executing it again tries the title again.
"""

import dagster as dg

from mediafm_assets import dagster_internals
from mediafm_assets.assets.partitions import PARTITION
from mediafm_core.pipeline.graph import SPECS

MET_IN = "mediafm/quarantined_in"
"""Tag of such a run: the id of the run that has met the title."""


def record_failed_run(context: dg.AssetExecutionContext, title_id: str, reason: str) -> None:
    """Record a failed run over a quarantined title, once for each run that meets it.

    Args:
        context: of a step of the run over many titles.
        title_id: the title, a partition.
        reason: why it is quarantined.
    """
    instance = context.instance
    tags = {PARTITION: title_id, MET_IN: context.run.run_id}
    if instance.get_runs_count(dg.RunsFilter(tags=tags)):
        return
    selected = context.job_def.asset_layer.selected_asset_keys
    left = [
        key
        for key in map(dg.AssetKey, SPECS)
        if key in selected and not _is_materialised(context, key, title_id)
    ]
    said = f"{title_id} is quarantined: {reason}"
    dagster_internals.record_failed_run(instance, context.run, context.job_def, left, tags, said)


def _is_materialised(context: dg.AssetExecutionContext, key: dg.AssetKey, title_id: str) -> bool:
    """Return whether this run has materialised an asset of a title."""
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[title_id])
    latest = context.instance.fetch_materializations(wanted, limit=1).records
    return bool(latest) and latest[0].run_id == context.run.run_id
