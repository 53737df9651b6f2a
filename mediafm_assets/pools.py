"""What runs take turns at: limits are set in `dagster.yaml` or in the UI, under Deployment."""

ACCELERATOR = "accelerator"
FEATURES = "features_duckdb"

# Networks run in these; what only reads and writes tables needs no turn.
ON_ACCELERATOR = frozenset(
    {
        "video_embeddings",
        "audio_embeddings",
        "text_embeddings",
        "title_metadata_embedding",
        "contextual_embeddings",
    }
)


def pool_of(asset: str) -> str | None:
    """The pool of an asset of a title, or None."""
    if asset in ON_ACCELERATOR:
        return ACCELERATOR
    return FEATURES if asset == "clip_features" else None
