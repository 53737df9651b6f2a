"""The project's own labels in Dagster: tags of runs and events, owners, pools and priorities."""

from mediafm_assets.dagster_internals import HIDDEN_TAG_PREFIX, PRIORITY_TAG

# Tags of runs.
TITLES_TAG = "mediafm/titles"
"""The titles of a run in a few words, for the list of runs."""
HOST_TAG = "mediafm/host"
"""The machine that a run was started on."""
WORKER_TAG = f"{HIDDEN_TAG_PREFIX}mediafm_worker"
"""The process of a run, as JSON (`mediafm_assets.resources.launcher`)."""
PROGRESS_TAG = f"{HIDDEN_TAG_PREFIX}mediafm_progress"
"""Id of a run and the time of its last progress, in seconds since the epoch."""
INTERRUPTED_TAG = "mediafm/interrupted"
"""Set on a run that a signal has ended, and not a person in Dagster's UI."""
QUARANTINED_IN_TAG = "mediafm/quarantined_in"
"""Set on the failed run of a quarantined title: the id of the run over many titles that met it."""

# Tag of events.
CONTENT_TAG = "mediafm/told"  # a stored name, which recorded events have
"""Digest of an observation's metadata: it shows a change where there is no data version."""

OWNERS = ["team:media-ml"]
"""Owners of all assets."""

# Concurrency pools. Their limits are set in `dagster.yaml`, or in the UI under Deployment.
ACCELERATOR_POOL = "accelerator"
FEATURES_POOL = "features_duckdb"

# Assets whose steps run a network. Steps that only read and write tables need no pool.
_ON_ACCELERATOR = frozenset(
    {
        "video_embeddings",
        "audio_embeddings",
        "text_embeddings",
        "title_metadata_embedding",
        "contextual_embeddings",
        "scenes",
    }
)


def pool_of(asset: str) -> str | None:
    """Return the concurrency pool of an asset of titles, or None."""
    if asset in _ON_ACCELERATOR:
        return ACCELERATOR_POOL
    return FEATURES_POOL if asset == "clip_features" else None


# Priorities of runs that wait in the queue. Readers wait for a rollback and people for an arrival;
# runs that are started by hand have Dagster's default of 0.
RELEASE_PRIORITY, ARRIVAL_PRIORITY, REFRESH_PRIORITY = 20, 10, -10


def priority(value: int) -> dict[str, str]:
    """Return the tag by which the run queue sorts."""
    return {PRIORITY_TAG: str(value)}
