"""Tables of shots whose labels are known to depend on neighbours, on the shot or on chance."""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.config.settings import Settings
from mediafm_core.vectors import to_arrow

SEEN, HEARD = "seen", "heard"  # the columns of vectors
NOISE = 0.3
WIDTHS = {SEEN: 6, HEARD: 4}
TINY: dict[str, dict[str, object]] = {
    "model": {"hidden": 64, "layers": 2, "heads": 4, "feed_forward": 128},
    "objective": {"boundary_weight": 3.0},
    "training": {
        "steps": 2,
        "crop_shots": 30,
        "validate_every": 200,
        "validation_fraction": 0,
        "muon_learning_rate": 0.01,
        "adamw_learning_rate": 0.01,
    },
}


def tiny_settings(**sections: object) -> Settings:
    return Settings(device="cpu", **{**TINY, **sections})


def tiny_environment() -> dict[str, str]:
    """Return the same settings as environment variables of a process."""
    return {
        f"MEDIAFM_{section}__{name}".upper(): str(value)
        for section, values in TINY.items()
        for name, value in values.items()
    } | {"MEDIAFM_DEVICE": "cpu"}


def made_table(
    depends_on: Literal["neighbours", "itself", "chance"] = "neighbours",
    titles: int = 10,
    shots: int = 50,
    seed: int = 0,
) -> pa.Table:
    """Make a table `title, shot_index, seen, heard, label`, titles `title-00` and so on.

    Shots come in scenes of 4 to 10 that resemble each other; scenes are drawn by themselves. The
    label that depends on neighbours is true where a scene starts: the shot before is of another
    scene and marked as its last one, while nothing in the shot itself reveals the start.
    """
    rng = np.random.default_rng(seed)
    starts = np.zeros((titles, shots), dtype=bool)
    for row in starts:
        row[np.cumsum(rng.integers(4, 11, shots // 4))[: shots // 10]] = True
    first = np.arange(titles * shots) % shots == 0
    scene_of = np.cumsum(starts.ravel() | first) - 1  # [titles * shots]
    vectors = {
        name: rng.standard_normal((scene_of[-1] + 1, width))[scene_of]
        + NOISE * rng.standard_normal((len(scene_of), width))
        for name, width in WIDTHS.items()
    }
    vectors[SEEN][:, 0] = np.append(starts.ravel()[1:], False)
    label = {
        "neighbours": starts.ravel(),
        "itself": vectors[SEEN][:, 1] > 0,
        "chance": rng.random(len(scene_of)) < 0.2,
    }[depends_on]
    return pa.table(
        {
            "title": np.repeat([f"title-{place:02d}" for place in range(titles)], shots),
            "shot_index": np.tile(np.arange(shots), titles),
            **{name: to_arrow(matrix.astype(np.float32)) for name, matrix in vectors.items()},
            "label": label,
        }
    )


def paired_table(
    answers: Literal["learnable", "by chance"] = "learnable",
    titles: int = 20,
    shots: int = 60,
    kinds: int = 12,
) -> pa.Table:
    """Make a table of pairs of shots, a question and its answer, each of one of several kinds.

    The label of an answer is true if it is of another kind than the question; questions have none.
    Answers by chance are of any kind, and their labels are drawn by themselves.
    """
    rng = np.random.default_rng(0)
    pairs = titles * shots // 2
    questions, replies = (
        np.linalg.qr(rng.standard_normal((kinds, kinds)))[0] for _ in range(2)
    )  # [kinds, kinds], orthonormal rows
    asked, is_other = rng.integers(0, kinds, pairs), rng.random(pairs) < 0.3
    answered = (asked + is_other * rng.integers(1, kinds, pairs)) % kinds
    if answers == "by chance":
        answered = rng.integers(0, kinds, pairs)
    seen = np.stack([questions[asked], replies[answered]], axis=1).reshape(-1, kinds)
    seen += 0.15 * rng.standard_normal(seen.shape)
    label = np.stack([np.zeros(pairs, bool), is_other], axis=1).ravel()
    return pa.table(
        {
            "title": np.repeat([f"title-{place:02d}" for place in range(titles)], shots),
            "shot_index": np.tile(np.arange(shots), titles),
            SEEN: to_arrow(seen.astype(np.float32)),
            HEARD: to_arrow(rng.standard_normal((len(seen), 4)).astype(np.float32)),
            "label": pa.array(label, mask=np.tile([True, False], pairs)),
        }
    )


def written(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path)
    return path
