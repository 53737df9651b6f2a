"""Run an asset of titles, title by title: one that fails neither stops nor colours another."""

from collections.abc import Iterator, Sequence

import dagster as dg

from mediafm_assets.title_events import TitleEvents, overall_checks
from mediafm_assets.title_progress import title_progress
from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.pipeline.materialise import Outcome, materialise
from mediafm_core.pipeline.platform import Platform
from mediafm_core.runtime.interruption import closing_with

# Dagster leaves out its own events for an output that carries this key; ours are exact.
_OWN_EVENTS = {"__source_asset_observation__": True}

Events = Iterator[dg.MaterializeResult | dg.AssetCheckResult]


def materialise_titles(
    context: dg.AssetExecutionContext, platform: Platform, assets: Sequence[str]
) -> Events:
    """Materialise assets that one computation yields, for every title of the run.

    Raises:
        dagster.Failure: every title of the run is quarantined, so that nothing is left to do.
            Or something went wrong though no title's input is at fault, such as a full disk; then
            the other titles of the run have been worked on.
    """
    title_ids = list(context.partition_keys)
    outcomes: list[Outcome] = []
    errors: dict[str, Exception] = {}

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
        for title_id in title_ids:
            try:
                with closing_with(how_far):
                    found = materialise(platform, tuple(assets), title_id)
            except ConfigurationError as error:
                raise dg.Failure(str(error), allow_retries=False) from error
            except (
                MediaFMError,
                OSError,
                MemoryError,
            ) as error:  # raised below, once the others had their turn
                context.log.error(f"{title_id}: {error}")
                errors[title_id] = error
                continue
            events.add(found)
            outcomes += found
            progress.add(found)
    if errors:
        named = "; ".join(f"{title_id}: {error}" for title_id, error in errors.items())
        raise dg.Failure(named) from next(iter(errors.values()))
    quarantined = [outcome for outcome in outcomes if outcome.status == "quarantined"]
    if len(quarantined) == len(outcomes):
        raise dg.Failure(
            quarantined[0].reason if len(title_ids) == 1 else "Every title is quarantined.",
            metadata={outcome.title_id: outcome.reason for outcome in quarantined},
            allow_retries=False,
        )
    for asset in assets:
        yield dg.MaterializeResult(asset_key=asset, metadata=_OWN_EVENTS)
        yield from overall_checks(asset, [each for each in outcomes if each.asset == asset])
