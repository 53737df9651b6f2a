"""`mediafm evaluate`: metrics of linear probes on the user's own labels."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from mediafm_core.cli.options import json_option, training_options
from mediafm_core.cli.output import print_json, print_table, say
from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.evaluation.evaluation_task import ProbeTitles, Task
from mediafm_core.runtime.interruption import closing_with

if TYPE_CHECKING:
    from mediafm_core.evaluation.evaluation_sources import EvaluationSource
    from mediafm_core.evaluation.label_list import LabelCount
    from mediafm_core.evaluation.results import Report

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option(
    "--data",
    type=_FILE,
    help="Parquet or CSV with title, shot_index, vectors and labels; without it, the catalogue's "
    "labelled clips.",
)
@click.option("--vectors", metavar="A,B", help="With --data, its columns of vectors.")
@click.option(
    "--label",
    metavar="A,B",
    help="Label to predict; several are one multilabel task. Without it, the labels are listed.",
)
@click.option(
    "--task", type=click.Choice(get_args(Task)), help="Type of task  [default: from the labels]"
)
@click.option(
    "--labels",
    "labels_file",
    type=_FILE,
    help="Parquet or CSV with labels of the catalogue's clips or spans, instead of clips.csv.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="VERSION",
    help="Model of the catalogue to measure; repeat it to compare models  [default: the published "
    "model]",
)
@click.option("--representations", metavar="A,B", help="To be compared  [default: all that apply]")
@click.option(
    "--ablations", is_flag=True, help="Also without each modality, with other windows, ..."
)
@click.option(
    "--folds", type=click.IntRange(min=2), help="Folds of the cross-validation over titles."
)
@click.option(
    "--split",
    metavar="COLUMN",
    help="With --data, its column with train, validation or test for each title, instead of folds.",
)
@click.option(
    "--probe-titles",
    type=click.Choice(get_args(ProbeTitles)),
    help="With --data, titles that probes are trained on: those of pretraining, or others.",
)
@click.option(
    "--budgets",
    metavar="N,N,all",
    help="Numbers of labelled titles to train probes on, such as 2,5,10,20,50,all.",
)
@click.option("--seeds", type=click.IntRange(min=1), help="Number of seeds, averaged.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="First seed."
)
@click.option("--bootstrap", type=click.IntRange(min=1), help="Bootstrap samples of titles.")
@click.option("--steps", type=click.IntRange(min=1), help="Training steps per fold.")
@click.option(
    "--out", type=_FOLDER, help="Folder for evaluation.json, tables of figures and scores, plots."
)
@click.option("--work", type=_FOLDER, help="Folder that keeps the folds' networks for reuse.")
@json_option
@training_options
@click.pass_context
def evaluate(
    ctx: click.Context,
    settings: Settings,
    data: Path | None,
    vectors: str | None,
    label: str | None,
    task: Task | None,
    labels_file: Path | None,
    models: tuple[str, ...],
    representations: str | None,
    ablations: bool,
    folds: int | None,
    split: str | None,
    probe_titles: ProbeTitles | None,
    budgets: str | None,
    seeds: int | None,
    seed: int,
    bootstrap: int | None,
    steps: int | None,
    out: Path | None,
    work: Path | None,
    as_json: bool,
) -> None:
    """Compare representations by linear probes on held-out titles.

    Titles are kept whole in folds. For a table (--data), MediaFM is trained for each fold on the
    other titles, without labels; the catalogue's clips are measured with its existing models. Every
    metric has a 95 % interval over titles and seeds, and so have its differences from `flat`, the
    vectors without context, from `alone`, the unit computed without its title, from `inputs` and
    `untrained`, and from the strongest of what needs no training. The last line says by how much
    context adds to that, or that it does not.
    """
    from mediafm_core.cli.progress_display import progress_display
    from mediafm_core.evaluation.label_budgets import parse_budgets
    from mediafm_core.evaluation.measurement import evaluate as measure
    from mediafm_core.evaluation.saved_results import as_document, require_writable, write_report

    source = _source(data, _names(vectors), labels_file, models, label, split)
    if label is None:
        _print_labels(source.labels(settings), as_json)
        say("Name one of these labels with --label.", err=True)
        ctx.exit(2)
    if out is not None:
        require_writable(out)
    if steps is not None:
        training = settings.training.model_copy(update={"steps": steps})
        settings = settings.model_copy(update={"training": training})
    kept = (
        f"networks trained so far are kept in {work}" if work else "without --work nothing is kept"
    )
    with (
        closing_with(lambda: f"{kept}; the same command resumes"),
        progress_display(sys.stderr) as display,
    ):
        report = measure(
            settings,
            source,
            _names(label),
            task=task,
            representations=_names(representations) if representations is not None else None,
            with_ablations=ablations,
            folds=folds,
            seeds=range(seed, seed + (seeds or settings.evaluation.seeds)),
            probe_titles=probe_titles,
            budgets=None if budgets is None else parse_budgets(budgets),
            bootstrap=bootstrap,
            work=work,
            log=display.write,
            progress=display.show,
        )
    if out is not None:
        write_report(report, out)
    if as_json:
        print_json(as_document(report))
    else:
        _print(report)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _source(
    data: Path | None,
    vectors: list[str],
    labels_file: Path | None,
    models: tuple[str, ...],
    label: str | None,
    split: str | None,
) -> "EvaluationSource":
    from mediafm_core.evaluation.evaluation_sources import Catalogue, Table

    if data is None:
        if vectors:
            raise ConfigurationError("--vectors names columns of a table: name it with --data.")
        if split is not None:
            raise ConfigurationError("--split names a column of a table: name it with --data.")
        return Catalogue(models, labels_file)
    if not vectors and label is not None:
        raise ConfigurationError(f"No columns of vectors are named for {data}: use --vectors.")
    if models or labels_file:
        raise ConfigurationError("--model and --labels are for the catalogue: leave out --data.")
    return Table(data, tuple(vectors), split)


def _print_labels(labels: "list[LabelCount]", as_json: bool) -> None:
    if as_json:
        print_json({"labels": [each._asdict() for each in labels]})
        return
    rows = ([each.label, f"{each.units:,}", f"{each.titles:,}"] for each in labels)
    print_table(["label", "labelled", "titles"], rows)


def _print(report: "Report") -> None:
    from mediafm_core.evaluation import formatting

    for table in formatting.all_tables(report):
        print_table(*table)
    for sentence in formatting.closing_sentences(report):
        say(sentence)
