"""Metadata of artefacts, models and evaluations for the Dagster UI: numbers, tables, pictures.

Every key of a record's `details` is shown as it is, by its own name. The asset's stage in
`mediafm_core.pipeline.stages` writes them (`Work.record`), so a value that the stage computes is
added there. This module adds what is not in `details`: values derived from an artefact, pictures
and tables.
"""

import base64
from collections.abc import Sequence
from typing import Any

import dagster as dg

from mediafm_assets.assets.table_metadata import clip_table
from mediafm_core.evaluation.representations import IN_CONTEXT
from mediafm_core.pipeline.catalogue_training import TrainedModel
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.materialise import Outcome
from mediafm_core.pipeline.planning.asset_states import variant_of
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.candidates import is_validated, kept_point
from mediafm_core.pipeline.releases.model_comparison import ModelComparison, difference
from mediafm_core.pipeline.releases.stored_evaluation import (
    CatalogueEvaluation,
    MeasuredLabel,
    picture,
)
from mediafm_core.readable import as_markdown
from mediafm_core.report.pictures import (
    clip_sheet,
    contact_sheet,
    keyframe_sheet,
    scene_picture,
    similarity_picture,
)

_BYTES_PER_MEGABYTE = 1_000_000
_PICTURED_LABELS = 6  # an event holds its pictures


def describe(
    platform: Platform, outcome: Outcome, with_tables_and_pictures: bool = True
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metadata of an artefact.

    Args:
        platform: settings and store.
        outcome: the artefact with its record; without a record the metadata are empty.
        with_tables_and_pictures: also read the artefact for what is made of it.

    Returns:
        Plain values: those of the record's `details`, unchanged, with identity, seconds and memory.
        Other values: nested ones of `details` as JSON; tables and pictures of the artefact.
    """
    record = outcome.record
    if record is None:
        return {}, {}
    plain: dict[str, Any] = {
        name: value for name, value in record.details.items() if _is_plain(value)
    }
    if record.identity and record.identity not in plain.values():
        plain["identity"] = record.identity
    if record.measured:
        plain["seconds"] = record.measured.seconds
        plain["cpu_seconds"] = record.measured.cpu_seconds
        plain["peak_memory_mb"] = round(record.measured.peak_memory_bytes / _BYTES_PER_MEGABYTE)
        rows = record.details.get("rows")
        if rows and record.measured.seconds:
            plain["rows_per_second"] = round(rows / record.measured.seconds, 1)
    nested = {
        name: dg.MetadataValue.json(value)
        for name, value in record.details.items()
        if not _is_plain(value)
    }
    if with_tables_and_pictures:
        return plain, {**nested, **_tables_and_pictures(platform, outcome)}
    return plain, nested


def describe_model(platform: Platform, trained: TrainedModel) -> dict[str, Any]:
    """Return losses, loss curve, parameter groups and folder of a trained model as metadata."""
    from mediafm_core.model.training.loss_curve import loss_curve_png
    from mediafm_core.model.training.progress_events import CurvePoint

    training = trained.training
    curve = [CurvePoint(**point) for point in training["curve"]]
    kept = kept_point(training)
    validated = ("validation_loss", "validation_accuracy") if is_validated(training) else ()
    measured = {
        "seconds": trained.seconds,
        "shots_per_second": trained.shots_per_second,
    }
    return {
        "model": trained.identity,
        "training_loss": kept["training_loss"],
        "validation": training["validation"],
        "baselines": dg.MetadataValue.json(training["baselines"]),
        "loss_curve": image(loss_curve_png(curve, training["baselines"]), "png", "Loss by step"),
        "parameter_groups": dg.MetadataValue.table(
            [dg.TableRecord(group) for group in training["groups"]]
        ),
        **{name: kept[name] for name in validated if name in kept},
        **{name: round(value, 1) for name, value in measured.items() if value is not None},
        "folder": dg.MetadataValue.path(str(platform.store.models / trained.identity)),
    }


def describe_evaluation(platform: Platform, found: CatalogueEvaluation) -> dict[str, Any]:
    """Return table, plots and figures of an evaluation, or the reason why nothing was measured."""
    metadata: dict[str, Any] = {"models": ", ".join(found.models) or "none"}
    if found.why_not is not None:
        return {**metadata, "state": "not measurable", "reason": found.why_not}
    new = sum(each.is_new for each in found.measured)
    metadata |= {
        "state": "measured" if found.measured else "not measurable",
        "labels": len(found.measured),
        "labels_not_measurable": len(found.unmeasured),
        "computed_now": new,
        "titles": max((each.report.titles for each in found.measured), default=0),
        "clips": max((each.report.units for each in found.measured), default=0),
        "table": dg.MetadataValue.md(_evaluation_table(found)),
    }
    for each in found.measured:
        metadata |= {**_figures(each), **_verdict(each)}
    if found.measured:
        metadata["plots"] = _plots(platform, found.measured)
        metadata["files"] = dg.MetadataValue.text(
            ", ".join(f"{platform.store.location}/{each.key}" for each in found.measured)
        )
    return metadata


def describe_difference(platform: Platform, compared: ModelComparison) -> dict[str, Any]:
    """Return the figures of a candidate compared with the serving model."""
    metadata: dict[str, Any] = {
        "candidate": compared.candidate,
        "compared_with": compared.reference or "none",
    }
    for each in compared.measured:
        found = difference(each)
        name = f"{each.label} {found.metric}"
        figures = {"": found.value, " low": found.low, " high": found.high}
        metadata |= {f"{name}{end}": value for end, value in figures.items() if value is not None}
    if compared.measured:
        metadata["table"] = dg.MetadataValue.md(_tables(compared.measured))
        metadata["plots"] = _plots(platform, compared.measured)
    return metadata


def image(data: bytes, kind: str, title: str) -> dg.MarkdownMetadataValue:
    """Return a picture as a data URL in Markdown, so that it needs no file server."""
    return dg.MetadataValue.md(_embedded(data, kind, title))


def _embedded(data: bytes, kind: str, title: str) -> str:
    return f"![{as_markdown(title)}](data:image/{kind};base64,{base64.b64encode(data).decode()})"


def _evaluation_table(found: CatalogueEvaluation) -> str:
    parts = [_tables(found.measured)] if found.measured else []
    parts += [
        f"**{as_markdown(label)}** is not measurable: {as_markdown(reason)}"
        for label, reason in found.unmeasured
    ]
    return "\n\n".join(parts)


def _tables(measured: Sequence[MeasuredLabel]) -> str:
    from mediafm_core.evaluation.formatting import report_as_markdown

    return "\n\n".join(
        f"### {as_markdown(each.label)}\n\n{report_as_markdown(each.report)}" for each in measured
    )


def _figures(measured: MeasuredLabel) -> dict[str, float]:
    """Return the primary metric of each representation, for Dagster's plots over time."""
    report = measured.report
    metric = report.primary_metric
    rows = {
        f"{measured.label} {row.representation} {metric}": row.value
        for row in report.evaluation.results
        if row.metric == metric
    }
    rows |= {
        f"{measured.label} {IN_CONTEXT} minus {row.baseline} {metric}": row.value
        for row in report.evaluation.differences
        if row.metric == metric and row.representation == IN_CONTEXT
    }
    return {name: value for name, value in rows.items() if value is not None}


def _verdict(measured: MeasuredLabel) -> dict[str, str]:
    """Return a sentence on what context adds to what needs no training; none without such."""
    from mediafm_core.evaluation.verdict import verdict

    found = verdict(measured.report)
    return {} if found is None else {f"{measured.label} verdict": found.sentence}


def _plots(platform: Platform, measured: Sequence[MeasuredLabel]) -> dg.MarkdownMetadataValue:
    from mediafm_core.evaluation.saved_results import DIFFERENCES_FILE, RESULTS_FILE

    return dg.MetadataValue.md(
        "\n\n".join(
            _embedded(picture(platform.store, each, file), "png", f"{file} of {each.label}")
            for each in measured[:_PICTURED_LABELS]
            for file in (RESULTS_FILE, DIFFERENCES_FILE)
        )
    )


def _tables_and_pictures(platform: Platform, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    """Return tables and pictures made of an artefact, by the names of their metadata entries."""
    store, title_id = platform.store, outcome.title_id
    if outcome.asset == "shots":
        sheet = contact_sheet(store.batches("keyframes", title_id), store.read("shots", title_id))
        return {"contact_sheet": image(sheet, "jpeg", f"Shots of {title_id}")}
    if outcome.asset == "keyframes" and outcome.record is not None:
        rows = outcome.record.details["rows"]
        sheet = keyframe_sheet(store.batches("keyframes", title_id), rows)
        return {"contact_sheet": image(sheet, "jpeg", f"Keyframes of {title_id}")}
    if outcome.asset == "clip_features":
        clips = store.read(outcome.asset, title_id, variant_of(platform, SPECS[outcome.asset]))
        if not clips.num_rows:
            return {}
        sheet = clip_sheet(store.batches("keyframes", title_id), clips)
        return {
            "clips": clip_table(clips),
            "contact_sheet": image(sheet, "jpeg", f"Clips of {title_id}"),
        }
    if outcome.asset == "scenes" and outcome.record is not None:
        return _scene_pictures(platform, outcome.title_id, outcome.record.details["grains"])
    if outcome.asset == "contextual_embeddings":
        from mediafm_core.vectors import to_numpy

        variant = variant_of(platform, SPECS[outcome.asset])
        vectors = to_numpy(store.read(outcome.asset, title_id, variant)["embedding"])
        picture = similarity_picture(vectors)
        return {"shot_similarity": image(picture, "png", f"Shot similarity of {title_id}")}
    return {}


def _scene_pictures(
    platform: Platform, title_id: str, grains: Sequence[int]
) -> dict[str, dg.MetadataValue]:
    """Return a sheet of shots with scene starts marked, and a plot of their probabilities."""
    from mediafm_core.vectors import to_numpy

    store = platform.store
    shots = store.read("shots", title_id)
    scenes = store.read("scenes", title_id, variant_of(platform, SPECS["scenes"]))
    plot = scene_picture(to_numpy(scenes["probabilities"]), grains, shots)
    index = scenes["scene_index"].to_numpy()
    sheet = contact_sheet(store.batches("keyframes", title_id), shots, scene_index=index)
    return {
        "contact_sheet": image(sheet, "jpeg", f"Scenes of {title_id}"),
        "start_probability": image(plot, "png", f"Scene starts of {title_id}"),
    }


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
