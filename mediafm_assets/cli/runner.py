"""Dagster runs over a catalogue in this process, in chunks of titles."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg

from mediafm_assets.alerts.run_failures import step_failure
from mediafm_assets.assets.inbox_asset import report_inbox
from mediafm_assets.assets.model_assets import report_serving_model, training_config
from mediafm_assets.assets.observations import versions_to_record
from mediafm_assets.dagster_internals import DATA_VERSION_TAG, DagsterEvent, create_run, execute
from mediafm_assets.definitions import definitions
from mediafm_assets.jobs.title_jobs import EMBED_TITLE, INGEST_TITLE, REFRESH_CATALOGUE, TRAIN_MODEL
from mediafm_assets.partitions import TITLES, range_tags, register_titles
from mediafm_assets.resources.launcher import IN_PROCESS, end_dead_runs, note_worker
from mediafm_assets.resources.platform_resource import Options, options_config
from mediafm_assets.sensors.run_requests import chunks
from mediafm_core.errors import MediaFMError
from mediafm_core.pipeline.catalogue_training import fused_titles
from mediafm_core.pipeline.graph import FROM_MODEL, SPECS, UP_TO_FUSION
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.serving import release_history
from mediafm_core.runtime.interruption import Interrupt, raise_if_interrupted

NO_OPTIONS = Options()
# Events go to the instance; the terminal shows a progress bar and, at the end, a table.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class RunReport:
    """The Dagster runs of one call.

    Attributes:
        run_ids: of all runs.
        failures: reason of each failed run, by its id.
        model: identity of the model that was trained, if one was.
        trained_before: True if an earlier training with the same request had made it.
    """

    run_ids: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    trained_before: bool = False


class CatalogueRunner:
    """Runner of the project's jobs.

    Args:
        platform: settings, store and networks; shared by all runs, so that each network is loaded
            once for all chunks of titles.
        instance: where runs and events are recorded.
    """

    def __init__(self, platform: Platform, instance: dg.DagsterInstance) -> None:
        self._platform = platform
        self._instance = instance
        self._defs = definitions({"platform": dg.ResourceDefinition.hardcoded_resource(platform)})
        self.report = RunReport()

    def run(self, title_ids: Sequence[str], options: Options = NO_OPTIONS) -> RunReport:
        """Materialise the missing or stale artefacts of titles.

        Without a serving model, titles are computed up to their fused vectors, a first model is
        trained on the catalogue and released, and then they are completed. An error of the machine
        or of the settings ends all of it: no first model is trained on a part of the catalogue.

        Args:
            title_ids: the titles.
            options: of every run over titles.
        """
        self._platform.begin_run()
        end_dead_runs(self._instance)
        for observation in versions_to_record(self._instance, self._platform):
            self._instance.report_runless_asset_event(observation)
        register_titles(self._instance, title_ids)
        if self._platform.serving_model is not None:
            self._run_titles(INGEST_TITLE, title_ids, tuple(SPECS), options)
        else:
            self._run_titles(EMBED_TITLE, title_ids, UP_TO_FUSION, options)
            if not self._platform.stopped_by and fused_titles(self._platform):
                self.train(release=True, reason="first model of the catalogue")
            if self._platform.serving_model is not None:
                accepted = self._accepted(title_ids)
                self._run_titles(REFRESH_CATALOGUE, accepted, FROM_MODEL, options)
        report_inbox(self._instance, self._platform)
        report_serving_model(self._instance, release_history(self._platform.store))
        return self.report

    def train(self, release: bool = False, reason: str = "", released_by: str = "") -> RunReport:
        """Train a model on the catalogue, and release it if `release`; else it is a candidate."""
        events = self._execute(TRAIN_MODEL, {}, training_config(release, reason, released_by))
        for event in events:
            if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
                made = event.step_materialization_data.materialization
                self.report.model = (made.tags or {}).get(DATA_VERSION_TAG)
                self.report.trained_before = "seconds" not in made.metadata
        report_serving_model(self._instance, release_history(self._platform.store))
        return self.report

    def _accepted(self, title_ids: Sequence[str]) -> list[str]:
        quarantine, failed = Quarantine(self._platform.store), self._platform.failed
        return [
            title_id
            for title_id in title_ids
            if title_id not in failed and quarantine.get(title_id) is None
        ]

    def _run_titles(
        self, job: str, title_ids: Sequence[str], assets: Sequence[str], options: Options
    ) -> None:
        registered = self._instance.get_dynamic_partitions(TITLES)
        run = self._platform.settings.run
        size = run.refresh_titles_per_run if assets == FROM_MODEL else run.titles_per_run
        for titles in chunks(registered, set(title_ids), size):
            # A release during a run takes effect in the next run.
            with self._platform.one_model():
                self._execute(job, range_tags(titles), options_config(options), assets)
            if self._platform.stopped_by:  # the next titles would fail with the same error
                return

    def _execute(
        self,
        job: str,
        tags: dict[str, str],
        config: dict | None = None,
        assets: Sequence[str] | None = None,
    ) -> list[DagsterEvent]:
        """Run a job in this process, with the same executor as runs of the daemon.

        Raises:
            Interrupt: the run was interrupted, and is marked as cancelled.
        """
        definition = self._defs.resolve_job_def(job)
        run = create_run(
            self._instance,
            definition,
            tags=tags,
            run_config={**_QUIET, **(config or {})},
            assets=[dg.AssetKey(name) for name in assets] if assets else None,
        )
        self.report.run_ids.append(run.run_id)
        note_worker(self._instance, run, IN_PROCESS)
        events = execute(self._instance, definition, run)
        raise_if_interrupted()
        ended = self._instance.get_run_by_id(run.run_id)
        if ended is None or ended.status == dg.DagsterRunStatus.CANCELED:
            raise Interrupt  # by a person in the UI
        if ended.status != dg.DagsterRunStatus.SUCCESS:
            self.report.failures[run.run_id] = _first_failure(run.run_id, events)
        return events


def _first_failure(run_id: str, events: Sequence[DagsterEvent]) -> str:
    for event in events:
        if (reason := step_failure(event)) is not None:
            return reason
    raise MediaFMError(f"Dagster run {run_id} failed before any step; see its log.")
