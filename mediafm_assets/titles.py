"""How an asset of titles runs: title by title, each with its own events.

Dagster's own way of recording a run over many partitions gives every partition the same event
whether or not it came out well. Here each title gets its own: a materialisation with its data
version, numbers and pictures, or, when it is quarantined, an observation with the reason. A title
that fails therefore never stops or colours another.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from mediafm_assets.metadata import describe
from mediafm_assets.tags import DATA_VERSION
from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.pipeline.checks import CHECKS
from mediafm_core.pipeline.materialise import Outcome, materialise
from mediafm_core.pipeline.platform import Platform

# Storing an event takes Dagster about 8 ms in SQLite, and a picture half a second to draw. In a run
# over more titles than this, checks that pass are told once for all, progress now and then, and
# pictures are left out: materialising one of the titles draws them, and computes nothing.
MANY = 50
TELL_EVERY_S = 5.0
_SHOWN = ("rows", "dimension", "reused", "duration_s")

ACCEPTED = "title_is_accepted"
HELD_BACK = "A title that fails is held back: nothing is built on it."
ACCEPTED_DESCRIPTION = "The title is not quarantined at this asset; if it is, the reason."

# Dagster leaves out its own events for an output that carries this key; ours are exact.
_OWN_EVENTS = {"__source_asset_observation__": True}

Events = Iterator[dg.MaterializeResult | dg.AssetCheckResult]


def check_specs(asset: str, partitions: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """The checks of an asset as Dagster lists them."""
    checks = {check.__name__: (check.__doc__ or "") for check in CHECKS.get(asset, ())}
    return [
        dg.AssetCheckSpec(name, asset=asset, description=text, partitions_def=partitions)
        for name, text in {
            ACCEPTED: ACCEPTED_DESCRIPTION,
            **{name: f"{text} {HELD_BACK}" for name, text in checks.items()},
        }.items()
    ]


def materialise_titles(
    context: dg.AssetExecutionContext,
    platform: Platform,
    assets: Sequence[str],
    force: bool = False,
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
    for title_id in title_ids:
        try:
            found = materialise(platform, tuple(assets), title_id, force)
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
        for outcome in found:
            _record(context, platform, outcome, titles=len(title_ids))
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
        yield from _overall_checks(asset, [each for each in outcomes if each.asset == asset])


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
                self._tell(f"{each.title_id}: {each.asset} {each.explanation} {shown}".rstrip())
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


def _record(
    context: dg.AssetExecutionContext, platform: Platform, outcome: Outcome, titles: int
) -> None:
    title_id, asset = outcome.title_id, outcome.asset
    in_detail = titles <= MANY
    if outcome.record is None:
        context.log.warning(f"{title_id} is quarantined: {outcome.reason}")
        context.log_event(
            dg.AssetObservation(
                asset_key=asset,
                partition=title_id,
                description=outcome.reason,
                metadata={"state": "quarantined", "reason": outcome.reason},
            )
        )
    else:
        numbers, pictures = describe(platform, outcome, in_pictures=in_detail)
        context.log_event(
            dg.AssetMaterialization(
                asset_key=asset,
                partition=title_id,
                metadata={"state": outcome.explanation, **numbers, **pictures},
                tags={DATA_VERSION: outcome.record.data_version},
            )
        )
    # For a single title Dagster adds the partition itself, unless the step fails.
    if outcome.record is None or (titles > 1 and (in_detail or title_id in platform.lifted)):
        for result in _title_checks(outcome):
            context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey(asset),
                    check_name=result.check_name or "",
                    passed=result.passed,
                    metadata=result.metadata,
                    severity=result.severity,
                    partition=title_id,
                )
            )


def _title_checks(outcome: Outcome) -> list[dg.AssetCheckResult]:
    """Check results of one title, by the names that `check_specs` declares."""
    return [
        dg.AssetCheckResult(
            asset_key=outcome.asset,
            check_name=ACCEPTED,
            passed=outcome.status != "quarantined",
            metadata={"reason": outcome.reason} if outcome.reason else {},
        ),
        *(
            dg.AssetCheckResult(
                asset_key=outcome.asset,
                check_name=result.name,
                passed=result.passed,
                metadata={"seen": result.detail},
            )
            for result in outcome.checks
        ),
    ]


def _overall_checks(asset: str, outcomes: Sequence[Outcome]) -> Iterator[dg.AssetCheckResult]:
    """One result per check for the whole run, with the titles that did not pass."""
    details: dict[str, dict[str, str]] = {
        ACCEPTED: {},
        **{check.__name__: {} for check in CHECKS.get(asset, ())},
    }
    failed: dict[str, dict[str, str]] = {name: {} for name in details}
    for outcome in outcomes:
        if outcome.reason:
            failed[ACCEPTED][outcome.title_id] = outcome.reason
        for result in outcome.checks:
            place = details if result.passed else failed
            place[result.name][outcome.title_id] = result.detail
    for name, passed in details.items():
        yield dg.AssetCheckResult(
            asset_key=asset,
            check_name=name,
            passed=not failed[name],
            metadata={**failed[name], **(passed if len(outcomes) == 1 else {})},
        )
