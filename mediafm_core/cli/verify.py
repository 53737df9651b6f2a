"""`mediafm verify`: verify the digests of stored files, and repair damage."""

import contextlib
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mediafm_core.cli.options import catalogue_options, json_option
from mediafm_core.cli.output import print_json, say
from mediafm_core.config.settings import Settings

if TYPE_CHECKING:
    from mediafm_core.pipeline.integrity.repair import Repaired
    from mediafm_core.pipeline.integrity.verification import DamagedFile, Verification
    from mediafm_core.pipeline.platform import Platform


@click.command()
@click.option("--repair", is_flag=True, help="Remove damaged derived files, and recompute them.")
@click.option("--titles", metavar="A,B", help="Verify only the artefacts of these titles.")
@json_option
@catalogue_options
def verify(settings: Settings, repair: bool, titles: str | None, as_json: bool) -> None:
    """Read every file of the store and verify its digest.

    Each damaged file is a line. The exit code is 1 if any file is damaged, or with --repair if any
    cannot be repaired.
    """
    from mediafm_core.cli.progress_display import progress_display
    from mediafm_core.pipeline.integrity.verification import verify as verify_store
    from mediafm_core.pipeline.platform import Platform

    platform = Platform(settings)
    platform.store.require_existing()
    names = [name.strip() for name in titles.split(",")] if titles else None
    if repair:
        platform.store.files.require_writable()
    with progress_display(sys.stderr) as display:
        found = verify_store(platform, names, progress=display.show)
    for damage in found.damaged:
        say(f"{damage}.", err=as_json)
    left: list[str] | None = None
    repaired = None
    if repair and (found.damaged or found.unsealed):
        repaired, left = _repair(platform, found, as_json)
    if as_json:
        print_json(_document(found, repaired, left))
    else:
        _print_summary(found, repaired, left)
    if found.damaged if left is None else left:
        sys.exit(1)


def _repair(
    platform: "Platform", found: "Verification", as_json: bool
) -> tuple["Repaired", list[str]]:
    """Repair the damage; returns the repairs, and a sentence for each file that is left."""
    from mediafm_core.pipeline.integrity.repair import repair
    from mediafm_core.pipeline.integrity.verification import verify_again

    repaired = repair(platform, found)
    # With --json, standard output is for the document and other lines go to standard error.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        left = [*repaired.left, *_recompute(platform, repaired)]
    for damage in verify_again(platform, {damage.file for damage in found.damaged}):
        if not any(line.startswith(str(damage)) for line in left):  # with its remedy
            left.append(f"{damage}.")
    return repaired, left


def _recompute(platform: "Platform", repaired: "Repaired") -> list[str]:
    """Recompute titles and features, as `mediafm run` does; returns a sentence for each failure."""
    from mediafm_core.pipeline.integrity.repair import publish_repaired

    context = click.get_current_context()
    group = context.find_root().command
    run = group.get_command(context, "run") if isinstance(group, click.Group) else None
    failed = []
    if repaired.titles and run is None:
        return [f"{', '.join(sorted(repaired.titles))}: `mediafm run` recomputes them."]
    if repaired.titles and run is not None:
        try:
            context.invoke(
                run,
                titles=",".join(sorted(repaired.titles)),
                inbox=platform.inbox.location,
                store=platform.store.location,
            )
        except SystemExit as ended:
            if ended.code:
                failed.append(
                    "some titles are not complete (see above): `mediafm run` resumes them."
                )
    publish_repaired(platform, repaired)
    return failed


def _document(
    found: "Verification", repaired: "Repaired | None", left: list[str] | None
) -> dict[str, Any]:
    def entry(damage: "DamagedFile") -> dict[str, str]:
        return {"file": damage.file.key, "place": damage.place, "reason": damage.reason}

    return {
        "files": found.files,
        "bytes": found.bytes,
        "damaged": [entry(damage) for damage in found.damaged],
        "without_digest": len(found.unsealed),
        "repaired": None
        if repaired is None
        else {
            **asdict(repaired),
            "titles": sorted(repaired.titles),
            "indexes": sorted(repaired.indexes),
            "left": left or [],
        },
    }


def _print_summary(
    found: "Verification", repaired: "Repaired | None", left: list[str] | None
) -> None:
    say(f"{found}.")
    if repaired is None:
        if found.damaged:
            say("`mediafm verify --repair` recomputes what can be recomputed.")
        elif found.unsealed:
            say("Files without a digest could be decoded: `mediafm verify --repair` adds digests.")
        return
    done = [f"{len(repaired.removed):,} removed and recomputed"] if repaired.removed else []
    done += [f"{len(repaired.corrected):,} corrected"] if repaired.corrected else []
    done += [f"{len(repaired.sealed):,} given a digest"] if repaired.sealed else []
    if done:
        say(f"Repaired: {', '.join(done)}.")
    for line in left or ():
        say(line)
