"""What `mediafm run` shows: a progress bar while it works, and a closing table."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table

from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.platform import Progress as ProgressCallback
from mediafm_core.pipeline.states import TitleState
from mediafm_core.readable import printable

if TYPE_CHECKING:
    from mediafm_core.model.progress import Event, Observer

_COLOURS = {
    "present": "green",
    "quarantined": "red",
    "stale": "yellow",
    "missing": "yellow",
    "waiting": "dim",
}


@contextmanager
def progress_bar(titles: int, console: Console) -> Iterator[ProgressCallback]:
    """A bar over all assets of all titles; yields what the platform reports to."""
    with Progress(
        TextColumn("{task.fields[doing]:<52}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as bar:
        task = bar.add_task("", total=titles * len(SPECS), doing="starting")
        done: set[tuple[str, str]] = set()

        def report(title_id: str, asset: str, share: float) -> None:
            if asset in SPECS and share >= 1.0:
                done.add((title_id, asset))
            doing = f"{title_id} {asset} {share:.0%}" if share < 1.0 else f"{title_id} {asset}"
            bar.update(task, completed=len(done), doing=doing.strip()[:52])

        yield report
        bar.update(task, doing="done")


@contextmanager
def training_bar(console: Console) -> Iterator["Observer"]:
    """A bar over the steps of a training; yields what the platform reports to.

    It goes if no training starts: because there is a model already, or something is wrong.
    """
    from mediafm_core.model.progress import Started

    with Progress(
        BarColumn(bar_width=10),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[doing]}"),
        console=console,
    ) as bar:
        task = bar.add_task("", total=None, doing="reading the catalogue")

        def observe(event: "Event") -> None:
            if isinstance(event, Started):
                for line in event.lines():
                    console.print(line, highlight=False, soft_wrap=True)
                bar.update(task, total=event.steps, completed=event.step, doing="first step")
                return
            known = event.validation_loss is not None
            validation = f", validation {event.validation_loss:.4f}" if known else ""
            doing = (
                f"loss {event.training_loss:.4f}{validation}, {event.shots_per_second:,.0f} "
                f"shots/s, {_clock(event.seconds_left)} left"
            )
            bar.update(task, completed=event.step, doing=doing)

        yield observe
        bar.update(task, visible=bar.tasks[task].total is not None)


def closing_table(states: Sequence[TitleState], platform: Platform, console: Console) -> None:
    """One row per title: its state, what it holds, and why it is not complete."""
    table = Table(
        Column("title", overflow="fold"),
        "state",
        "shots",
        "with text",
        "clips",
        "length",
        "CPU s",
        box=None,
    )
    for state in states:
        shots = platform.store.record("shots", state.title_id)
        colour = _COLOURS[state.state]
        table.add_row(
            escape(printable(state.title_id)),
            f"[{colour}]{state.state}[/]",
            *_numbers(platform, state.title_id),
            _clock(shots.details["duration_s"]) if shots else "",
            _cpu_seconds(platform, state.title_id),
        )
    console.print(table)
    for state in states:
        if state.reason:
            title_id, reason = (escape(printable(text)) for text in (state.title_id, state.reason))
            console.print(
                f"[{_COLOURS[state.state]}]{title_id}[/]: {reason}",
                highlight=False,
                soft_wrap=True,
            )


def _numbers(platform: Platform, title_id: str) -> list[str]:
    store, model = platform.store, platform.serving_model
    shots = store.record("shots", title_id)
    text = store.record("text_embeddings", title_id)
    clips = store.record("clip_features", title_id, model) if model else None
    return [
        str(shots.details["rows"]) if shots else "",
        str(text.details["present"]) if text else "",
        str(clips.details["rows"]) if clips else "",
    ]


def _cpu_seconds(platform: Platform, title_id: str) -> str:
    """CPU seconds that the artefacts of a title took, whenever they were computed."""
    from mediafm_core.pipeline.states import recorded

    total = 0.0
    for asset in SPECS:
        if asset in ("keyframes", "soundtrack"):  # measured with the shots: one decode
            continue
        record = recorded(platform, asset, title_id)
        if record and record.measured:
            total += record.measured.cpu_seconds
    return f"{total:.1f}" if total else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
