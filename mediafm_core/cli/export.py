"""`mediafm export`: a training set of labels and clip features."""

import sys
import time
from typing import Any

import click

from mediafm_core.cli.options import VECTOR_CHOICES, catalogue_options, json_option
from mediafm_core.cli.output import print_json, say
from mediafm_core.config.settings import Settings
from mediafm_core.runtime.interruption import closing_with


@click.command()
@click.argument("out")
@click.option(
    "--labels",
    metavar="FILE",
    help="Parquet or CSV: title_id and clip_id, or title_id, start_s and end_s, then labels  "
    "[default: the labels of clips.csv]",
)
@click.option(
    "--label", "columns", multiple=True, help="Label to export; may be repeated  [default: all]"
)
@click.option("--where", metavar="SQL", help="Only rows that match a condition: language = 'en'.")
@click.option("--split", metavar="SHARES", help="Splits with whole titles: train=0.8,test=0.2.")
@click.option("--seed", default=0, show_default=True, help="Seed of the splits.")
@click.option(
    "--vectors",
    type=click.Choice(VECTOR_CHOICES),
    help="In context, fused without context, or both  [default: context]",
)
@click.option("--fused", is_flag=True, help="Short for --vectors both.")
@click.option("--float16", is_flag=True, help="Store vectors as float16, half the size.")
@click.option("--skip-unknown", is_flag=True, help="Skip labels of unknown clips and titles.")
@click.option("--replace", is_flag=True, help="Replace an existing set.")
@json_option
@catalogue_options
def export(
    settings: Settings,
    out: str,
    columns: tuple[str, ...],
    split: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write labels and the vectors of their clips to OUT, as a training set in Parquet.

    OUT is a file (.parquet) or a folder; in S3, a file. Clips without labels are left out. Read it
    with mediafm_core.TrainingSet, or with anything that reads Parquet.
    """
    from mediafm_core.cli.progress_display import progress_display
    from mediafm_core.runtime.progress import WorkProgress, rate, time_left
    from mediafm_core.training_sets.exporting import export
    from mediafm_core.training_sets.splits import parse_shares

    with (
        closing_with(lambda: f"{out} is unchanged; run the same command again"),
        progress_display(sys.stderr) as display,
    ):
        started = time.monotonic()
        display.show(WorkProgress("choosing examples"))

        def progress(done: int, total: int) -> None:
            share, seconds = done / total, time.monotonic() - started
            speed, left = rate(done, seconds, "vectors"), time_left(share, seconds)
            display.show(
                WorkProgress("reading vectors", share, done, total, "vectors", speed, left)
            )

        exported = export(
            out,
            columns=columns or None,
            split=parse_shares(split) if split is not None else None,
            store=settings.require_store(),
            progress=progress,
            **options,
        )
    record = exported.record
    if as_json:
        print_json(
            {
                "place": exported.place,
                "files": exported.files,
                "splits": exported.splits,
                **record.model_dump(mode="json"),
            }
        )
        return
    wide = " and ".join(str(width) for width in exported.widths.values())
    say(
        f"{record.rows} rows of {record.titles} titles in {exported.place}, {wide} wide "
        f"({record.model})"
    )
    say("labels: " + ", ".join(f"{name} ({kind})" for name, kind in record.labels.items()))
    if exported.splits:
        say("splits: " + ", ".join(f"{name} {n}" for name, n in exported.splits.items()))
    if record.left_out:
        say(f"left out, of unknown clips or titles: {record.left_out}")
