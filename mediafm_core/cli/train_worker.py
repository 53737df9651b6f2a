"""One process of a data-parallel training, without Dagster.

    torchrun --nproc-per-node 2 -m mediafm_core.cli.train_worker --store STORE --inbox INBOX

trains a candidate on the fused vectors of a store with the current settings, as `mediafm train`
does; the processes share each step. The setting `training.processes` starts the same from `mediafm
train` and from Dagster. The first process prints progress, with `--json` as lines of JSON.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mediafm_core.cli.options import training_options
from mediafm_core.errors import MediaFMError

if TYPE_CHECKING:
    from mediafm_core.config.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print lines of JSON.")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="JSON file with all settings, instead of the current ones.",
)
@training_options
def main(settings: "Settings", as_json: bool, settings_file: Path | None) -> None:
    """Train a candidate on a store's fused vectors, together with torchrun's other processes."""
    try:
        _train(settings, as_json, settings_file)
    except MediaFMError as error:
        if as_json:
            document = {"event": "failed", "kind": type(error).__name__, "reason": str(error)}
            _print_line(json.dumps(document))
        else:
            click.echo(f"Error: {error}", err=True)
        sys.exit(1)


def _train(settings: "Settings", as_json: bool, settings_file: Path | None) -> None:
    from mediafm_core.model.training.distributed import process_group
    from mediafm_core.model.training.progress_events import to_json, training_observer
    from mediafm_core.pipeline.catalogue_training import train_model
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.runtime.device import resolve_device
    from mediafm_core.runtime.progress import progress_lines

    if settings_file is not None:
        settings = type(settings).model_validate_json(settings_file.read_text())
    with process_group(resolve_device(settings)) as world, progress_lines(click.echo) as lines:
        if settings.training.processes != world.size:
            training = settings.training.model_copy(update={"processes": world.size})
            settings = settings.model_copy(update={"training": training})
        observe = training_observer(lines.show, click.echo)
        if as_json:
            observe = lambda event: _print_line(to_json(event))  # noqa: E731
        trained = train_model(Platform(settings), observe, world)
        lines.finish()
        if not world.is_first:
            return
        if as_json:
            document = {
                "event": "finished",
                "identity": trained.identity,
                "seconds": trained.seconds,
                "shots_per_second": trained.shots_per_second,
            }
            _print_line(json.dumps(document))
        else:
            click.echo(f"{trained.identity} is a candidate: `mediafm release` releases it.")


def _print_line(line: str) -> None:
    """Print a line in one write, so that lines of several processes do not mix."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


if __name__ == "__main__":
    main()
