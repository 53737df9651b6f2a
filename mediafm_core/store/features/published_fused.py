"""Fused vectors of published clips: where readers have them, and the remedy where they do not."""

import duckdb

from mediafm_core.errors import StoreError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.store.features.snapshot import rows, snapshot_in
from mediafm_core.store.store import Store

_SETTING = "publishing.fused_vectors"


def require_fused(connection: duckdb.DuckDBPyConnection, store: Store) -> tuple[int, FusedSpace]:
    """Return width and space of the fused vectors of all clips.

    Args:
        connection: one from `open_features`.
        store: the catalogue's store.

    Raises:
        StoreError: no title has them, or not every title.
    """
    snapshot = snapshot_in(connection)
    if snapshot.fused_dimension and snapshot.space is not None:
        return snapshot.fused_dimension, snapshot.space
    without = [shard for shard in snapshot.shards if shard.live and not shard.fused]
    missing = sum(shard.live for shard in without)
    if not snapshot.is_sharded or missing == snapshot.titles:
        raise StoreError(
            f"{store.location} has no fused vectors of clips: `mediafm run` publishes them with "
            f"the setting {_SETTING} = true."
        )
    titles = rows(store.files, snapshot.model, "titles", without, local=True)
    (first,) = connection.execute(f"SELECT min(title_id) FROM ({titles})").fetchall()[0]  # noqa: S608
    raise StoreError(
        f"{missing} of {snapshot.titles} published titles have no fused vectors ({first} is one): "
        f"`mediafm run` adds them with {_SETTING} = true; `mediafm status` says why a title failed."
    )
