"""Run an asset of titles, title by title: one that fails neither stops nor colours another."""

import time
from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from mediafm_assets.title_events import MANY, TitleEvents, overall_checks
from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.pipeline.materialise import Outcome, materialise
from mediafm_core.pipeline.platform import Platform
from mediafm_core.runtime.interruption import closing_with

TELL_EVERY_S = 5.0
_SHOWN = ("rows", "dimension", "reused", "duration_s")

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
    tally = Tally(context.log.info, len(title_ids))

    def how_far() -> str:
        done, named = len(outcomes) // len(assets), ", ".join(assets)
        return (
            f"{named} of {done} of {len(title_ids)} titles are done; the next run over these "
            "titles goes on with the others"
        )

    with TitleEvents(context, platform, len(title_ids)) as events:
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
            tally.add(found)
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


class Tally:
    """Says now and then how far a run over many titles has come, and how fast.

    Args:
        tell: writes a line to the run's log.
        titles: how many there are; few are told one by one.
    """

    def __init__(self, tell: Callable[[str], None], titles: int) -> None:
        self._tell = tell
        self._titles = titles
        self._done = 0
        self._started = self._told = time.monotonic()

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """A title is done."""
        self._done += 1
        if self._titles <= MANY:
            for each in outcomes:
                details = each.record.details if each.record else {}
                shown = ", ".join(f"{name} {details[name]}" for name in _SHOWN if name in details)
                self._tell(f"{each.title_id}: {each.asset} {each.status} {shown}".rstrip())
            return
        now = time.monotonic()
        if now - self._told < TELL_EVERY_S and self._done < self._titles:
            return
        self._told = now
        rate = self._done / max(now - self._started, 1e-9)
        left = (self._titles - self._done) / rate
        names = ", ".join(each.asset for each in outcomes)
        self._tell(
            f"{names}: {self._done} of {self._titles} titles, {rate:.1f} a second, "
            f"{left:.0f} s left"
        )
