"""Contextual and fused vectors of one set: columns, and both side by side for torch."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from labelled_catalogue import LabelledCatalogue, export
from small_catalogue import ENCODERS, FUSED, HIDDEN, MODEL, RANGES
from torch.utils.data import DataLoader

import mediafm_core
from mediafm_core import TrainingSet
from mediafm_core.cli.main import main
from mediafm_core.errors import MediaFMError

BOTH = ("embedding", "fused")
SIDE_BY_SIDE = {"embedding": (0, HIDDEN), "fused": (HIDDEN, HIDDEN + FUSED)}


@pytest.fixture(scope="module")
def both(small: LabelledCatalogue, tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    out = tmp_path_factory.mktemp("sets") / "both.parquet"
    export(small, out, vectors="both", split={"train": 0.6, "test": 0.4})
    return TrainingSet.open(out)


def test_a_set_has_the_chosen_columns(
    small: LabelledCatalogue, both: TrainingSet, tmp_path: Path
) -> None:
    export(small, tmp_path / "fused.parquet", vectors="fused")
    fused = TrainingSet.open(tmp_path / "fused.parquet")
    assert "embedding" not in fused.column_names
    assert (fused.model, fused.records[0].encoders) == (MODEL, ENCODERS)
    assert {name: list(found) for name, found in fused.records[0].ranges.items()} == RANGES
    np.testing.assert_array_equal(fused.matrix(), fused.matrix("fused"))
    assert fused.torch("genre").ranges == {"fused": (0, FUSED)}
    export(small, tmp_path / "context.parquet", vectors="context")
    context = TrainingSet.open(tmp_path / "context.parquet")
    assert "fused" not in context.column_names
    keys = ["title_id", "clip_id"]
    order = {tuple(row.values()): n for n, row in enumerate(both.to_arrow(keys).to_pylist())}
    rows = [order[tuple(row.values())] for row in context.to_arrow(keys).to_pylist()]
    np.testing.assert_array_equal(both.matrix(BOTH)[rows][:, :HIDDEN], context.matrix())
    np.testing.assert_array_equal(both.matrix(BOTH)[rows][:, HIDDEN:], fused.matrix())


def test_fused_vectors_of_clips_are_those_that_are_published(tmp_path: Path) -> None:
    small = LabelledCatalogue(tmp_path / "store", fused_vectors=True).filled("alpha", "beta")
    export(small, tmp_path / "set.parquet", vectors="fused")
    found = TrainingSet.open(tmp_path / "set.parquet").to_arrow(["title_id", "clip_id", "fused"])
    published = mediafm_core.sql("SELECT * FROM clip_features", store=small.root)
    of_clip = {(row["title_id"], row["clip_id"]): row["fused"] for row in published.to_pylist()}
    for row in found.to_pylist():
        np.testing.assert_array_equal(row["fused"], of_clip[row["title_id"], row["clip_id"]])


def test_torch_puts_columns_side_by_side(both: TrainingSet) -> None:
    train = both.split("train")
    expected = np.concatenate([train.matrix("embedding"), train.matrix("fused")], axis=1)
    dataset = pickle.loads(pickle.dumps(train.torch(column=BOTH)))  # as for a worker
    assert (dataset.width, dataset.ranges) == (HIDDEN + FUSED, SIDE_BY_SIDE)
    np.testing.assert_array_equal(dataset[:].numpy(), expected)
    np.testing.assert_array_equal(dataset[2].numpy(), expected[2])
    (batch,) = DataLoader(train.torch(column=BOTH), batch_size=len(train))
    np.testing.assert_array_equal(batch.numpy(), expected)
    stream = train.torch_stream(column=BOTH, seed=None)
    assert (stream.width, stream.ranges) == (dataset.width, dataset.ranges)
    (batch,) = DataLoader(stream, batch_size=None)
    np.testing.assert_array_equal(batch.numpy(), expected)
    swapped = train.torch(column=["fused", "embedding"])
    assert swapped.ranges == {"fused": (0, FUSED), "embedding": (FUSED, FUSED + HIDDEN)}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([], "No column of vectors is named"),
        ("genre", "is a label, not a column of vectors"),
        (["embedding", "own"], "no column 'own'"),
    ],
)
def test_unusable_columns(both: TrainingSet, column: object, message: str) -> None:
    for read in (both.matrix, both.torch, both.torch_stream):
        with pytest.raises(MediaFMError, match=message):
            read(column=column)  # type: ignore[operator]


def test_contradicting_options_are_refused(small: LabelledCatalogue, out: Path) -> None:
    with pytest.raises(MediaFMError, match="leave one of the two out"):
        export(small, out, vectors="fused", fused=True)


def test_the_command(small: LabelledCatalogue, out: Path) -> None:
    arguments = ["export", str(out), "--vectors", "both", "--store", str(small.root)]
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0, shown.output
    assert f"{HIDDEN} and {FUSED} wide ({MODEL})" in shown.stdout
    again = CliRunner().invoke(main, [*arguments, "--replace", "--json"])
    assert json.loads(again.stdout)["encoders"] == ENCODERS
