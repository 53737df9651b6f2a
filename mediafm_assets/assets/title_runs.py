"""Materialisation of assets title by title, so that one that fails does not affect the others."""

from collections.abc import Iterator, Sequence

import dagster as dg

from mediafm_assets.assets.title_events import TitleEvents, overall_checks
from mediafm_assets.assets.title_progress import title_progress
from mediafm_assets.dagster_internals import WITHOUT_EVENTS
from mediafm_core.errors import (
    ConfigurationError,
    IdentityMismatchError,
    MachineError,
    MediaFMError,
)
from mediafm_core.pipeline.graph import SPECS, depends_on
from mediafm_core.pipeline.materialise import Outcome, materialise
from mediafm_core.pipeline.platform import FailedTitle, Platform
from mediafm_core.readable import one_line
from mediafm_core.runtime.interruption import closing_with

Events = Iterator[dg.MaterializeResult | dg.AssetCheckResult]


def materialise_titles(
    context: dg.AssetExecutionContext,
    platform: Platform,
    assets: Sequence[str],
    force: bool = False,
) -> Events:
    """Materialise assets that one computation yields, for every title of the run.

    A title that fails for another reason than its input is skipped by later steps, and the run goes
    on with the others; the last step of the run fails and names such titles.

    Raises:
        dagster.Failure: every title of the run is quarantined or has failed; or titles have failed
            and no later step of the run depends on this one; or the machine or the settings are at
            fault, and the remaining titles are not tried.
    """
    title_ids = list(context.partition_keys)
    outcomes: list[Outcome] = []
    platform.stopped_by = ""

    def how_far() -> str:
        done, named = len(outcomes) // len(assets), ", ".join(assets)
        return (
            f"{named} of {done} of {len(title_ids)} titles are done; the next run over these "
            "titles goes on with the others"
        )

    with (
        title_progress(context.log.info, platform, assets[0], title_ids) as progress,
        TitleEvents(context, platform, len(title_ids)) as events,
    ):
        for index, title_id in enumerate(title_ids):
            failed = platform.failed.get(title_id)
            if failed and depends_on(assets, failed.assets):
                continue
            try:
                with closing_with(how_far):
                    found = materialise(platform, tuple(assets), title_id, force)
            except (ConfigurationError, IdentityMismatchError, MachineError) as error:
                left = len(title_ids) - index - 1
                waiting = f" Titles that wait: {left}." if left else ""
                platform.stopped_by = f"{error}{waiting}"
                may_pass = isinstance(error, MachineError)
                raise dg.Failure(platform.stopped_by, allow_retries=may_pass) from error
            except MediaFMError as error:
                context.log.error(str(error))
                platform.failed[title_id] = FailedTitle(tuple(assets), str(error))
                continue
            if failed and set(failed.assets) & set(assets):  # the step is tried again
                del platform.failed[title_id]
            events.add(found)
            outcomes += found
            progress.add(found)
    failures = {
        title_id: failed.reason
        for title_id, failed in platform.failed.items()
        if title_id in title_ids
        and (set(failed.assets) & set(assets) or depends_on(assets, failed.assets))
    }
    if failures and (not outcomes or _is_last(context, assets)):
        named = one_line(" ".join(failures.values()))
        raise dg.Failure(named, metadata=dict(failures), allow_retries=False)
    quarantined = [outcome for outcome in outcomes if outcome.status == "quarantined"]
    if len(quarantined) == len(outcomes):
        raise dg.Failure(
            quarantined[0].reason if len(title_ids) == 1 else "Every title is quarantined.",
            metadata={outcome.title_id: outcome.reason for outcome in quarantined},
            allow_retries=False,
        )
    for asset in assets:
        # `TitleEvents` has recorded an event for each title.
        yield dg.MaterializeResult(asset_key=asset, metadata=WITHOUT_EVENTS)
        yield from overall_checks(asset, [each for each in outcomes if each.asset == asset])


def _is_last(context: dg.AssetExecutionContext, assets: Sequence[str]) -> bool:
    """Return True if no other step of the run depends on these assets."""
    selected = context.run.asset_selection or context.job_def.asset_layer.selected_asset_keys
    names = {key.to_user_string() for key in selected} & SPECS.keys()
    return not depends_on(names, assets)
