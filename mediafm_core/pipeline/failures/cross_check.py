"""The same work on another title, as evidence for or against the one that it has failed for."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pyarrow as pa

from mediafm_core.errors import StoreError, TitleError, WorkError
from mediafm_core.pipeline.checks import run_checks
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.planning.asset_states import variant_of
from mediafm_core.pipeline.planning.title_comparison import TitleComparison
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.stages.title_stage import describe_title
from mediafm_core.pipeline.work import Work
from mediafm_core.runtime.interruption import raise_if_interrupted
from mediafm_core.storage.files import Files
from mediafm_core.store.records import JSON_ASSETS, ArtefactRecord
from mediafm_core.store.store import Store

_LOOKED_AT = 20  # titles at most, the ones with the smallest artefacts first


def title_to_try(platform: Platform, asset: str, but: Collection[str]) -> TitleComparison | None:
    """Find a title that has an asset as it would be computed now; the smallest one of a few.

    Args:
        platform: settings and store.
        asset: its name.
        but: titles that are left out.

    Returns:
        The comparison that has shown it.
    """
    variant = variant_of(platform, SPECS[asset])
    suffix = ".json" if asset in JSON_ASSETS else ".parquet"
    folder = "/".join(part for part in (asset, variant) if part)
    sizes = {
        Path(entry.key).name.removesuffix(suffix): entry.size
        for entry in platform.store.files.entries(folder)
        if entry.key.endswith(suffix)
    }
    quarantine = Quarantine(platform.store)
    for title_id in sorted(sizes.keys() - set(but), key=lambda name: sizes[name])[:_LOOKED_AT]:
        if quarantine.get(title_id) is not None:
            continue
        comparison = TitleComparison(platform, title_id)
        if comparison.record("title") if asset == "title" else comparison.is_current(asset):
            return comparison
    return None


def try_on(
    comparison: TitleComparison, assets: Collection[str], compute: Callable[[Work], None]
) -> Exception | None:
    """Do the work on a title that has its result already; nothing is written.

    Args:
        comparison: of the title, see `title_to_try`.
        assets: that the work yields.
        compute: the work; of the asset `title` it is not used.

    Returns:
        The error that it failed with, None where it passed. An input of this title that cannot be
        read (its media has been taken away, say) is an error too: it proves nothing.
    """
    try:
        if assets == ("title",):
            platform = comparison.platform
            describe_title(platform.inbox.folder(comparison.title_id), platform)
        else:
            work = _TrialWork(comparison, assets)
            compute(work)
            for asset in assets:
                _require_passed_checks(work, asset)
    except Exception as error:  # noqa: BLE001 - returned, to be judged like the first one
        raise_if_interrupted()
        return error
    return None


def _require_passed_checks(work: Work, asset: str) -> None:
    variant = work.comparison.variants[asset]
    for result in run_checks(work.store, asset, work.title_id, variant):
        if not result.passed:
            raise WorkError(
                f"{work.title_id} has unusable {asset} ({result.name}: {result.detail})"
            )


class _TrialWork(Work):
    """Work whose results are thrown away."""

    def __init__(self, comparison: TitleComparison, assets: Collection[str]) -> None:
        wanted = {asset: comparison.wanted(asset) for asset in assets}
        targets = {asset: version for asset, version in wanted.items() if version}
        if len(targets) < len(wanted):
            raise TitleError(f"{comparison.title_id} is not ready for {', '.join(assets)}.")
        super().__init__(comparison, targets)
        self._store = _DiscardingStore(self.platform.store.files, assets)

    @property
    def store(self) -> Store:
        """The catalogue's store, to read."""
        return self._store

    def report(self, asset: str, share: float | None = None) -> None:
        """Report nothing: this is no progress of the run."""


class _DiscardingStore(Store):
    """A store that writes nothing: tables are kept in memory until the trial is over.

    Args:
        files: of the store.
        results: assets that the trial computes. Those in the store seem to be missing, so that no
            vector of an earlier one is reused.
    """

    def __init__(self, files: Files, results: Collection[str]) -> None:
        super().__init__(files)
        self._results = results
        self._tables: dict[str, pa.Table] = {}

    def read(
        self,
        asset: str,
        title_id: str,
        variant: str = "",
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read a table that the work is made from, or that it has made."""
        if asset not in self._results:
            return super().read(asset, title_id, variant, columns)
        if asset not in self._tables:
            raise StoreError(f"{title_id} has no {asset} yet in a trial.")
        return self._tables[asset]

    def write(self, record: ArtefactRecord, table: pa.Table, variant: str = "") -> None:  # noqa: ARG002
        """Keep a table for the checks."""
        self._tables[record.asset] = table

    def commit(self, prepared: Path, key: str) -> None:  # noqa: ARG002
        """Remove a prepared file."""
        prepared.unlink()

    def remove_file(self, key: str) -> None:
        """Remove nothing."""
