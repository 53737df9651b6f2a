"""Plot of the loss curve."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mediafm_core.model.training.progress_events import CurvePoint


def loss_curve_png(curve: Sequence["CurvePoint"], baselines: Mapping[str, float]) -> bytes:
    """Plot training and validation loss by step, with the baselines.

    Args:
        curve: points in order of steps.
        baselines: validation loss by name, drawn as horizontal lines.

    Returns:
        A PNG.
    """
    # Figure and not pyplot: no global state, and no display is needed.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    steps = [point.step for point in curve]
    axes.plot(steps, [point.training_loss for point in curve], label="training", color="tab:blue")
    axes.plot(
        steps,
        [point.validation_loss for point in curve],
        label="validation",
        color="tab:orange",
        marker="o",
        markersize=3,
    )
    styles = ("--", "-.", ":")
    for index, (name, loss) in enumerate(baselines.items()):
        axes.axhline(
            loss,
            label=f"baseline: {name.replace('_', ' ')}",
            color="tab:gray",
            linestyle=styles[index % len(styles)],
        )
    axes.set_xlabel("step")
    compares = any(point.validation_accuracy is not None for point in curve)
    axes.set_ylabel(
        "loss of past against future" if compares else "cosine distance of masked shots"
    )
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
