"""Stage of scenes, from fused vectors."""

import numpy as np
import pyarrow as pa

from mediafm_core.pipeline.stages.context_stage import compatible_model
from mediafm_core.pipeline.work import Work


def scenes(work: Work) -> None:
    """Find where scenes start, by the serving model and without labels.

    The first shot starts a scene in any case, so that its probability is 1.

    Raises:
        IdentityMismatchError: the model was trained on vectors of other encoders.
    """
    from mediafm_core.inference.scenes import title_scenes
    from mediafm_core.vectors import to_arrow, to_numpy

    model = compatible_model(work)
    fused, shots = work.read("fused_embeddings"), work.read("shots")
    found = title_scenes(
        model.network,
        to_numpy(fused["embedding"]),
        title_id=work.title_id,
        progress=lambda share: work.report("scenes", share),
    )
    probability, probabilities = found.probability.copy(), found.probabilities.copy()
    probability[0] = probabilities[0] = 1.0
    starts = np.isin(np.arange(fused.num_rows), found.starts)
    table = pa.table(
        {
            "title_id": fused["title_id"],
            "shot_index": fused["shot_index"],
            "scene_index": (np.cumsum(starts) - 1).astype(np.int32),
            "scene_probability": probability,
            "probabilities": to_arrow(probabilities),
        }
    )
    edges = np.append(shots["start_s"].to_numpy()[starts], shots["end_s"].to_numpy()[-1])
    work.write(
        "scenes",
        table,
        scenes=int(starts.sum()),
        median_scene_s=round(float(np.median(np.diff(edges))), 2),
        longest_scene_s=round(float(np.diff(edges).max()), 2),
        grains=list(found.grains),
        model=str(model.identity),
    )
