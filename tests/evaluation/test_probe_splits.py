"""Titles are divided for networks and probes without regard to labels, or by a fixed split."""

from dataclasses import replace

import numpy as np
import pytest
from labelled_units import Vectors, labels_of, titles_of

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.metrics import value
from mediafm_core.evaluation.probe_splits import divide, parts_of_titles
from mediafm_core.evaluation.probes import out_of_fold_scores

TITLES = titles_of(12, 10)
COUNT = len(TITLES)


@pytest.fixture
def positives() -> np.ndarray:
    return np.random.default_rng(3).random(COUNT) < 0.3


def parts_of(*parts: str) -> np.ndarray:
    """Return the part of each unit, from a part per title."""
    return np.repeat(parts, 10)


class TestFolds:
    def test_are_the_same_for_every_label(self, positives: np.ndarray) -> None:
        other = labels_of(np.arange(COUNT) % 7, "ranking", known=np.arange(COUNT) > 70)
        expected = divide(TITLES, labels_of(positives), 4, seed=2).fold_of
        np.testing.assert_array_equal(divide(TITLES, other, 4, seed=2).fold_of, expected)
        assert (divide(TITLES, other, 4, seed=3).fold_of != expected).any()

    def test_have_similar_numbers_of_units_and_whole_titles(self, positives: np.ndarray) -> None:
        fold_of = divide(TITLES, labels_of(positives), 4, seed=0).fold_of
        assert np.bincount(fold_of).tolist() == [30] * 4
        assert all(len(np.unique(fold_of[title == TITLES])) == 1 for title in np.unique(TITLES))

    def test_test_every_title_once(self, positives: np.ndarray) -> None:
        for probe_titles in ("pretraining", "unseen"):
            division = divide(TITLES, labels_of(positives), 3, 0, probe_titles=probe_titles)
            tested = np.sum([split.tested for split in division.splits], axis=0)
            assert (tested == 1).all()
            for index, split in enumerate(division.splits):
                assert (division.split_of[split.tested] == index).all()
                assert not (split.training & split.tested).any()

    def test_without_labels_in_the_training_titles_give_no_scores(self) -> None:
        known = np.isin(TITLES, np.unique(TITLES)[:2])
        labels = labels_of(np.arange(COUNT) % 3 == 0, known=known)
        vectors = Vectors("x", np.random.default_rng(0).normal(size=(COUNT, 3)))
        of_seeds = set()
        for seed in range(8):
            splits = divide(TITLES, labels, 2, seed).splits
            scores = out_of_fold_scores(vectors, labels, TITLES, splits, seed)
            in_first = splits[0].tested[known]
            apart = bool(in_first.any() and not in_first.all())
            assert np.isnan(scores[known]).any() != apart
            of_seeds.add(apart)
        assert of_seeds == {True, False}

    def test_need_a_class_of_several_titles(self) -> None:
        names = [f"name-{number}" for number in range(12)]
        of_titles = np.repeat(np.arange(12), 10)
        with pytest.raises(MediaFMError, match=r"12 values such as 'name-0'.* each in one title"):
            divide(TITLES, labels_of(of_titles, "multiclass", names), 4, seed=0)
        shared = np.where(of_titles == 11, 0, of_titles)
        assert len(divide(TITLES, labels_of(shared, "multiclass", names), 4, seed=0).splits) == 4


class TestUnseenProbeTitles:
    def test_lie_within_the_fold_of_their_network(self, positives: np.ndarray) -> None:
        division = divide(TITLES, labels_of(positives), 3, 0, probe_titles="unseen")
        for split in division.splits:
            of_fold = division.fold_of == split.fold
            assert not (split.training & ~of_fold).any()
            np.testing.assert_array_equal(split.training | split.tested, of_fold)
        assert len(division.splits) == 12  # four titles per fold, each left out once

    def test_are_trained_and_tested_on_the_vectors_of_that_network(
        self, positives: np.ndarray
    ) -> None:
        labels = labels_of(positives)
        asked = []

        class PerFold(Vectors):
            def parts(self, fold: int) -> list[np.ndarray]:
                asked.append(fold)
                turned = np.random.default_rng(fold).normal(size=(4, 4))
                return [part @ turned.astype(np.float32) for part in self._parts]

        vectors = np.random.default_rng(0).normal(size=(COUNT, 4)) + 3 * positives[:, None]
        splits = divide(TITLES, labels, 3, 0, probe_titles="unseen").splits
        scores = out_of_fold_scores(PerFold("x", vectors), labels, TITLES, splits, 0)
        assert sorted(set(asked)) == [0, 1, 2]
        assert value("average_precision", scores, labels, TITLES) > 0.9

    def test_need_three_labelled_titles_in_each_fold(self, positives: np.ndarray) -> None:
        with pytest.raises(MediaFMError, match=r"has 2 titles with 'wanted'.*fewer folds"):
            divide(TITLES, labels_of(positives), 6, 0, probe_titles="unseen")

    def test_need_units_that_differ_in_each_fold(self) -> None:
        one_title = labels_of((TITLES == "film-003") & (np.arange(COUNT) % 2 == 0))
        with pytest.raises(MediaFMError, match=r"same for all units of fold \d \(false\)"):
            divide(TITLES, one_title, 3, 0, probe_titles="unseen")


class TestFixedSplit:
    def test_trains_and_tests_its_parts_in_one_fold(self, positives: np.ndarray) -> None:
        parts = parts_of(*["train"] * 6, *["validation"] * 2, *["test"] * 4)
        division = divide(TITLES, labels_of(positives), 5, 0, parts=parts)
        (split,) = division.splits
        np.testing.assert_array_equal(split.training, parts == "train")
        np.testing.assert_array_equal(split.validation, parts == "validation")
        np.testing.assert_array_equal(split.tested, parts == "test")
        # A network is trained on the titles outside its fold: on those of the part for training.
        np.testing.assert_array_equal(division.fold_of != split.fold, parts == "train")

    def test_chooses_the_penalty_on_the_validation_titles(self, positives: np.ndarray) -> None:
        parts = parts_of(*["train"] * 6, *["validation"] * 2, *["test"] * 4)
        labels = labels_of(positives)
        (split,) = divide(TITLES, labels, 5, 0, parts=parts).splits
        # Ten columns are the label in the training titles and noise elsewhere: folds of the
        # training titles would choose a weak penalty and be misled.
        random = np.random.default_rng(0)
        vectors = random.normal(size=(COUNT, 11))
        vectors[:, 0] += 1.5 * positives
        vectors[parts == "train", 1:] += 0.5 * positives[parts == "train", None]
        without = replace(split, validation=np.zeros(COUNT, bool))
        found = {}
        for validated, chosen in ((True, split), (False, without)):
            metrics: dict[int, float] = {}
            scores = out_of_fold_scores(
                Vectors("x", vectors),
                labels,
                TITLES,
                [chosen],
                0,
                training_metric=metrics.__setitem__,
            )
            assert np.array_equal(np.isnan(scores), parts != "test")
            found[validated] = metrics[0]
        assert found[True] < found[False] - 0.1

    @pytest.mark.parametrize(
        ("labelled", "message"),
        [
            ("test", "labels no unit of the train titles"),
            ("train", "labels no unit of the test titles"),
        ],
    )
    def test_refuses_a_part_without_labels(
        self, positives: np.ndarray, labelled: str, message: str
    ) -> None:
        parts = parts_of(*["train"] * 6, *["test"] * 6)
        labels = labels_of(positives, known=parts == labelled)
        with pytest.raises(MediaFMError, match=message):
            divide(TITLES, labels, 5, 0, parts=parts)

    def test_refuses_a_label_that_is_constant_in_a_part(self, positives: np.ndarray) -> None:
        parts = parts_of(*["train"] * 6, *["test"] * 6)
        with pytest.raises(
            MediaFMError, match=r"units of the train titles \(false\): label titles"
        ):
            divide(TITLES, labels_of(positives & (parts == "test")), 5, 0, parts=parts)

    def test_refuses_a_single_test_title(self, positives: np.ndarray) -> None:
        parts = parts_of(*["train"] * 11, "test")
        with pytest.raises(MediaFMError, match="one test title only, 'film-011'"):
            divide(TITLES, labels_of(positives), 5, 0, parts=parts)


class TestSplitColumn:
    NAMES = ("a", "b", "c")
    TITLE_OF = np.array([0, 0, 1, 2])

    def test_gives_the_part_of_each_unit(self) -> None:
        found = parts_of_titles(
            self.NAMES, self.TITLE_OF, ["train", " Train ", "validation", "test"], "part"
        )
        assert found.tolist() == ["train", "train", "validation", "test"]

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (["train", "train", "dev", "test"], "'part' has 'dev' in 1 rows, the first of b"),
            (["0", "0", None, "1"], "'part' has '0', no value, '1' in 4 rows, the first of a"),
            (["train", None, "train", "test"], "'part' has no value in 1 rows, the first of a"),
            (["train", "test", "train", "test"], "divides a, which has shots of train and of test"),
            (["train"] * 4, "has no test titles"),
            (["test"] * 4, "has no train titles"),
        ],
    )
    def test_is_refused_in_one_sentence(self, values: list[str | None], message: str) -> None:
        with pytest.raises(MediaFMError, match=message):
            parts_of_titles(self.NAMES, self.TITLE_OF, values, "part")
