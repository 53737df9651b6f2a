"""The commands of `mediafm` that need Dagster: run, train, release, rollback, ui."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mediafm_core.cli.options import catalogue_options, training_options
from mediafm_core.cli.output import say

if TYPE_CHECKING:
    import dagster as dg

    from mediafm_assets.cli.runner import CatalogueRunner
    from mediafm_core.config.settings import Settings
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.releases.model_comparison import Finding

_DIGITS_SHOWN = 8  # of a digest, in a command to type


def _recorded(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--reason` and `--by`, passed as `reason` and `released_by`."""
    reason = click.option("-m", "--reason", default="", help="Reason, recorded with the release.")
    by = click.option(
        "--by", "released_by", default="", help="Person who releases  [default: the login user]"
    )
    return reason(by(command))


@click.command()
@click.option("--titles", metavar="A,B", help="Only these titles.")
@click.option(
    "--retry", is_flag=True, help="Also retry quarantined titles whose folder is unchanged."
)
@click.option(
    "--force",
    is_flag=True,
    help="Recompute artefacts that are up to date; --titles limits it to some titles.",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Serve the trained model in this folder; without one, a first run trains a model.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 if a title is quarantined.")
@training_options
def run(
    settings: "Settings",
    titles: str | None,
    retry: bool,
    force: bool,
    model: Path | None,
    strict: bool,
) -> None:
    """Ingest the inbox: compute missing or stale artefacts of every title."""
    from rich.console import Console

    from mediafm_assets.cli.run_table import closing_table, print_reasons
    from mediafm_assets.resources.platform_resource import Options
    from mediafm_core.cli.progress_display import progress_display
    from mediafm_core.pipeline.catalogue_progress import CatalogueProgress, recorded_length_s
    from mediafm_core.pipeline.planning.title_selection import select_titles
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.publishing import publish_titles
    from mediafm_core.pipeline.work import prepare
    from mediafm_core.runtime.interruption import closing_with
    from mediafm_core.runtime.progress import WorkProgress, percent

    started = time.perf_counter()
    console = Console()
    settings = settings.model_copy(update={"serving_model": model or settings.serving_model})
    platform = Platform(settings)
    platform.store.files.require_writable()
    names = [name.strip() for name in titles.split(",")] if titles else None
    failures: dict[str, str] = {}
    with progress_display() as display:
        adopted = prepare(platform, lambda what: display.show(WorkProgress(what)))
        if adopted is not None and adopted.is_new:
            display.write(adopted.sentence)
        display.show(WorkProgress("comparing the store with the inbox"))
        selection = select_titles(platform, names, retry, force)
        progress = CatalogueProgress(
            selection.work,
            display.show,
            lambda title_id: recorded_length_s(platform, title_id),
            trains=platform.serving_model is None,
        )
        if selection.work:
            display.keep()
            progress.doing("starting Dagster")
            platform.progress, platform.training_progress = progress.report, progress.training

            def how_far() -> str:
                complete, work = progress.complete, len(selection.work)
                if complete == work:
                    return f"all {work} titles are complete: the same command publishes them"
                return (
                    f"{complete} of {work} titles are complete and {work - complete} are left: the "
                    "same command goes on with them"
                )

            with closing_with(how_far), _runner(platform) as runner:
                failures = runner.run(selection.work, Options(force=force)).failures
            progress.doing("comparing the store with the inbox")
        states = selection.after(platform)
        present = [state.title_id for state in states if state.state == "present"]
        progress.doing("publishing")
        publication = publish_titles(platform, present) if present else None
        table = closing_table(
            states, platform, lambda share: progress.doing(f"reading records {percent(share)}")
        )
        progress.doing("done")
    console.print(table)
    print_reasons(states, console)
    if publication and publication.outcome == "held back":
        console.print(f"Readers keep the old model: {publication}.")
        console.print(f"Waiting for: {', '.join(publication.waiting)}.", soft_wrap=True)
    seconds = time.perf_counter() - started
    if not selection.work:
        console.print(f"Nothing to do ({seconds:.1f} s).")
    else:
        console.print(f"{len(selection.work)} titles worked on in {seconds:.1f} s.")
    # A run whose titles were all quarantined fails in Dagster; the table shows that already.
    if any(state.state in ("missing", "stale") for state in states):
        for run_id, failure in failures.items():
            say(f"Dagster run {run_id} failed: {failure}", err=True)
        sys.exit(1)
    if strict and any(state.state == "quarantined" for state in states):
        sys.exit(3)


@click.command()
@click.option("--release/--no-release", default=False, help="Release the model once it is trained.")
@_recorded
@training_options
def train(settings: "Settings", release: bool, reason: str, released_by: str) -> None:
    """Train MediaFM on every title of the store.

    The model is a candidate until it is released.
    """
    from mediafm_core.cli.progress_display import progress_display
    from mediafm_core.model.training.progress_events import training_observer
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.releases.candidates import Candidate
    from mediafm_core.pipeline.releases.model_comparison import (
        compare_by_labels,
        compare_by_validation_loss,
        reference_of,
    )
    from mediafm_core.pipeline.releases.release import refuse_overruled
    from mediafm_core.pipeline.work import prepare
    from mediafm_core.runtime.progress import WorkProgress

    platform = Platform(settings)
    platform.store.require_existing()
    platform.store.files.require_writable()
    if release:
        refuse_overruled(platform)
    before = platform.serving_model
    with progress_display() as display:

        def write(line: str) -> None:
            display.keep()  # a training has started
            display.write(line)

        prepare(platform, lambda what: display.show(WorkProgress(what)))
        display.show(WorkProgress("starting Dagster"))
        platform.training_progress = training_observer(display.show, write)
        with _runner(platform) as runner:
            report = runner.train(release, reason, released_by)
    for run_id, failure in report.failures.items():
        say(f"Dagster run {run_id} failed: {failure}", err=True)
    if report.failures or report.model is None:
        sys.exit(1)
    if report.trained_before:
        say("An earlier training with these settings on these titles made this model.")
    candidate = Candidate(platform.store.models / report.model)
    say(f"{candidate.identity}: {candidate.record.evidence}.")
    if platform.serving_model != candidate.identity:
        reference = reference_of(platform, candidate)
        with progress_display() as display:
            compared = compare_by_labels(platform, candidate, reference, progress=display.show)
        for finding in (compared.finding, compare_by_validation_loss(candidate, reference)):
            if finding.passed is False:
                say(finding.line)
        digest = candidate.identity.rpartition("@")[2][:_DIGITS_SHOWN]
        say(f"A candidate: `mediafm release {digest}` releases it, `mediafm models` compares.")
    elif before != candidate.identity:
        say("Released: `mediafm run` refreshes the catalogue with it.")
    else:
        say("It is the serving model already.")


@click.command()
@click.argument("version")
@click.option(
    "--compare/--no-compare",
    default=True,
    help="Compare it with the serving model, by labels of clips and by validation loss.",
)
@_recorded
@catalogue_options
def release(
    settings: "Settings", version: str, compare: bool, reason: str, released_by: str
) -> None:
    """Release the trained model VERSION.

    VERSION is its identity, or the first digits of its digest. It is validated first: its files are
    intact and contain no pickle, and it was trained on vectors of the catalogue's encoders. A
    comparison with the serving model is printed and prevents no release. Readers see the model once
    `mediafm run` has computed every title with it.
    """
    from mediafm_assets.assets.model_assets import report_serving_model
    from mediafm_core.cli.progress_display import progress_display
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.releases.candidates import resolve
    from mediafm_core.pipeline.releases.model_comparison import compare_before_release
    from mediafm_core.pipeline.releases.release import release

    platform = Platform(settings)
    platform.store.require_existing()
    platform.store.files.require_writable()
    candidate = resolve(platform.store, version)
    findings: list[Finding] = []
    if compare:
        with progress_display(sys.stderr) as display:
            findings = compare_before_release(platform, candidate, display.write, display.show)
    for finding in findings:
        say(finding.line)
    with _instance(platform) as instance:
        released = release(platform, candidate, reason=reason, released_by=released_by)
        if released.is_new:
            say(f"{released.release.model} is released: {released.release.reason}.")
        else:  # perhaps by a command that was killed before it recorded an event
            say(f"{released.release.model} is the serving model already.")
        report_serving_model(instance, released.history)
    _show_to_readers(platform)


@click.command()
@_recorded
@catalogue_options
def rollback(settings: "Settings", reason: str, released_by: str) -> None:
    """Roll back to the release before the serving one.

    A second rollback goes to the release before that. The features of the restored model are still
    in the store, so readers see it at once, unless titles were added or have changed since: then
    `mediafm run` computes their features first.
    """
    from mediafm_assets.assets.model_assets import report_serving_model
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.releases.release import rollback

    platform = Platform(settings)
    platform.store.require_existing()
    platform.store.files.require_writable()
    with _instance(platform) as instance:
        released = rollback(platform, reason=reason, released_by=released_by)
        made = released.release
        say(f"Rolled back from {made.previous} to {made.model}.")
        report_serving_model(instance, released.history)
    _show_to_readers(platform)


def _show_to_readers(platform: "Platform") -> None:
    from mediafm_core.pipeline.publishing import publish_at_once
    from mediafm_core.store.features import catalogue

    publication = publish_at_once(platform)
    seen = catalogue(platform.store)
    if publication is not None:
        say(f"Readers see it now ({publication}).")
    elif seen is not None and seen.model == platform.serving_model:
        say("Readers see it; `mediafm run` publishes what has changed.")
    else:
        say("Readers see it once the daemon or `mediafm run` has computed every title with it.")


@click.command()
@click.option("--port", default=3000, show_default=True, help="Port to listen on.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address or name to listen on."
)
@training_options
def ui(settings: "Settings", port: int, host: str) -> None:
    """Start Dagster's UI and daemon on this catalogue.

    Its sensors ingest titles that arrive in the inbox. If the settings switch the sensors off, the
    titles of the inbox are registered as partitions, to be materialised by hand.

    Pages of other sites cannot use it. Beyond this machine (--host 0.0.0.0) it requires a token,
    which the printed address contains; the setting ui.token sets one.
    """
    from mediafm_assets.partitions import offer_models, register_titles
    from mediafm_assets.resources.instance import HOME_VARIABLE, dagster_home
    from mediafm_assets.ui.ui_process import serve
    from mediafm_assets.ui.ui_server import TOKEN_VARIABLE, address, token_for
    from mediafm_core.pipeline.platform import Platform

    platform = Platform(settings)
    with _instance(platform) as instance:  # created here, since Dagster's processes take no lock
        offer_models(instance, platform.store)
        if not settings.sensors.running:
            usable = [folder.name for folder in platform.inbox.scan() if folder.has_usable_name]
            register_titles(instance, usable)
    environment = {
        **os.environ,
        HOME_VARIABLE: str(dagster_home(platform.store)),
        "MEDIAFM_INBOX": platform.inbox.location,
        "MEDIAFM_STORE": platform.store.location,
    }
    if settings.preset is not None:  # of the option: the other sources are inherited
        environment["MEDIAFM_PRESET"] = settings.preset
    environment.pop(TOKEN_VARIABLE, None)  # runs inherit the environment and need no token
    token = token_for(settings.ui, host)
    say(f"Open {address(settings.ui, host, port, token)}")
    sys.exit(serve(host, port, environment, token))


@contextmanager
def _instance(platform: "Platform") -> Iterator["dg.DagsterInstance"]:
    from mediafm_assets.resources.instance import open_instance

    with open_instance(platform.store) as instance:
        yield instance


@contextmanager
def _runner(platform: "Platform") -> Iterator["CatalogueRunner"]:
    from mediafm_assets.cli.runner import CatalogueRunner

    with _instance(platform) as instance:
        yield CatalogueRunner(platform, instance)
