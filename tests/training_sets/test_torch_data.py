"""Training sets as PyTorch datasets."""

import datetime
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from labelled_catalogue import LabelledCatalogue
from small_catalogue import HIDDEN
from torch.utils.data import DataLoader

import mediafm_core
from mediafm_core import TrainingSet
from mediafm_core.errors import MediaFMError


@pytest.fixture(scope="module")
def found(small: LabelledCatalogue, labels: pa.Table, tmp_path_factory, request) -> TrainingSet:
    """Return a set in row groups of 4, with labels of many types; `score` is unique."""
    rows = labels.num_rows
    more = {
        "whole": pa.array([*range(rows - 1), None], pa.int16()),
        "good": pa.array([number % 2 == 0 for number in range(rows)]),
        "gap": pa.array([np.nan, None, *[0.5] * (rows - 2)]),
        "kind": pa.array(["b", None, *["a"] * (rows - 2)]).dictionary_encode(),
        "day": pa.array([datetime.date(2026, 2, 23)] * rows),
    }
    for name, column in more.items():
        labels = labels.append_column(name, column)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mediafm_core.training_sets.parquet_files.ROWS_READ_TOGETHER", 4)
        path = tmp_path_factory.mktemp("sets") / "set.parquet"
        mediafm_core.export(
            path, labels=labels, split={"train": 0.6, "test": 0.4}, store=small.root
        )
    return TrainingSet.open(path)


def by_score(batches) -> dict[float, np.ndarray]:
    """Return vectors by their target."""
    pairs = [
        (score.item(), vector.numpy())
        for vectors, scores in batches
        for vector, score in zip(vectors, scores, strict=True)
    ]
    assert len(dict(pairs)) == len(pairs), "a row was given twice"
    return dict(pairs)


def expected(found: TrainingSet) -> dict[float, np.ndarray]:
    return dict(zip(found.labels("score").tolist(), found.matrix(), strict=True))


def assert_same(one: dict[float, np.ndarray], other: dict[float, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for score, vector in one.items():
        np.testing.assert_array_equal(vector, other[score])


class TestDataset:
    def test_two_workers_give_each_row_once(self, found: TrainingSet) -> None:
        loader = DataLoader(found.torch("score"), batch_size=4, shuffle=True, num_workers=2)
        for _ in range(2):
            assert_same(by_score(loader), expected(found))

    def test_pickled_for_workers_that_are_not_forked(self, found: TrainingSet) -> None:
        for dataset in (found.torch("score"), found.torch_stream("score", seed=None)):
            pickled = pickle.dumps(dataset)
            assert found.matrix()[0].tobytes() not in pickled
            batches = DataLoader(pickle.loads(pickled), batch_size=None)
            rows = [
                (vectors.reshape(-1, HIDDEN), scores.reshape(-1)) for vectors, scores in batches
            ]
            assert_same(by_score(rows), expected(found))

    def test_rows_of_a_split(self, found: TrainingSet) -> None:
        test = found.split("test")
        assert_same(by_score([test.torch("score")[:]]), expected(test))
        vector, score = test.torch("score")[1]
        assert vector.shape == (HIDDEN,)
        assert score.item() == test.labels("score")[1]

    def test_vectors_alone(self, found: TrainingSet) -> None:
        (batch,) = DataLoader(found.torch(), batch_size=len(found))
        np.testing.assert_array_equal(batch.numpy(), found.matrix())
        assert found.torch()[0].shape == (HIDDEN,)

    def test_text_becomes_classes_that_all_splits_share(self, found: TrainingSet) -> None:
        train, test = (found.split(name).torch("genre") for name in ("train", "test"))
        assert train.classes == test.classes == ("drama", "news", "sport")
        named = [test.classes[target] for target in test[:][1]]
        assert named == found.split("test").labels("genre").tolist()

    @pytest.mark.parametrize(
        ("label", "dtype", "rows"),
        [
            ("whole", torch.int64, 24),
            ("good", torch.float32, 25),
            ("gap", torch.float32, 23),
            ("kind", torch.int64, 24),
            ("genre", torch.int64, 25),
            (["good", "gap"], torch.float32, 23),
        ],
    )
    def test_types_of_targets_and_rows_without_label(
        self, found: TrainingSet, label, dtype: torch.dtype, rows: int
    ) -> None:
        dataset = found.torch(label)
        vectors, targets = dataset[:]
        assert (targets.dtype, vectors.dtype) == (dtype, torch.float32)
        assert len(dataset) == len(targets) == len(vectors) == rows
        assert targets.shape[1:] == (() if isinstance(label, str) else (len(label),))

    @pytest.mark.parametrize(
        ("label", "message"),
        [
            ("mood", "no column 'mood'"),
            ("day", "Label 'day' is date32"),
            ([], "No label is named"),
            (["good", "genre"], "'genre' is text"),
        ],
    )
    def test_invalid_targets_are_refused(self, found: TrainingSet, label, message: str) -> None:
        with pytest.raises(MediaFMError, match=message):
            found.torch(label)
        with pytest.raises(MediaFMError, match=message):
            found.torch_stream(label)

    def test_writing_to_a_batch_changes_nothing(self, found: TrainingSet) -> None:
        before = found.matrix().copy()
        found.torch()[:].zero_()
        next(iter(DataLoader(found.torch("score"), batch_size=8)))[0].zero_()
        np.testing.assert_array_equal(found.matrix(), before)


class TestStream:
    @pytest.mark.parametrize("workers", [0, 2])
    @pytest.mark.parametrize("batch_size", [1, 7, 100])
    def test_gives_each_row_once(self, found: TrainingSet, workers: int, batch_size: int) -> None:
        stream = found.torch_stream("score", batch_size=batch_size)
        batches = list(DataLoader(stream, batch_size=None, num_workers=workers))
        assert_same(by_score(batches), expected(found))
        short = [len(scores) for _, scores in batches if len(scores) != batch_size]
        assert len(short) <= max(1, workers)

    def test_of_a_split_and_of_labelled_rows(self, found: TrainingSet) -> None:
        test = found.split("test")
        assert_same(by_score(test.torch_stream("score")), expected(test))
        assert sum(len(targets) for _, targets in found.torch_stream("gap")) == 23

    def test_order_follows_from_seed_and_epoch(self, found: TrainingSet) -> None:
        def order(seed: int | None, epoch: int = 0) -> list[float]:
            stream = found.torch_stream("score", batch_size=5, seed=seed)
            stream.set_epoch(epoch)
            return [score.item() for _, scores in stream for score in scores]

        assert order(1) == order(1)
        assert order(1) != order(2)
        assert order(1, epoch=0) != order(1, epoch=1)
        assert order(None, epoch=1) == found.labels("score").tolist()

    def test_ranks_share_the_rows(self, found: TrainingSet, monkeypatch) -> None:
        parts = []
        for rank in range(3):
            place = (rank, 3)
            monkeypatch.setattr("mediafm_core.training_sets.torch_data._rank", lambda p=place: p)
            parts += list(found.torch_stream("score"))
        assert_same(by_score(parts), expected(found))

    def test_vectors_alone(self, found: TrainingSet) -> None:
        (batch,) = found.torch_stream(seed=None)
        np.testing.assert_array_equal(batch.numpy(), found.matrix())

    def test_batch_size_of_zero_is_refused(self, found: TrainingSet) -> None:
        with pytest.raises(MediaFMError, match="The batch size is 0"):
            found.torch_stream("score", batch_size=0)


def test_the_example_learns_labels_of_the_vectors(tmp_path: Path) -> None:
    from examples.train_probe import train_probe

    small = LabelledCatalogue(tmp_path / "store")
    titles = [f"title-{number}" for number in range(10)]
    for title_id in titles:
        small.write(title_id, shots=80)
    small.publish(*titles)
    clips = mediafm_core.sql(
        "SELECT title_id, clip_id, embedding[1] > 0 AS up FROM clips "
        "JOIN clip_features USING (title_id, clip_id)",
        store=small.root,
    )
    words = np.array(["down", "up"])[clips["up"].to_numpy().astype(int)]
    labels = clips.drop("up").append_column("way", pa.array(words))
    labels = labels.append_column("chance", pa.array(np.random.default_rng(0).permutation(words)))
    path = tmp_path / "set.parquet"
    mediafm_core.export(path, labels=labels, split={"train": 0.7, "test": 0.3}, store=small.root)
    torch.manual_seed(0)
    assert train_probe(path, "way", epochs=300) > 0.85
    assert train_probe(path, "chance", epochs=300) < 0.75
