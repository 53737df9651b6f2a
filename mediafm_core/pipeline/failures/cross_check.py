"""Cross-check of failed work: the same work on another title, whose result exists already.

If it passes there, the title that failed is probably the cause; if it fails too, the machine is.
"""

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

_LOOKED_AT = 20  # most titles to consider, those with the smallest artefacts first


def find_title_to_check(
    platform: Platform, asset: str, but: Collection[str]
) -> TitleComparison | None:
    """Find a title whose artefact of an asset is up to date; one of the smallest.

    Args:
        platform: settings and store.
        asset: its name.
        but: titles to exclude.

    Returns:
        The comparison that shows the artefact to be up to date; None without such a title.
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


def rerun_on(
    comparison: TitleComparison, assets: Collection[str], compute: Callable[[Work], None]
) -> Exception | None:
    """Run the work on a title that has its result already; nothing is written.

    Args:
        comparison: of the title, see `find_title_to_check`.
        assets: the assets that the work computes.
        compute: the work; not used for the asset `title`.

    Returns:
        The error of the run, None if it passed. An unreadable input of this title (its media may
        have been removed) is an error too, which makes the check inconclusive.
    """
    try:
        if assets == ("title",):
            platform = comparison.platform
            describe_title(platform.inbox.folder(comparison.title_id), platform)
        else:
            work = _CrossCheckWork(comparison, assets)
            compute(work)
            for asset in assets:
                _require_passed_checks(work, asset)
    except Exception as error:  # noqa: BLE001 - returned, to be attributed like the first error
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


class _CrossCheckWork(Work):
    """Work whose results are discarded."""

    def __init__(self, comparison: TitleComparison, assets: Collection[str]) -> None:
        wanted = {asset: comparison.wanted(asset) for asset in assets}
        targets = {asset: version for asset, version in wanted.items() if version}
        if len(targets) < len(wanted):
            raise TitleError(f"{comparison.title_id} is not ready for {', '.join(assets)}.")
        super().__init__(comparison, targets)
        self._store = _DiscardingStore(self.platform.store.files, assets)

    @property
    def store(self) -> Store:
        """The catalogue's store, without writes."""
        return self._store

    def report(self, asset: str, share: float | None = None) -> None:
        """Report nothing, because a cross-check is not part of the run's progress."""


class _DiscardingStore(Store):
    """A store that writes nothing; tables are kept in memory until the cross-check ends.

    Args:
        files: of the store.
        results: assets that the cross-check computes. Their artefacts in the store are hidden, so
            that none of their vectors is reused.
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
        """Read an input table of the work, or a table that it has written."""
        if asset not in self._results:
            return super().read(asset, title_id, variant, columns)
        if asset not in self._tables:
            raise StoreError(f"{title_id} has no {asset} yet in a cross-check.")
        return self._tables[asset]

    def write(self, record: ArtefactRecord, table: pa.Table, variant: str = "") -> None:  # noqa: ARG002
        """Keep a table in memory for the checks."""
        self._tables[record.asset] = table

    def commit(self, prepared: Path, key: str) -> None:  # noqa: ARG002
        """Remove a prepared file."""
        prepared.unlink()

    def remove_file(self, key: str) -> None:
        """Remove nothing."""
