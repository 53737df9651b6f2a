"""Events of titles: materialisations, quarantines and check results, one partition each.

For a run over many partitions Dagster itself records the same event for every partition, whether it
has succeeded or not. Here each title gets its own, and events of several titles are stored
together: in SQLite an event takes about 1 ms that way instead of 10.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType

import dagster as dg

from mediafm_assets.assets.metadata import describe
from mediafm_assets.assets.quarantined_runs import record_failed_run
from mediafm_assets.assets.table_metadata import FileMetadata
from mediafm_assets.dagster_internals import DATA_VERSION_TAG, stored_together, target_of_check
from mediafm_core.pipeline.checks import CHECKS
from mediafm_core.pipeline.materialise import Outcome
from mediafm_core.pipeline.platform import Platform
from mediafm_core.readable import inert

# A picture takes half a second to draw, and an event holds its pictures. A run over more titles
# leaves them out; materialising one of the titles draws them and computes nothing.
MANY = 50
# Events are collected for so long, or up to this number, and then stored together: long enough to
# be cheap, short enough that the UI is up to date and other processes do not wait long to write.
_LONGEST_WAIT_S = 1.0
_MOST_WAITING = 50

ACCEPTED = "title_is_accepted"
_ON_FAILURE = "A title that fails is quarantined: nothing is computed from it."
_ACCEPTED_DESCRIPTION = "The title is not quarantined at this asset; otherwise the reason."


def check_specs(asset: str, partitions: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """Return the checks of an asset as Dagster lists them."""
    checks = {check.__name__: (check.__doc__ or "") for check in CHECKS.get(asset, ())}
    return [
        dg.AssetCheckSpec(name, asset=asset, description=text, partitions_def=partitions)
        for name, text in {
            ACCEPTED: _ACCEPTED_DESCRIPTION,
            **{name: f"{text} {_ON_FAILURE}" for name, text in checks.items()},
        }.items()
    ]


class TitleEvents:
    """Recorder of the outcomes of a step's titles.

    A context manager: waiting events are stored at its end, also when the step fails or is
    interrupted.

    Args:
        context: of the step.
        platform: settings and store.
        titles: number of titles that the step works on.
    """

    def __init__(self, context: dg.AssetExecutionContext, platform: Platform, titles: int) -> None:
        self._context = context
        self._platform = platform
        self._titles = titles
        self._files = FileMetadata(platform)
        self._waiting: list[tuple[Outcome, dg.AssetMaterialization | dg.AssetObservation]] = []
        self._stored_at = time.monotonic()

    def __enter__(self) -> "TitleEvents":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.store()

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Record outcomes now, or later together with those of the next titles."""
        self._waiting += [(outcome, self._event(outcome)) for outcome in outcomes]
        waited_s = time.monotonic() - self._stored_at
        if waited_s >= _LONGEST_WAIT_S or len(self._waiting) >= _MOST_WAITING:
            self.store()

    def store(self) -> None:
        """Store the waiting events; they go on waiting if that fails or is interrupted."""
        waiting = self._waiting
        outcomes = [outcome for outcome, _ in waiting]
        with stored_together(self._context.instance):
            for outcome, event in waiting:
                if outcome.record is None:
                    reason = f"{outcome.title_id} is quarantined: {outcome.reason}"
                    self._context.log.warning(reason)
                self._context.log_event(event)
            for asset in dict.fromkeys(outcome.asset for outcome in outcomes):
                self._store_checks(asset, [each for each in outcomes if each.asset == asset])
        self._waiting = []
        # A run over a single title fails by itself.
        for outcome in outcomes if self._titles > 1 else ():
            if outcome.record is None:
                record_failed_run(self._context, outcome.title_id, outcome.reason)
        self._stored_at = time.monotonic()

    def _event(self, outcome: Outcome) -> dg.AssetMaterialization | dg.AssetObservation:
        if outcome.record is None:
            return dg.AssetObservation(
                asset_key=outcome.asset,
                partition=outcome.title_id,
                description=inert(outcome.reason),
                metadata={"state": "quarantined", "reason": outcome.reason},
            )
        plain, others = describe(
            self._platform, outcome, with_tables_and_pictures=self._titles <= MANY
        )
        return dg.AssetMaterialization(
            asset_key=outcome.asset,
            partition=outcome.title_id,
            metadata={
                "state": outcome.explanation,
                **others,
                **plain,
                **self._files.of(outcome),
            },
            tags={DATA_VERSION_TAG: outcome.record.data_version},
        )

    def _store_checks(self, asset: str, outcomes: Sequence[Outcome]) -> None:
        """Store the check results of titles, each on the title's latest materialisation."""
        targets = self._latest_materialisations(asset, outcomes)
        for outcome in outcomes:
            target = targets.get(outcome.title_id)
            for result in _title_checks(outcome):
                self._context.log_event(
                    dg.AssetCheckEvaluation(
                        asset_key=dg.AssetKey(asset),
                        check_name=result.check_name or "",
                        passed=result.passed,
                        metadata=result.metadata,
                        severity=result.severity,
                        partition=outcome.title_id,
                        target_materialization_data=target and target_of_check(target),
                    )
                )

    def _latest_materialisations(
        self, asset: str, outcomes: Sequence[Outcome]
    ) -> Mapping[str, dg.EventLogRecord]:
        # The newest events are those of the titles that have just been stored. A quarantined title
        # was materialised at some time before, or never, and is looked up by itself.
        made = [each.title_id for each in outcomes if each.record]
        groups = [made, *([each.title_id] for each in outcomes if each.record is None)]
        return {
            record.partition_key or "": record
            for titles in groups
            if titles
            for record in self._context.instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=titles),
                limit=len(titles),
            ).records
        }


def overall_checks(asset: str, outcomes: Sequence[Outcome]) -> Iterator[dg.AssetCheckResult]:
    """Yield one result per check for the whole run, with the titles that have failed it."""
    details: dict[str, dict[str, str]] = {
        ACCEPTED: {},
        **{check.__name__: {} for check in CHECKS.get(asset, ())},
    }
    failed: dict[str, dict[str, str]] = {name: {} for name in details}
    for outcome in outcomes:
        if outcome.reason:
            failed[ACCEPTED][outcome.title_id] = outcome.reason
        else:
            details[ACCEPTED][outcome.title_id] = "accepted"
        for result in outcome.checks:
            place = details if result.passed else failed
            place[result.name][outcome.title_id] = result.detail
    for name, passed in details.items():
        yield dg.AssetCheckResult(
            asset_key=asset,
            check_name=name,
            passed=not failed[name],
            metadata=(
                {"detail": next(iter({**passed, **failed[name]}.values()), "")}
                if len(outcomes) == 1
                else {"titles_passed": len(passed), **failed[name]}
            ),
        )


def _title_checks(outcome: Outcome) -> list[dg.AssetCheckResult]:
    """Return the check results of one title, by the names that `check_specs` declares."""
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
                metadata={"detail": result.detail},
            )
            for result in outcome.checks
        ),
    ]
