"""How an asset of titles runs: title by title, each with its own events.

Dagster's own way of recording a run over many partitions gives every partition the same event
whether or not it came out well. Here each title gets its own: a materialisation with its data
version, numbers and pictures, or, when it is quarantined, an observation with the reason. A title
that fails therefore never stops or colours another.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from mediafm_assets.metadata import describe
from mediafm_assets.tags import DATA_VERSION
from mediafm_assets.title_progress import MANY, title_progress
from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.pipeline.checks import CHECKS
from mediafm_core.pipeline.materialise import Outcome, materialise
from mediafm_core.pipeline.platform import Platform
from mediafm_core.runtime.interruption import closing_with

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

    with title_progress(context.log.info, platform, assets[0], title_ids) as progress:
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
            for outcome in found:
                _record(context, platform, outcome, titles=len(title_ids))
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
        yield from _overall_checks(asset, [each for each in outcomes if each.asset == asset])


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
                metadata={**numbers, **pictures},
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
