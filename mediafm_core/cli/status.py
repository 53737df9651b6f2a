"""`mediafm status`: a summary of the catalogue, or the assets of every title."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from mediafm_core.cli.options import catalogue_options, json_option
from mediafm_core.cli.output import print_json, print_table, say
from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from mediafm_core.pipeline.planning.asset_states import TitleState
    from mediafm_core.pipeline.planning.coverage import Coverage, RefreshProgress
    from mediafm_core.pipeline.platform import Platform

_SYMBOLS = {
    "present": "✓",
    "missing": "·",
    "stale": "~",
    "quarantined": "✗",
    "waiting": "…",
    "orphaned": "?",
}
# States that need attention, the most urgent first.
_PROBLEMS = ("quarantined", "orphaned", "waiting", "missing", "stale")
_MOST_IN_A_TABLE = 40  # titles; a larger catalogue is summarised
_PROBLEMS_LISTED = 20


@click.command()
@click.option("--titles", metavar="A,B", help="Only these titles.")
@click.option(
    "--all", "show_all", is_flag=True, help="List every title, also in a large catalogue."
)
@json_option
@catalogue_options
def status(settings: Settings, titles: str | None, show_all: bool, as_json: bool) -> None:
    """Show what is present, missing, stale or quarantined, and why.

    A catalogue of more than 40 titles is summarised, with its first problems. JSON has every title.
    """
    from mediafm_core.pipeline.planning.asset_states import CatalogueComparison
    from mediafm_core.pipeline.planning.coverage import coverage, refresh_progress
    from mediafm_core.pipeline.platform import Platform

    platform = Platform(settings)
    platform.store.require_existing()
    if titles:
        found = _named(platform, [name.strip() for name in titles.split(",")])
        print_json({"titles": [asdict(title) for title in found]}) if as_json else _print_titles(
            found
        )
        return
    comparison = CatalogueComparison(platform)
    states = list(comparison.states())
    refresh = refresh_progress(comparison, states)
    readers = _readers(platform)
    if as_json:
        print_json(
            {
                "titles": [asdict(title) for title in states],
                "coverage": [asdict(row) for row in coverage(comparison)],
                "refresh": asdict(refresh) if refresh else None,
                "readers": readers,
            }
        )
        return
    if all(title.state == "orphaned" for title in states):
        say(f"No title folder in {platform.inbox.location}.")
    if len(states) > _MOST_IN_A_TABLE and not show_all:
        _print_summary(states, coverage(comparison))
    elif states:
        _print_titles(states)
    _print_outlook(refresh, readers)


def _named(platform: "Platform", names: Sequence[str]) -> "list[TitleState]":
    """Return the states of a few titles, each read from its own files."""
    from mediafm_core.pipeline.planning.asset_states import VersionComparison

    comparison = VersionComparison(platform)
    folders = {folder.name: folder for folder in platform.inbox.scan()}
    found = []
    for name in dict.fromkeys(names):
        folder = folders.get(name)
        state = comparison.title_state(folder) if folder else comparison.orphan_state(name)
        if folder is None and "orphaned" not in state.assets.values():
            raise ConfigurationError(
                f"Neither the inbox nor the store has a title {name!r}: see `mediafm status --all`."
            )
        found.append(state)
    return found


def _readers(platform: "Platform") -> dict[str, Any] | None:
    """Return the published model and its number of titles; None before the first publication."""
    from mediafm_core.store.features import catalogue

    seen = catalogue(platform.store)
    return {"model": seen.model, "titles": len(seen.versions)} if seen else None


def _print_titles(titles: "Sequence[TitleState]") -> None:
    assets = [name.removesuffix("_embeddings").replace("_", "\n") for name in titles[0].assets]
    print_table(
        ["title", "state", *assets],
        (
            [title.title_id, title.state, *(_SYMBOLS[state] for state in title.assets.values())]
            for title in titles
        ),
    )
    say("  ".join(f"{symbol} {state}" for state, symbol in _SYMBOLS.items()))
    reasons = [title for title in titles if title.reason]
    if reasons:
        say()
    for title in reasons:
        say(f"{title.title_id}: {title.reason}")


def _print_summary(titles: "Sequence[TitleState]", covered: "Sequence[Coverage]") -> None:
    """Print counts by state and asset, their versions, and the first titles with problems."""
    counts: Counter[str] = Counter(title.state for title in titles)
    by_asset: dict[str, Counter[str]] = {
        asset: Counter(title.assets[asset] for title in titles) for asset in titles[0].assets
    }
    shown = [
        state
        for state in _SYMBOLS
        if state in counts or any(state in count for count in by_asset.values())
    ]
    print_table(
        ["", *shown],
        [
            [f"{len(titles)} titles", *(_number(counts[state]) for state in shown)],
            *(
                [asset, *(_number(count[state]) for state in shown)]
                for asset, count in by_asset.items()
            ),
        ],
    )
    print_table(
        ["asset", "computed by", "code", "titles", "wanted"],
        (
            [
                row.asset,
                row.identity or row.model,
                row.code_version,
                str(row.titles),
                "yes" if row.is_wanted else "no",
            ]
            for row in covered
            if row.identity or row.model or not row.is_wanted
        ),
    )
    problems = sorted(
        (title for title in titles if title.state in _PROBLEMS),
        key=lambda title: _PROBLEMS.index(title.state),
    )
    for title in islice(problems, _PROBLEMS_LISTED):
        say(f"{title.title_id}: {title.state}. {title.reason}")
    if len(problems) > _PROBLEMS_LISTED:
        rest = len(problems) - _PROBLEMS_LISTED
        say(f"... and {rest} more: `mediafm status --all` or `--json` lists them.")


def _print_outlook(refresh: "RefreshProgress | None", readers: dict[str, Any] | None) -> None:
    if refresh:
        say(f"{refresh}.")
    if readers:
        say(f"Readers see {readers['titles']} titles under {readers['model']}.")


def _number(count: int) -> str:
    return str(count) if count else ""
