"""Labels parsed from columns of any type, and the task inferred from them."""

import pyarrow as pa
import pytest

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.task_labels import parse_labels


class TestInferredTask:
    @pytest.mark.parametrize(
        ("column", "task", "values", "known"),
        [
            (pa.array([True, None, False]), "binary", [1, 0], [1, 0, 1]),
            (pa.array([0, 1, None]), "binary", [0, 1], [1, 1, 0]),
            (pa.array([-1.0, 5.0, -1.0]), "binary", [0, 1, 0], [1, 1, 1]),
            (pa.array(["yes", "No", ""]), "binary", [1, 0], [1, 1, 0]),
            (pa.array([3, 1, 2]), "ranking", [3, 1, 2], [1, 1, 1]),
            (pa.array(["3", "", "2", "9.5"]), "ranking", [3, 2, 9.5], [1, 0, 1, 1]),
            (pa.array([0.5, float("nan"), 2, 3]), "ranking", [0.5, 2, 3], [1, 0, 1, 1]),
            (pa.array(["sad", "calm", "sad"]), "multiclass", [1, 0, 1], [1, 1, 1]),
            (pa.array(["b", None, "a"]).dictionary_encode(), "multiclass", [1, 0], [1, 0, 1]),
            (
                pa.array([["b"], [], None, ["a", "b"]]),
                "multilabel",
                [[0, 1], [0, 0], [1, 1]],
                [1, 1, 0, 1],
            ),
            (pa.array(['["b"]', '["a", "b"]']), "multilabel", [[0, 1], [1, 1]], [1, 1]),
        ],
    )
    def test_of_one_column(self, column: pa.Array, task: str, values: list, known: list) -> None:
        labels = parse_labels({"y": column}, None)
        assert labels.task == task
        assert labels.known.tolist() == [bool(each) for each in known]
        assert labels.values[labels.known].tolist() == values

    def test_of_several_columns(self) -> None:
        labels = parse_labels(
            {"sad": pa.array([1, 0, 1]), "calm": pa.array([True, None, True])}, None
        )
        assert (labels.name, labels.task, labels.classes) == (
            "sad,calm",
            "multilabel",
            ["sad", "calm"],
        )
        assert labels.known.tolist() == [True, False, True]
        assert labels.values[0].tolist() == [True, True]


class TestNamedTask:
    def test_numbers_as_classes(self) -> None:
        labels = parse_labels({"y": pa.array([10, 2, 10])}, "multiclass")
        assert [labels.classes[code] for code in labels.values] == ["10", "2", "10"]

    def test_words_in_one_cell(self) -> None:
        labels = parse_labels({"y": pa.array(["sad; calm", "calm", None])}, "multilabel")
        assert labels.classes == ["calm", "sad"]
        assert labels.values[labels.known].tolist() == [[True, True], [True, False]]

    def test_retrieval_is_of_true_and_false(self) -> None:
        assert parse_labels({"y": pa.array([0, 1])}, "retrieval").values.tolist() == [False, True]

    @pytest.mark.parametrize(
        ("column", "task", "message"),
        [
            (pa.array(["sad", "calm"]), "binary", "values such as sad, calm"),
            (pa.array([1, 2, 3]), "retrieval", "it must have two"),
            (pa.array(["sad", "calm"]), "ranking", "must have numbers"),
            (pa.array([["sad"], ["calm"]]), "multiclass", "multilabel"),
            (pa.array([1, 2, 3]), "multilabel", "it must have two"),
            (pa.array([1.0, float("inf")]), None, "infinite"),
            (pa.array([None, None], pa.string()), None, "no value at all"),
            (pa.array([{"a": 1}]), None, "of type struct"),
            (pa.array(["[calm]", "[sad]"]), None, "no JSON"),
            (pa.array([["sad", None], ["calm"]]), None, "lists with nulls"),
            (pa.array(['["sad", null]', '["calm"]']), None, "lists with nulls"),
        ],
    )
    def test_incompatible_column_is_refused(
        self, column: pa.Array, task: str | None, message: str
    ) -> None:
        with pytest.raises(MediaFMError, match=message):
            parse_labels({"y": column}, task)  # type: ignore[arg-type]

    def test_of_several_columns_is_multilabel(self) -> None:
        with pytest.raises(MediaFMError, match="has one label, not 2"):
            parse_labels({"a": pa.array([1, 0]), "b": pa.array([1, 0])}, "binary")
