"""The sensors of a small catalogue, evaluated as the daemon does, on a real instance."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import dagster as dg
from dagster_catalogue import GOOD, DagsterCatalogue

from mediafm_assets.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from mediafm_assets.partitions import TITLES
from mediafm_assets.resources.platform_resource import watching_platform
from mediafm_core.config.settings import Settings, load_settings


@dataclass
class Sensing:
    """A catalogue, its Dagster instance and its settings, with which sensors are evaluated."""

    catalogue: DagsterCatalogue
    instance: dg.DagsterInstance

    def settings(self, **changes: object) -> Settings:
        """Return the settings of the environment with changes."""
        return load_settings(**changes)

    def tick(self, sensor: dg.SensorDefinition, cursor: str | None = None) -> "Tick":
        """Evaluate a sensor and do what the daemon does with the result, but launch no run."""
        context = dg.build_sensor_context(instance=self.instance, cursor=cursor)
        data = sensor.evaluate_tick(context)
        for request in data.dynamic_partitions_requests or ():
            partitions = request.partitions_def_name
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions(partitions, list(request.partition_keys))
            else:
                for name in request.partition_keys:
                    self.instance.delete_dynamic_partition(partitions, name)
        for event in data.asset_events or ():
            self.instance.report_runless_asset_event(event)
        return Tick(list(data.run_requests or ()), data.skip_message or "", data.cursor)

    def titles_of(self, request: dg.RunRequest) -> list[str]:
        """Return the partitions that a requested run covers."""
        registered = list(self.instance.get_dynamic_partitions(TITLES))
        first, last = (
            registered.index(request.tags[tag])
            for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
        )
        return registered[first : last + 1]

    def create(
        self,
        request: dg.RunRequest,
        sensor: str,
        status: dg.DagsterRunStatus = dg.DagsterRunStatus.NOT_STARTED,
    ) -> dg.DagsterRun:
        """Create the requested run, as if it were queued or had ended."""
        from mediafm_assets.definitions import defs

        job = defs.resolve_job_def(str(request.job_name))
        return self.instance.create_run_for_job(
            job,
            tags={**request.tags, "dagster/sensor_name": sensor},
            status=status,
            asset_selection=frozenset(request.asset_selection or ()) or None,
        )

    def deliver(self, title_id: str, complete: bool = True) -> Path:
        """Put a new title into the inbox: a copy of a good one."""
        source, folder = self.catalogue.inbox / GOOD[0], self.catalogue.inbox / title_id
        shutil.copytree(source, folder)
        manifest = (folder / "title.json").read_text().replace(GOOD[0], title_id)
        (folder / "title.json").write_text(manifest)
        if not complete:
            (folder / "title.json").unlink()
        return folder


@dataclass(frozen=True)
class Tick:
    """Result of a tick."""

    requests: Sequence[dg.RunRequest]
    skipped: str
    cursor: str | None


@contextmanager
def sensing(catalogue: DagsterCatalogue) -> Iterator[Sensing]:
    """Evaluate sensors of a catalogue; the environment names it as for a code server."""
    names: Mapping[str, str] = {
        "MEDIAFM_INBOX": str(catalogue.inbox),
        "MEDIAFM_STORE": str(catalogue.store),
        "MEDIAFM_CLIPS__PROPOSED_S": "5.0",  # as the titles were ingested
    }
    watching_platform.cache_clear()
    with mock.patch.dict(os.environ, names), catalogue.instance() as instance:
        yield Sensing(catalogue, instance)
    watching_platform.cache_clear()
