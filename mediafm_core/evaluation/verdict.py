"""Verdict of an evaluation: by how much context adds to what needs no training, if at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mediafm_core.evaluation.representations import (
    BOTH,
    IN_CONTEXT,
    INPUTS,
    STRONGEST,
    UNTRAINED,
)
from mediafm_core.evaluation.results import Difference, figure

if TYPE_CHECKING:
    from mediafm_core.evaluation.results import Report


@dataclass(frozen=True)
class Verdict:
    """Conclusion of an evaluation.

    Attributes:
        sentence: The conclusion in words.
        adds: True if the interval of the difference lies above zero; False if it does not; None
            where there is no interval.
        difference: Paired difference of `in_context` from the baseline, in the primary metric.
    """

    sentence: str
    adds: bool | None
    difference: Difference


def verdict(report: "Report") -> Verdict | None:
    """Return the verdict of a report; None if it has no contextual vectors or no baseline."""
    baseline = STRONGEST if len(report.strongest) > 1 else next(iter(report.strongest), None)
    if baseline is None:
        return None
    found = _difference(report, IN_CONTEXT, baseline)
    if found is None:
        return None
    clauses = [f"In context {_adds(found, _named(report))}"]
    beside = _difference(report, BOTH, INPUTS)
    if beside is not None:
        clauses.append(f"beside the inputs it {_adds(beside)}")
    unmeasured = [name for name in (INPUTS, UNTRAINED) if name not in report.strongest]
    if unmeasured:
        verb = "was" if len(unmeasured) == 1 else "were"
        clauses.append(f"{' and '.join(unmeasured)} {verb} not measured")
    return Verdict(f"{'; '.join(clauses)}.", is_clear(found), found)


def is_clear(difference: Difference) -> bool | None:
    """Return True if the interval of a difference lies above zero; None without an interval."""
    return None if difference.low is None else difference.low > 0


def _adds(found: Difference, to: str = "") -> str:
    """Return a predicate: by how much something adds, or that it does not."""
    to = f" to {to}" if to else ""
    if found.value is None or found.low is None:
        reason = (found.why_not or "").removesuffix(".")
        value = "" if found.value is None else f", {found.value:+.3f}"
        return f"cannot be shown to add anything{to}{value} ({reason})"
    metric, amount = found.metric.replace("_", " "), figure(found, "+.3f").removesuffix(" *")
    if is_clear(found):
        return f"adds {amount} {metric}{to}"
    return f"adds nothing{to}: {amount} {metric}"


def _named(report: "Report") -> str:
    """Name the baseline, with the folds in which each candidate was the strongest."""
    names = list(report.strongest)
    if len(names) == 1:
        return f"{names[0]}, the only baseline without training that was measured"
    counts = [f"{name} in {count}" for name, count in report.strongest.items() if count]
    total = sum(report.strongest.values())
    return f"the strongest baseline without training ({', '.join(counts)} of {total} folds)"


def _difference(report: "Report", representation: str, baseline: str) -> Difference | None:
    rows: Sequence[Difference] = report.evaluation.differences
    wanted = (representation, baseline, report.primary_metric)
    return next(
        (row for row in rows if (row.representation, row.baseline, row.metric) == wanted), None
    )
