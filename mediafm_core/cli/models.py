"""`mediafm models`: trained models of the store with their evidence, and the serving one."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from mediafm_core.cli.options import catalogue_options, json_option
from mediafm_core.cli.output import print_json, print_table, say, say_lines
from mediafm_core.config.settings import Settings

if TYPE_CHECKING:
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.releases.candidates import Candidate, DamagedCandidate
    from mediafm_core.pipeline.serving import Release


@click.command()
@click.argument("version", required=False)
@click.option("--releases", is_flag=True, help="The history of releases: date, person, reason.")
@json_option
@catalogue_options
def models(settings: Settings, version: str | None, releases: bool, as_json: bool) -> None:
    """List the trained models, the newest first, or print the model card of VERSION.

    VERSION is a model's identity or the first digits of its digest. The losses are cosine
    distances; a model that predicts no better than the best baseline has learnt nothing.
    """
    from mediafm_core.model.model_files import read_card
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.releases.candidates import list_candidates, resolve
    from mediafm_core.pipeline.serving import release_history

    platform = Platform(settings)
    platform.store.require_existing()
    history = release_history(platform.store)
    if version is not None:
        card = read_card(resolve(platform.store, version).folder)
        print_json({"model_card": card}) if as_json else say_lines(card)
    elif releases:
        print_json(_history(history)) if as_json else _print_history(history)
    else:
        rows = [_row(platform, each, history) for each in list_candidates(platform.store)]
        print_json({"models": rows}) if as_json else _print_models(platform, rows, history)


def _row(
    platform: "Platform", found: "Candidate | DamagedCandidate", history: "list[Release]"
) -> dict[str, Any]:
    from mediafm_core.errors import MediaFMError
    from mediafm_core.pipeline.releases.candidates import DamagedCandidate
    from mediafm_core.pipeline.releases.release import mismatch_of

    row: dict[str, Any] = {
        "model": found.identity,
        "created_at": None,
        "state": _state(found.identity, history),
        "fits": None,
        "reason": None,
    }
    if isinstance(found, DamagedCandidate):
        damage = {"created_at": found.created_at, "reason": found.reason}
        return {**row, **damage, "state": "damaged", "fits": False}
    try:
        row["reason"] = mismatch_of(platform, found)
        row["fits"] = row["reason"] is None
    except MediaFMError as error:  # an encoder that is not installed here, say
        row["reason"] = str(error)
    record = found.record
    name, loss = record.best_baseline or (None, None)
    return {
        **row,
        "created_at": record.created_at,
        "titles": record.titles,
        "shots": record.shots,
        "steps": record.steps,
        "validation_loss": record.validation_loss,
        "validation": record.validation,
        "best_baseline": name,
        "best_baseline_loss": loss,
    }


def _state(identity: str, history: "list[Release]") -> str:
    from mediafm_core.pipeline.serving import restored_by_rollback

    before = restored_by_rollback(history)
    if history and identity == history[-1].model:
        return "serving"
    if before is not None and identity == history[before].model:
        return "previous"
    return "candidate"


def _print_models(
    platform: "Platform", rows: list[dict[str, Any]], history: "list[Release]"
) -> None:
    if not rows:
        say(f"No model in {platform.store.models}: `mediafm run` or `mediafm train`.")
        return
    header = ["model", "trained", "titles", "shots", "steps", "loss", "best baseline", "validated"]
    print_table(
        [*header, "state", "fits"],
        (
            [
                row["model"],
                _minute(row["created_at"]),
                *(str(row.get(name, "")) for name in ("titles", "shots", "steps")),
                _loss(row),
                _baseline(row),
                row.get("validation", ""),
                row["state"],
                {True: "yes", False: "no", None: "?"}[row["fits"]],
            ]
            for row in rows
        ),
    )
    for reason in dict.fromkeys(row["reason"] for row in rows if row["reason"]):
        say(reason)
    if history:
        say(_sentence(history[-1]))


def _loss(row: dict[str, Any]) -> str:
    loss = row.get("validation_loss")
    return "" if loss is None else f"{loss:.4f}"


def _baseline(row: dict[str, Any]) -> str:
    if row.get("best_baseline_loss") is None:
        return ""
    return f"{row['best_baseline_loss']:.4f} ({row['best_baseline'].replace('_', ' ')})"


def _sentence(release: "Release") -> str:
    by = f" by {release.released_by}" if release.released_by else ""
    reason = f": {release.reason}" if release.reason else ""
    return f"{release.model} serves since {_minute(release.released_at)} UTC{by}{reason}"


def _history(history: "list[Release]") -> dict[str, Any]:
    return {"releases": [release.model_dump() for release in reversed(history)]}


def _print_history(history: "list[Release]") -> None:
    if not history:
        say("No model has been released.")
        return
    print_table(
        ["released", "model", "by", "reason", "restores"],
        (
            [
                _minute(release.released_at),
                release.model,
                release.released_by,
                release.reason,
                "" if release.restores is None else _minute(history[release.restores].released_at),
            ]
            for release in reversed(history)
        ),
    )


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
