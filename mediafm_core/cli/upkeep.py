"""`mediafm retire` and `mediafm clean`: removal of titles and of unused features."""

from dataclasses import asdict

import click

from mediafm_core.cli.options import catalogue_options, json_option
from mediafm_core.cli.output import print_json, say
from mediafm_core.config.settings import Settings


@click.command()
@click.argument("titles", nargs=-1, required=True, metavar="TITLE...")
@json_option
@catalogue_options
def retire(settings: Settings, titles: tuple[str, ...], as_json: bool) -> None:
    """Remove titles whose folders have left the inbox, with all their artefacts.

    Readers no longer see them from then on. The command is idempotent.
    """
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.retirement import retire as retire_titles

    platform = Platform(settings)
    platform.store.require_existing()
    retired = retire_titles(platform, titles)
    print_json(asdict(retired)) if as_json else say(f"{', '.join(titles)}: {retired}.")


@click.command()
@json_option
@catalogue_options
def clean(settings: Settings, as_json: bool) -> None:
    """Garbage-collect features of earlier models, and merge small files of features.

    Features of the published model, of the one before it and of later releases are kept, and so are
    all trained models. Files that a client may have open are kept for `publishing.grace_s` seconds.
    """
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.releases.garbage_collection import clean_up

    platform = Platform(settings)
    platform.store.require_existing()
    cleaned = clean_up(platform)
    print_json(asdict(cleaned)) if as_json else say(f"{cleaned}.")
