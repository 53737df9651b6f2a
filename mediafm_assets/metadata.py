"""What the Dagster UI shows of an artefact: numbers and pictures."""

import base64
from typing import Any

import dagster as dg

from mediafm_core.pipeline.candidates import kept_point
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.materialise import Outcome
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.states import variant_of
from mediafm_core.pipeline.training import TrainedModel
from mediafm_core.report.pictures import contact_sheet, similarity_picture

_BYTES_PER_MEGABYTE = 1_000_000


def describe(
    platform: Platform, outcome: Outcome, in_pictures: bool = True
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Numbers and pictures of an artefact, as metadata values."""
    record = outcome.record
    if record is None:
        return {}, {}
    numbers: dict[str, Any] = {
        name: value for name, value in record.details.items() if _is_plain(value)
    }
    if record.identity and record.identity not in numbers.values():
        numbers["identity"] = record.identity
    if record.measured:
        numbers["seconds"] = record.measured.seconds
        numbers["cpu_seconds"] = record.measured.cpu_seconds
        numbers["peak_memory_mb"] = round(record.measured.peak_memory_bytes / _BYTES_PER_MEGABYTE)
        rows = record.details.get("rows")
        if rows and record.measured.seconds:
            numbers["rows_per_second"] = round(rows / record.measured.seconds, 1)
    nested = {
        name: dg.MetadataValue.json(value)
        for name, value in record.details.items()
        if not _is_plain(value)
    }
    return numbers, {**nested, **(_pictures(platform, outcome) if in_pictures else {})}


def describe_model(platform: Platform, trained: TrainedModel) -> dict[str, Any]:
    """Losses, curve, parameter groups and place of a trained model."""
    from mediafm_core.model.progress import CurvePoint
    from mediafm_core.model.report import loss_curve_png

    training = trained.training
    curve = [CurvePoint(**point) for point in training["curve"]]
    kept = kept_point(training)
    measured = {
        "seconds": trained.seconds,
        "shots_per_second": trained.shots_per_second,
    }
    return {
        "model": trained.identity,
        "training_loss": kept["training_loss"],
        "validation_loss": kept["validation_loss"],
        "validation": training["validation"],
        "baselines": dg.MetadataValue.json(training["baselines"]),
        "loss_curve": image(loss_curve_png(curve, training["baselines"]), "png", "Loss by step"),
        "parameter_groups": dg.MetadataValue.table(
            [dg.TableRecord(group) for group in training["groups"]]
        ),
        **{name: round(value, 1) for name, value in measured.items() if value is not None},
        "folder": dg.MetadataValue.path(str(platform.store.models / trained.identity)),
    }


def image(data: bytes, kind: str, title: str) -> dg.MarkdownMetadataValue:
    """A picture inside the metadata itself, so that it needs no file server."""
    encoded = base64.b64encode(data).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/{kind};base64,{encoded})")


def _pictures(platform: Platform, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    store, title_id = platform.store, outcome.title_id
    if outcome.asset == "shots":
        sheet = contact_sheet(store.batches("keyframes", title_id), store.read("shots", title_id))
        return {"contact_sheet": image(sheet, "jpeg", f"Shots of {title_id}")}
    if outcome.asset == "contextual_embeddings":
        from mediafm_core.vectors import to_numpy

        variant = variant_of(platform, SPECS[outcome.asset])
        vectors = to_numpy(store.read(outcome.asset, title_id, variant)["embedding"])
        picture = similarity_picture(vectors)
        return {"shot_similarity": image(picture, "png", f"Shot similarity of {title_id}")}
    return {}


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
