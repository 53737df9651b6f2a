"""Stage of contextual vectors and clip features, from fused vectors."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mediafm_core.fusion.space import FusedSpace
from mediafm_core.pipeline.graph import BESIDE_CONTEXTUAL
from mediafm_core.pipeline.work import Work
from mediafm_core.store.features.feature_tables import FUSED
from mediafm_core.store.fused_vectors import fused_space

if TYPE_CHECKING:
    from mediafm_core.model.saved_model import LoadedModel


def compatible_model(work: Work) -> "LoadedModel":
    """Return the serving model, after checking that it reads the title's fused vectors.

    Raises:
        IdentityMismatchError: the model was trained on vectors of other encoders.
    """
    from mediafm_core.model.saved_model import check_compatible

    model = work.platform.network
    record = work.store.record("fused_embeddings", work.title_id)
    if record is not None:
        check_compatible(model, FusedSpace.from_record(record.details))
    return model


def contextual_embeddings(work: Work) -> None:
    """Run the serving model once over the whole title.

    The title's own vector is written beside the shots' (asset folder `title_embeddings`), before
    them.

    Raises:
        IdentityMismatchError: the model was trained on vectors of other encoders.
    """
    from mediafm_core.inference.whole_title import contextualise
    from mediafm_core.runtime.precision import vector_precision
    from mediafm_core.vectors import to_arrow, to_numpy

    store, title_id = work.store, work.title_id
    model = compatible_model(work)
    fused = work.read("fused_embeddings")
    metadata = to_numpy(work.read("title_metadata_embedding")["embedding"])[0]
    result = contextualise(
        model.network,
        to_numpy(fused["embedding"]),
        metadata,
        title_id=title_id,
        precision=vector_precision(work.platform.settings),
        progress=lambda share: work.report("contextual_embeddings", share),
    )
    record = work.record(
        "contextual_embeddings",
        {
            "rows": fused.num_rows,
            "dimension": result.shots.shape[1],
            "model": str(model.identity),
        },
    )
    variant = str(model.identity)
    title_table = pa.table({"title_id": [title_id], "embedding": to_arrow(result.title[None, :])})
    store.write(record.model_copy(update={"asset": BESIDE_CONTEXTUAL}), title_table, variant)
    table = pa.table(
        {
            "title_id": fused["title_id"],
            "shot_index": fused["shot_index"],
            "embedding": to_arrow(result.shots),
        }
    )
    store.write(record, table, variant)


def clip_features(work: Work) -> None:
    """Pool the contextual vectors of each clip's shots, weighted by seconds of overlap.

    With the setting `publishing.fused_vectors` their fused vectors are pooled as well, and the
    record names the fused space. Fused vectors are no input in the graph: the contextual vectors
    are made from them, so that their data version is part of this one already.
    """
    from mediafm_core.clips.pooling import overlap_weights, pool
    from mediafm_core.clips.title_clips import propose_clips
    from mediafm_core.vectors import to_arrow, to_numpy

    content = work.content
    shots = work.read("shots")
    contextual = to_numpy(work.read("contextual_embeddings")["embedding"])
    name = content["files"]["clips"]
    if name is None:
        settings, starts = work.platform.settings.clips, None
        if settings.proposed_at == "scenes":
            starts = work.read("scenes")["scene_probability"].to_numpy()
        clips = propose_clips(shots, settings.proposed_s, starts)
    else:
        end = shots["end_s"][-1].as_py()
        language = content["manifest"]["language"]
        with work.file(name) as file, work.reader("clip_features") as reader:
            clips = reader.clips(file, work.title_id, end, language)
    weights = overlap_weights(clips, shots)
    first, last = (pa.array(shot.astype(np.int32)) for shot in weights.shot_ranges())
    table = (
        clips.append_column("first_shot", first)
        .append_column("last_shot", last)
        .append_column("embedding", to_arrow(pool(contextual, weights)))
    )
    details: dict[str, Any] = {"dimension": contextual.shape[1], "proposed": name is None}
    if work.platform.settings.publishing.fused_vectors:
        fused = to_numpy(work.read("fused_embeddings")["embedding"])
        table = table.append_column(FUSED, to_arrow(pool(fused, weights)))
        space = fused_space(work.store, work.title_id)
        details[FUSED] = {
            "dimension": fused.shape[1],
            "encoders": space.encoders,
            "ranges": space.ranges,
        }
    work.write("clip_features", table, **details)
