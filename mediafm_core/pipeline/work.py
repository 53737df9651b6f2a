"""Work on one title, and the preparation of a run.

`Work` is what a stage computes with: it reads inputs, writes artefacts and reports progress.
"""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mediafm_core.errors import ChangedTitleError, TitleError
from mediafm_core.isolation.child_process import ChildUsage
from mediafm_core.isolation.readers import TitleReader
from mediafm_core.pipeline.catalogue_training import adopt_model
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.planning.title_comparison import TitleComparison, WantedVersion
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.release import Released, release
from mediafm_core.runtime.error_causes import Cause, fault_of
from mediafm_core.store.records import ArtefactRecord, ResourceUsage
from mediafm_core.store.store import Store
from mediafm_core.titles.title_file import TitleFile

if TYPE_CHECKING:
    from mediafm_core.media.probe import MediaProbe

MOST_SHARE = 0.999  # of an asset that is not written yet
_RESET_PEAK = "5"  # proc(5): resets the peak resident set size of the process


class Stopwatch:
    """Wall clock, CPU time and peak memory of the process since the stopwatch was made.

    CPU time and peak memory of child processes are included where `add` reports them.
    """

    def __init__(self) -> None:
        with suppress(OSError):  # not on Linux: the peak is then that of the whole process
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
        self._wall = time.perf_counter()
        self._cpu = time.process_time()
        self._children_cpu_s = 0.0
        self._children_bytes = 0

    def add(self, used: ChildUsage) -> None:
        """Add the time and memory of a child process that ran beside this process."""
        self._children_cpu_s += used.cpu_s
        self._children_bytes = max(self._children_bytes, used.peak_bytes)

    def read(self, parts: dict[str, float] | None = None) -> ResourceUsage:
        """Return the time and memory used until now."""
        return ResourceUsage(
            seconds=round(time.perf_counter() - self._wall, 3),
            cpu_seconds=round(time.process_time() - self._cpu + self._children_cpu_s, 3),
            peak_memory_bytes=_peak_memory_bytes() + self._children_bytes,
            finished_at=datetime.now(UTC).replace(microsecond=0),
            parts={name: round(value, 3) for name, value in (parts or {}).items()},
        )


def prepare(
    platform: Platform, progress: Callable[[str], None] = lambda _what: None
) -> Released | None:
    """Clean up after killed runs, check the encoders, release the model that the settings name.

    It comes before the work, so that a missing weight or key is reported at once.

    Args:
        platform: settings, store and encoders.
        progress: called with a description of each step.

    Returns:
        The release of the model that the setting `serving_model` names; None without the setting.

    Raises:
        ConfigurationError: a weight, package or key is missing; the model folder is damaged.
        IdentityMismatchError: that model was trained on vectors of other encoders.
    """
    progress("clearing what killed runs left")
    platform.store.sweep()
    for encoder in (platform.video_encoder, platform.audio_encoder, platform.text_encoder):
        progress(f"checking the weights of {type(encoder).__name__}")
        encoder.check()
    folder = platform.settings.serving_model
    if folder is None:
        return None
    progress(f"adopting the model in {folder}")
    candidate = adopt_model(platform, folder)
    # The run that follows brings the titles to the settings' encoders.
    reason = f"setting serving_model: {folder}"
    return release(platform, candidate, reason=reason, compare_titles=False)


class Work:
    """The computation of some assets of one title.

    Args:
        comparison: of the title, made before the work.
        targets: wanted version of each asset to be written.
        reuse: copy parts of the earlier artefact that are still valid.
    """

    def __init__(
        self,
        comparison: TitleComparison,
        targets: dict[str, WantedVersion],
        reuse: bool = True,
    ) -> None:
        self.platform = comparison.platform
        self.title_id = comparison.title_id
        self.comparison = comparison
        self.targets = targets
        self.reuse = reuse
        self.written: dict[str, ArtefactRecord] = {}
        self._stopwatch = Stopwatch()
        self._share = 0.0

    @property
    def store(self) -> Store:
        """The catalogue's store."""
        return self.platform.store

    @property
    def content(self) -> dict[str, Any]:
        """The content of the asset `title`: manifest, probe, names of files, digests."""
        return self.comparison.content

    @contextmanager
    def file(self, name: str) -> Iterator[TitleFile]:
        """Open a file of the title folder, unchanged since the asset `title` recorded it.

        Raises:
            ChangedTitleError: it has changed since, or changes while the block runs.
            TitleError: raised by the block, for the unchanged file.
        """
        folder = self.platform.inbox.folder(self.title_id)
        ingested = self.content["hashed"][name]["stamp"]
        try:
            file = folder.open(name)
        except TitleError as error:
            if fault_of(error).cause is not Cause.TITLE:
                raise
            raise self._changed(name) from error
        with file:
            if file.stamp != ingested:
                raise self._changed(name)
            try:
                yield file
            except TitleError as error:
                if file.has_changed:
                    raise self._changed(name) from error
                raise
            if file.has_changed:
                raise self._changed(name)

    def _changed(self, name: str) -> ChangedTitleError:
        folder = self.platform.inbox.folder(self.title_id)
        return ChangedTitleError(
            f"{folder.location}/{name} has changed since it was ingested: run again, "
            "which ingests the title again."
        )

    @contextmanager
    def reader(self, asset: str, probe: "MediaProbe | None" = None) -> Iterator[TitleReader]:
        """Start a child process to read files of this title; its time and memory are counted.

        Args:
            asset: whose progress is reported while the child runs.
            probe: of the media, if the child decodes it.
        """
        reader = self.platform.reader(probe=probe, waiting=lambda: self.report(asset))
        try:
            with reader:
                yield reader
        finally:
            self._stopwatch.add(reader.used)

    def read(self, asset: str) -> pa.Table:
        """Read an upstream table of this title."""
        return self.store.read(asset, self.title_id, self.comparison.variants[asset])

    def batches(self, asset: str) -> Iterator[pa.RecordBatch]:
        """Read an upstream table of this title in batches."""
        return self.store.batches(asset, self.title_id)

    def report(self, asset: str, share: float | None = None) -> None:
        """Report the share of an asset that is done; a share of 1 is reported after its check.

        Without a share the last one is reported again: work that waits can be interrupted there.
        """
        if share is not None:
            self._share = min(share, MOST_SHARE)
        self.platform.progress(self.title_id, asset, self._share)

    def record(
        self, asset: str, details: dict[str, Any], parts: dict[str, float] | None = None
    ) -> ArtefactRecord:
        """Make the record of an asset that is about to be written."""
        target = self.targets[asset]
        record = ArtefactRecord(
            asset=asset,
            title_id=self.title_id,
            data_version=target.version,
            inputs=target.inputs,
            identity=target.identity,
            code_version=SPECS[asset].code_version,
            details=details,
            measured=self._stopwatch.read(parts),
        )
        self.written[asset] = record
        return record

    def write(self, asset: str, table: pa.Table, **details: Any) -> None:
        """Write a table of this title; the number of rows is added to the details."""
        record = self.record(asset, {"rows": table.num_rows, **details})
        self.store.write(record, table, self.comparison.variants[asset])


def _peak_memory_bytes() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
