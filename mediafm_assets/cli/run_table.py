"""Closing table of `mediafm run`: one row per title."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.planning.asset_states import TitleState
from mediafm_core.pipeline.platform import Platform
from mediafm_core.readable import printable
from mediafm_core.runtime.progress import clock

_COLOURS = {
    "present": "green",
    "quarantined": "red",
    "stale": "yellow",
    "missing": "yellow",
    "waiting": "dim",
}


def closing_table(
    states: Sequence[TitleState],
    platform: Platform,
    progress: Callable[[float], None] = lambda _share: None,
) -> Table:
    """Return a table with a row per title: its state, counts, length and CPU time.

    Args:
        states: of the titles.
        platform: settings and store.
        progress: called before each title with the share of titles that are done.
    """
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
    for index, state in enumerate(states):
        progress(index / len(states))
        shots = platform.store.record("shots", state.title_id)
        colour = _COLOURS[state.state]
        table.add_row(
            escape(printable(state.title_id)),
            f"[{colour}]{state.state}[/]",
            *_numbers(platform, state.title_id),
            clock(shots.details["duration_s"]) if shots else "",
            _cpu_seconds(platform, state.title_id),
        )
    return table


def print_reasons(states: Sequence[TitleState], console: Console) -> None:
    """Print the reason of each title that is not complete."""
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
    """Return the CPU seconds that the artefacts of a title took, whenever they were computed."""
    from mediafm_core.pipeline.planning.title_comparison import TitleComparison

    comparison = TitleComparison(platform, title_id)
    total = 0.0
    for asset in SPECS:
        if asset in ("keyframes", "soundtrack"):  # measured with the shots: one decode
            continue
        record = comparison.record(asset)
        if record and record.measured:
            total += record.measured.cpu_seconds
    return f"{total:.1f}" if total else ""
