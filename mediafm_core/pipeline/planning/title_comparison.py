"""Comparison of the recorded versions of one title with the wanted ones, made once for its work."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from mediafm_core.errors import StoreError
from mediafm_core.identity import data_version
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.planning.asset_states import (
    VersionComparison,
    add_versions,
)
from mediafm_core.pipeline.platform import Platform
from mediafm_core.store.records import JSON_ASSETS, ArtefactRecord, RecordedVersion
from mediafm_core.store.store import Store


@dataclass(frozen=True)
class WantedVersion:
    """Version that an artefact would have if it were computed now."""

    version: str
    inputs: dict[str, str]
    identity: str | None


class TitleComparison(VersionComparison):
    """The comparison for one title that is worked on.

    It is made once and passed on. Each record is read when it is first used and then kept, so that
    all decisions of one call are of one moment.

    Args:
        platform: settings and store.
        title_id: the title.

    Attributes:
        record: returns the record of an asset; None where the artefact, or a file that belongs to
            it, is missing or damaged: it is then computed again.
        wanted: returns the version of an asset that would be computed now; None while an input is
            missing, or while no model serves an asset that needs one.
    """

    def __init__(self, platform: Platform, title_id: str) -> None:
        super().__init__(platform)
        self.title_id = title_id
        self._records = _Records(platform.store)
        self._versions = self._records
        self.record: Callable[[str], ArtefactRecord | None] = cache(self._record)
        self.wanted: Callable[[str], WantedVersion | None] = cache(self._wanted)

    @property
    def title(self) -> tuple[ArtefactRecord, dict[str, Any]] | None:
        """Record and content of the asset `title`; None where it is missing or damaged."""
        record = self.record("title")
        return None if record is None else (record, self.content)

    @property
    def content(self) -> dict[str, Any]:
        """Content of the asset `title`: manifest, probe, names of files, digests.

        Raises:
            StoreError: it is missing or damaged.
        """
        found = self._records.read("title", self.title_id, "")
        if found is None:
            raise StoreError(f"{self.title_id} has no asset title: materialise it first.")
        return found[1]

    def is_current(self, asset: str) -> bool:
        """Return True if an asset other than `title` is recorded with the wanted version."""
        record, wanted = self.record(asset), self.wanted(asset)
        return record is not None and wanted is not None and record.data_version == wanted.version

    def _record(self, asset: str) -> ArtefactRecord | None:
        if self.recorded(asset, self.title_id) is None:
            return None
        found = self._records.read(asset, self.title_id, self.variants[asset])
        return found[0] if found else None

    def _wanted(self, asset: str) -> WantedVersion | None:
        spec = SPECS[asset]
        versions: dict[str, str] = {}
        for name in spec.dependencies:
            record = self.record(name)
            if record is None:
                return None
            add_versions(versions, name, record)
        identity = self.identity(asset)
        if spec.per_model and self.model is None:
            return None
        return wanted_version(asset, versions, identity)


class _Records:
    """Records of artefacts in a store, each read once; it answers as the store itself."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read: Callable[[str, str, str], tuple[ArtefactRecord, dict[str, Any]] | None]
        self.read = cache(self._read)

    def version(self, asset: str, title_id: str, variant: str = "") -> RecordedVersion | None:
        """As `Store.version`."""
        found = self.read(asset, title_id, variant)
        if found is None:
            return None
        record, content = found
        return RecordedVersion.of(record.model_dump(), content.get("file"))

    def has(self, asset: str, title_id: str, variant: str = "", suffix: str = ".parquet") -> bool:
        """As `Store.has`."""
        return self._store.has(asset, title_id, variant, suffix)

    def _read(
        self, asset: str, title_id: str, variant: str
    ) -> tuple[ArtefactRecord, dict[str, Any]] | None:
        if asset in JSON_ASSETS:
            return self._store.json_record(asset, title_id)
        record = self._store.record(asset, title_id, variant)
        return None if record is None else (record, {})


def wanted_version(asset: str, versions: dict[str, str], identity: str | None) -> WantedVersion:
    """Return the version of an asset that is computed from inputs of some versions.

    Args:
        asset: its name.
        versions: data version of each input, by name; others are ignored.
        identity: of the encoder, detector or model that computes it; None for plain code.
    """
    spec = SPECS[asset]
    inputs = {name: versions[name] for name in spec.inputs}
    return WantedVersion(data_version(inputs, identity, spec.code_version), inputs, identity)
