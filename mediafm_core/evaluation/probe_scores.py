"""Scores of the probes of all representations and seeds, and the baseline chosen from them.

The strongest baseline without training is chosen for each tested fold by the metric that each
representation's probe has in folds of the training titles, the figure that its penalty is chosen
by. So no tested title has a part in the choice, and the baseline is not the best of several by
chance.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from mediafm_core.evaluation.evaluation_task import TaskLabels
from mediafm_core.evaluation.metrics import find_metric, metric_names, value
from mediafm_core.evaluation.units import Units
from mediafm_core.vectors import to_arrow

_OF_TITLES = pa.schema(
    [
        ("representation", pa.string()),
        ("seed", pa.int64()),
        ("title", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
    ]
)


@dataclass
class ProbeScores:
    """Scores of units by representation and seed.

    Attributes:
        units: Data set.
        seeds: Seeds in their order.
        folds: `[n]` int64 for each seed, the fold that each unit is tested in, or its probe where a
            fold has several; -1 where none tests it.
        by_name: Scores of each representation by seed, `[n]` or `[n, c]`; NaN where never tested.
        training_metrics: For each representation and seed, the primary metric in folds of the
            training titles, by tested fold.
    """

    units: Units
    seeds: Sequence[int]
    folds: Sequence[np.ndarray]
    by_name: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    training_metrics: dict[str, dict[int, Mapping[int, float]]] = field(default_factory=dict)

    def add(
        self, name: str, seed: int, scores: np.ndarray, training_metrics: Mapping[int, float]
    ) -> None:
        """Add the scores of a representation's probes of a seed."""
        self.by_name.setdefault(name, {})[seed] = scores
        self.training_metrics.setdefault(name, {})[seed] = training_metrics

    def lists(self) -> dict[str, list[np.ndarray]]:
        """Return the scores of each representation as a list over its seeds."""
        return {name: list(by_seed.values()) for name, by_seed in self.by_name.items()}

    def add_strongest(self, name: str, candidates: Sequence[str]) -> dict[str, int]:
        """Add a representation that has in each tested fold the scores of the best candidate.

        A candidate whose metric is unknown in a fold is not chosen there, unless all are.

        Args:
            name: Name of the representation.
            candidates: Names of representations.

        Returns:
            Number of folds of all seeds in which each candidate was chosen, the most frequent
            first, without candidates that were not measured with all seeds. Nothing is added for
            fewer than two.
        """
        measured = [
            each for each in candidates if len(self.by_name.get(each, ())) == len(self.seeds)
        ]
        if len(measured) < 2:
            return dict.fromkeys(measured, sum(int(folds.max()) + 1 for folds in self.folds))
        chosen = Counter(dict.fromkeys(measured, 0))
        for seed, folds in zip(self.seeds, self.folds, strict=True):
            scores = np.full_like(self.by_name[measured[0]][seed], np.nan)
            metrics: dict[int, float] = {}
            for fold in np.unique(folds[folds >= 0]).tolist():
                found = np.array(
                    [self.training_metrics[each][seed].get(fold, np.nan) for each in measured]
                )
                best = measured[0 if np.isnan(found).all() else int(np.nanargmax(found))]
                scores[folds == fold] = self.by_name[best][seed][folds == fold]
                metrics[fold] = self.training_metrics[best][seed].get(fold, np.nan)
                chosen[best] += 1
            self.add(name, seed, scores, metrics)
        return dict(chosen.most_common())

    def table(self) -> pa.Table:
        """Return a row for each tested unit, seed and representation.

        `score` is a number, or a vector with a number for each of the classes that the metadata of
        the schema names.
        """
        labels, names = self.units.labels, np.array(self.units.titles)
        parts = []
        for name, by_seed in self.by_name.items():
            for seed, folds in zip(self.seeds, self.folds, strict=True):
                scores = by_seed.get(seed)
                if scores is None:
                    continue
                rows = np.flatnonzero(labels.known & ~_is_untested(scores))
                parts.append(
                    pa.table(
                        {
                            "representation": _repeated(name, len(rows)),
                            "seed": np.full(len(rows), seed, np.int64),
                            "title": pa.array(names[self.units.title_of[rows]]),
                            "unit": pa.array(self.units.names[rows]),
                            "fold": folds[rows].astype(np.int64),
                            "score": to_arrow(scores[rows]) if scores.ndim > 1 else scores[rows],
                        }
                    )
                )
        return pa.concat_tables(parts)

    def title_table(self) -> pa.Table:
        """Return the value of each metric within each title, by seed and representation.

        For tasks whose metrics compare the units of all titles, these are values of the primary
        metric on the units of one title. Titles on which a metric is not measurable are left out.
        """
        metrics = metric_names(self.units.labels.task)
        within = [name for name in metrics if find_metric(name).scope == "title"] or metrics[:1]
        rows = [
            (name, seed, title, metric, found)
            for index, title in enumerate(self.units.titles)
            for name, by_seed in self.by_name.items()
            for seed, scores in by_seed.items()
            for metric, found in self._of_title(index, scores, within)
            if np.isfinite(found)
        ]
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(_OF_TITLES)
        return pa.table([pa.array(column) for column in columns], schema=_OF_TITLES)

    def _of_title(
        self, index: int, scores: np.ndarray, metrics: Sequence[str]
    ) -> Iterator[tuple[str, float]]:
        """Yield the metrics of the units of a title; none of a title without labels."""
        rows, labels = self.units.rows(index), self.units.labels
        of_title = TaskLabels(
            labels.name, labels.task, labels.values[rows], labels.classes, labels.known[rows]
        )
        if of_title.known.any():
            one_title = np.zeros(len(of_title.known), np.int64)
            for metric in metrics:
                yield metric, value(metric, scores[rows], of_title, one_title)


def _is_untested(scores: np.ndarray) -> np.ndarray:
    missing = np.isnan(scores)
    return missing if missing.ndim == 1 else missing.all(axis=1)


def _repeated(name: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [name])
