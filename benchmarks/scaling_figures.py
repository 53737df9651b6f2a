"""Figures of the scaling curve: points with intervals, as a table and as a picture."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from mediafm_core.evaluation.representations import BOTH, COMPACT, IN_CONTEXT, UNTRAINED
from mediafm_core.evaluation.results import Difference, Evaluation, Result, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINES = ("flat", COMPACT, UNTRAINED)
CURVES = {"trained": "trained − untrained", "beside": "both − compact"}
_SHIFT = 1.03  # of the curves beside each other, so that their intervals do not overlap


def named(name: str, count: int) -> str:
    """Return the name of a representation at a number of training titles."""
    return f"{name} of {count}"


@dataclass(frozen=True)
class Point:
    """Figures of networks of one size that were trained on a number of titles.

    Attributes:
        label: Label of the probes.
        network: Layers and width.
        titles: Number of training titles.
        in_context: Metric of `in_context`.
        trained: Its difference from `untrained`.
        beside: Difference of `both` from the compact inputs.
    """

    label: str
    network: str
    titles: int
    in_context: Result
    trained: Difference
    beside: Difference


@dataclass
class Found:
    """Figures of the benchmark.

    Attributes:
        points: Points of all labels and sizes.
        baselines: Metric of each baseline by label and size; those without a network have none.
        held_out: Number of titles that probes are trained and tested on.
        seeds: Number of seeds.
        cpu_seconds: CPU seconds of this process by kind of work.
    """

    points: list[Point] = field(default_factory=list)
    baselines: list[dict[str, Any]] = field(default_factory=list)
    held_out: int = 0
    seeds: int = 0
    cpu_seconds: dict[str, Any] = field(default_factory=dict)

    def add(self, label: str, network: str, counts: Sequence[int], evaluation: Evaluation) -> None:
        """Add the figures of a label and network."""
        results = {each.representation: each for each in evaluation.results}
        differences = {
            (each.representation, each.baseline): each for each in evaluation.differences
        }
        for name in BASELINES:
            of = network if name == UNTRAINED else ""
            baseline = {"label": label, "network": of, "result": asdict(results[name])}
            if baseline not in self.baselines:
                self.baselines.append(baseline)
        self.points += [
            Point(
                label,
                network,
                count,
                results[named(IN_CONTEXT, count)],
                differences[named(IN_CONTEXT, count), UNTRAINED],
                differences[named(BOTH, count), COMPACT],
            )
            for count in counts
        ]


def show(found: Found) -> None:
    """Print the points of each label, and the CPU time."""
    console = Console()
    for label in dict.fromkeys(point.label for point in found.points):
        of_label = [point for point in found.points if point.label == label]
        metric = of_label[0].in_context.metric.replace("_", " ")
        table = Table("network", "titles", metric, *CURVES.values())
        for baseline in found.baselines:
            if baseline["label"] == label:
                result = Result(**baseline["result"])
                name = " ".join(filter(None, (baseline["network"], result.representation)))
                table.add_row(name, "", figure(result, ".3f"))
        for point in of_label:
            differences = [figure(getattr(point, name), "+.3f") for name in CURVES]
            value = figure(point.in_context, ".3f")
            table.add_row(point.network, str(point.titles), value, *differences)
        console.print(f"{label}: held-out titles {found.held_out}, seeds {found.seeds}")
        console.print(table)
    kinds = {
        kind: sum(seconds.values()) if isinstance(seconds, dict) else seconds
        for kind, seconds in found.cpu_seconds.items()
    }
    console.print("CPU s: " + ", ".join(f"{kind} {kinds[kind]:.0f}" for kind in kinds))


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw both figures of all points against the number of titles, a row of plots per label.

    Args:
        points: of all labels and networks.
        path: of an SVG or PNG.
    """
    # Figure instead of pyplot, because it has no global state and needs no display.
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(point.label for point in points))
    networks = list(dict.fromkeys(point.network for point in points))
    figure_of_all = Figure(figsize=(8, 0.6 + 2.6 * len(labels)), dpi=120, layout="constrained")
    shape = (len(labels), len(CURVES))
    grid = figure_of_all.subplots(*shape, sharex=True, sharey="row", squeeze=False)
    for row, label in zip(grid, labels, strict=True):
        of_label = [point for point in points if point.label == label]
        for axes, (name, title) in zip(row, CURVES.items(), strict=True):
            _draw_curves(axes, of_label, networks, name)
            axes.set_title(f"{label}: {title}")
        row[0].set_ylabel(f"difference of {of_label[0].in_context.metric.replace('_', ' ')}")
    for axes in grid[-1]:
        axes.set_xlabel("training titles")
    grid[0][0].legend(title="layers x width")
    figure_of_all.savefig(path)


def _draw_curves(axes: "Axes", points: Sequence[Point], networks: Sequence[str], name: str) -> None:
    """Draw a line with intervals for each network; numbers of titles are on a binary scale."""
    axes.axhline(0, color="tab:gray", linewidth=1)
    for index, network in enumerate(networks):
        rows = [
            (point.titles * _SHIFT**index, getattr(point, name))
            for point in points
            if point.network == network and getattr(point, name).value is not None
        ]
        color = f"C{index}"
        axes.plot(
            [titles for titles, _ in rows],
            [row.value for _, row in rows],
            "o-",
            color=color,
            label=network,
        )
        for titles, row in rows:
            if row.low is not None and row.high is not None:
                axes.plot([titles, titles], [row.low, row.high], color=color, linewidth=1.5)
    counts = sorted({point.titles for point in points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
