"""Invariants of every artefact, checked right after it is written.

Each is named as the asset check of the same name in the Dagster UI.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.store.features.feature_tables import FUSED
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_numpy

UNIT_TOLERANCE = 1e-3
TIME_TOLERANCE_S = 0.05


class CheckResult(NamedTuple):
    """Result of one check of one artefact; `detail` has the counts behind it."""

    name: str
    passed: bool
    detail: str


class Artefact(NamedTuple):
    """Artefact to check, with readers for its parts."""

    store: Store
    title_id: str
    asset: str
    variant: str

    def table(self) -> pa.Table:
        """The artefact itself."""
        return self.store.read(self.asset, self.title_id, self.variant)

    def details(self) -> dict[str, Any]:
        """Facts about the artefact from its record: counts, dimension, ranges."""
        record = self.store.record(self.asset, self.title_id, self.variant)
        return {} if record is None else record.details

    def shots(self) -> pa.Table:
        """The shots of the same title."""
        return self.store.read("shots", self.title_id)


Check = Callable[[Artefact], CheckResult]


def run_checks(store: Store, asset: str, title_id: str, variant: str) -> list[CheckResult]:
    """Run all checks of an asset on one title's artefact."""
    artefact = Artefact(store, title_id, asset, variant)
    return [check(artefact) for check in CHECKS.get(asset, ())]


def shots_partition_title(artefact: Artefact) -> CheckResult:
    """Check that shots follow each other without gap or overlap, in seconds and in frames."""
    shots = artefact.table()
    if shots.num_rows == 0:
        return CheckResult("shots_partition_title", False, "no shots")
    start, end = shots["start_s"].to_numpy(), shots["end_s"].to_numpy()
    first, last = shots["start_frame"].to_numpy(), shots["end_frame"].to_numpy()
    gaps = int(np.sum(start[1:] != end[:-1]) + np.sum(first[1:] != last[:-1] + 1))
    empty = int(np.sum(end <= start) + np.sum(last < first))
    ordered = bool(np.array_equal(shots["shot_index"].to_numpy(), np.arange(shots.num_rows)))
    passed = gaps == 0 and empty == 0 and ordered and first[0] == 0
    detail = f"{shots.num_rows} shots, {gaps} gaps or overlaps, {empty} empty"
    clock = artefact.details()
    if "clock_jumps" in clock:
        detail += (
            f"; {clock['clock_jumps']} jumps of the file's clock left out, "
            f"{clock['clock_jumped_s']} s"
        )
    return CheckResult("shots_partition_title", bool(passed), detail)


def every_shot_has_keyframes(artefact: Artefact) -> CheckResult:
    """Check that each shot has a picture."""
    indices = [
        batch.column("shot_index").to_numpy()
        for batch in artefact.store.batches("keyframes", artefact.title_id)
    ]
    pictured = np.unique(np.concatenate(indices)).size if indices else 0
    shots = artefact.shots().num_rows
    return CheckResult(
        "every_shot_has_keyframes", pictured == shots, f"{pictured} of {shots} shots have pictures"
    )


def one_row_per_shot(artefact: Artefact) -> CheckResult:
    """Check that there is one row per shot, in the order of the shots."""
    rows = artefact.table()["shot_index"].to_numpy()
    shots = artefact.shots().num_rows
    passed = bool(np.array_equal(rows, np.arange(shots)))
    return CheckResult("one_row_per_shot", passed, f"{rows.size} rows for {shots} shots")


def vectors_are_unit_or_absent(artefact: Artefact) -> CheckResult:
    """Check that vectors are finite, of unit length where present and zero where missing."""
    table = artefact.table()
    norms = np.linalg.norm(to_numpy(table["embedding"]), axis=1)
    present = table["present"].to_numpy(zero_copy_only=False)
    wrong = int(np.sum(~(np.abs(norms - present) <= UNIT_TOLERANCE)))  # NaN counts as wrong
    detail = f"{int(present.sum())} present, {wrong} of wrong length or not finite"
    return CheckResult("vectors_are_unit_or_absent", wrong == 0, detail)


def vectors_are_unit(artefact: Artefact) -> CheckResult:
    """Check that vectors are finite and of unit length."""
    norms = np.linalg.norm(to_numpy(artefact.table()["embedding"]), axis=1)
    wrong = int(np.sum(~(np.abs(norms - 1.0) <= UNIT_TOLERANCE)))
    return CheckResult(
        "vectors_are_unit", wrong == 0, f"{wrong} of {norms.size} of wrong length or not finite"
    )


def vector_is_finite(artefact: Artefact) -> CheckResult:
    """Check that the vector is finite; it is zero for a title without metadata."""
    norm = float(np.linalg.norm(to_numpy(artefact.table()["embedding"])))
    return CheckResult("vector_is_finite", bool(np.isfinite(norm)), f"length {norm:.3f}")


def vectors_are_finite(artefact: Artefact) -> CheckResult:
    """Check that vectors, and fused vectors where there are any, are finite and not zero."""
    table = artefact.table()
    names = [name for name in ("embedding", FUSED) if name in table.column_names]
    norms = np.concatenate([np.linalg.norm(to_numpy(table[name]), axis=1) for name in names])
    wrong = int(np.sum(~(np.isfinite(norms) & (norms > 0))))
    return CheckResult("vectors_are_finite", wrong == 0, f"{wrong} of {norms.size} unusable")


def scenes_partition_title(artefact: Artefact) -> CheckResult:
    """Check that scenes are numbered from 0 in the order of shots, without gap."""
    index = artefact.table()["scene_index"].to_numpy()
    steps = np.diff(index, prepend=-1)
    wrong = int(np.sum((steps != 0) & (steps != 1)) + np.sum(steps[:1] != 1))
    detail = f"{int(np.sum(steps == 1))} scenes of {index.size} shots, {wrong} gaps in their order"
    return CheckResult("scenes_partition_title", index.size > 0 and wrong == 0, detail)


def probabilities_are_valid(artefact: Artefact) -> CheckResult:
    """Check that probabilities are finite and from 0 to 1."""
    table = artefact.table()
    values = np.append(
        to_numpy(table["probabilities"]).ravel(), table["scene_probability"].to_numpy()
    )
    wrong = int(np.sum(~((values >= 0.0) & (values <= 1.0))))  # NaN counts as wrong
    return CheckResult("probabilities_are_valid", wrong == 0, f"{wrong} of {values.size} unusable")


def clips_lie_inside_title(artefact: Artefact) -> CheckResult:
    """Check that clips have unique ids and a length, and lie inside the title."""
    clips, shots = artefact.table(), artefact.shots()
    start, end = clips["start_s"].to_numpy(), clips["end_s"].to_numpy()
    # Pictures may start after the sound; a clip may start with the title, which is at zero.
    first, last = min(0.0, shots["start_s"][0].as_py()), shots["end_s"][-1].as_py()
    outside = int(np.sum((start < first - TIME_TOLERANCE_S) | (end > last + TIME_TOLERANCE_S)))
    empty = int(np.sum(end <= start))
    distinct = pc.count_distinct(clips["clip_id"]).as_py()
    passed = outside == 0 and empty == 0 and distinct == clips.num_rows
    detail = f"{clips.num_rows} clips, {distinct} ids, {outside} outside, {empty} empty"
    return CheckResult("clips_lie_inside_title", passed, detail)


CHECKS: dict[str, tuple[Check, ...]] = {
    "shots": (shots_partition_title,),
    "keyframes": (every_shot_has_keyframes,),
    "timed_text": (one_row_per_shot,),
    "video_embeddings": (one_row_per_shot, vectors_are_unit_or_absent),
    "audio_embeddings": (one_row_per_shot, vectors_are_unit_or_absent),
    "text_embeddings": (one_row_per_shot, vectors_are_unit_or_absent),
    "title_metadata_embedding": (vector_is_finite,),
    "fused_embeddings": (one_row_per_shot, vectors_are_unit),
    "contextual_embeddings": (one_row_per_shot, vectors_are_finite),
    "scenes": (one_row_per_shot, scenes_partition_title, probabilities_are_valid),
    "clip_features": (clips_lie_inside_title, vectors_are_finite),
}
