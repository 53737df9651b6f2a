"""`mediafm status`: every title's assets at a glance."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mediafm_core.cli.options import catalogue_options, json_option
from mediafm_core.cli.output import print_json, print_table
from mediafm_core.config import Settings

if TYPE_CHECKING:
    from mediafm_core.pipeline.states import TitleState

_SYMBOLS = {"present": "✓", "missing": "·", "stale": "~", "quarantined": "✗", "waiting": "…"}


@click.command()
@json_option
@catalogue_options
def status(settings: Settings, as_json: bool) -> None:
    """Show, per title and asset, what is present, missing, stale or quarantined, and why."""
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.states import catalogue_states

    titles = list(catalogue_states(Platform(settings)))
    if as_json:
        print_json({"titles": [asdict(title) for title in titles]})
    elif titles:
        _print_states(titles)
    else:
        click.echo(f"No title folder in {settings.require_inbox()}.")


def _print_states(titles: "Sequence[TitleState]") -> None:
    assets = [name.removesuffix("_embeddings").replace("_", "\n") for name in titles[0].assets]
    print_table(
        ["title", "state", *assets],
        (
            [title.title_id, title.state, *(_SYMBOLS[state] for state in title.assets.values())]
            for title in titles
        ),
    )
    click.echo("  ".join(f"{symbol} {state}" for state, symbol in _SYMBOLS.items()))
    reasons = [title for title in titles if title.reason]
    if reasons:
        click.echo()
    for title in reasons:
        click.echo(f"{title.title_id}: {title.reason}")
