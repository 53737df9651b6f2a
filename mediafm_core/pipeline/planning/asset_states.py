"""States of titles and their assets: present, missing, stale, quarantined, waiting or orphaned."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Literal, Protocol

from mediafm_core.errors import StoreError
from mediafm_core.pipeline.graph import BESIDE_CONTEXTUAL, SPECS, TITLE_ASSETS, AssetSpec
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine, Quarantined
from mediafm_core.store.records import ArtefactRecord, RecordedVersion
from mediafm_core.titles.title_folder import TitleFolder

logger = logging.getLogger(__name__)

State = Literal["present", "missing", "stale", "quarantined", "waiting", "orphaned"]

NO_MODEL = "no-model"  # folder of assets that are kept per model, before the first release


@dataclass(frozen=True, slots=True)
class TitleState:
    """State of a title and of its assets; `reason` explains every state but "present"."""

    title_id: str
    state: State
    reason: str
    assets: dict[str, State]


class Versions(Protocol):
    """Source of recorded versions: the store itself, or one look at its index."""

    def version(self, asset: str, title_id: str, variant: str = "") -> RecordedVersion | None:
        """As `Store.version`."""

    def has(self, asset: str, title_id: str, variant: str = "", suffix: str = ".parquet") -> bool:
        """As `Store.has`."""


class VersionComparison:
    """Comparison of recorded with wanted versions, under one serving model.

    For one title or a few: every version is read from its file.

    Attributes:
        platform: settings and store.
        model: the serving model.
        variants: folder of each asset's files inside the folder of the asset.
        identity: returns the identity of the encoder, detector or model that computes an asset;
            each is looked up once.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.model = platform.serving_model
        self.variants = {spec.name: _variant(spec, self.model) for spec in TITLE_ASSETS}
        self.identity: Callable[[str], str | None] = cache(self._identity)
        self._titles_of_other_models: Callable[[str], set[str]] = cache(self._of_other_models)
        self._versions: Versions = platform.store
        self._quarantined: Callable[[str], Quarantined | None] = Quarantine(platform.store).get

    def recorded(self, asset: str, title_id: str) -> RecordedVersion | None:
        """Return the recorded version of an asset of a title, for the serving model.

        None where the artefact, or a file that belongs to it, is missing or damaged: it is then
        computed again.
        """
        versions, variant = self._versions, self.variants[asset]
        try:
            found = versions.version(asset, title_id, variant)
            if found is None:
                return None
            if asset == "soundtrack":
                has_all = found.file is None or versions.has(asset, title_id, suffix=".flac")
            elif asset == "contextual_embeddings":
                has_all = versions.version(BESIDE_CONTEXTUAL, title_id, variant) is not None
            else:
                has_all = True
        except StoreError as error:
            logger.warning("%s of %s counts as missing: %s", asset, title_id, error)
            return None
        return found if has_all else None

    def asset_states(self, folder: TitleFolder) -> dict[str, State]:
        """Return the state of each asset of a title, without regard to quarantine.

        An asset is stale when its version is not the wanted one, when an input is stale, or when
        it exists only for a model that does not serve.
        """
        title_id = folder.name
        states: dict[str, State] = {}
        versions: dict[str, str] = {}
        for spec in TITLE_ASSETS:
            name = spec.name
            found = self.recorded(name, title_id)
            if found is None:
                of_others = spec.per_model and title_id in self._titles_of_other_models(name)
                states[name] = "stale" if of_others else "missing"
                continue
            add_versions(versions, name, found)
            if name == "title":
                current = _is_current_title(found.fingerprint, found.code_version, folder)
            else:
                ready = all(states[each] == "present" for each in spec.dependencies)
                current = ready and self._is_wanted(spec, found, versions)
            states[name] = "present" if current else "stale"
        return states

    def title_state(self, folder: TitleFolder) -> TitleState:
        """Return the state of one title of the inbox."""
        title_id = folder.name
        entry = self._quarantined(title_id)
        if entry is not None and entry.fingerprint == folder.fingerprint():
            assets = {**self.asset_states(folder), entry.asset: "quarantined"}
            return TitleState(title_id, "quarantined", entry.reason, assets)
        if not folder.is_complete:
            nothing: dict[str, State] = dict.fromkeys(SPECS, "missing")
            reason = f"{title_id} has no title.json yet: add it last."
            return TitleState(title_id, "waiting", reason, nothing)
        assets = self.asset_states(folder)
        reasons: dict[State, str] = {
            "stale": "Computed from other inputs or versions than now",
            "missing": "Not computed yet",
        }
        found = set(assets.values())
        for state, reason in reasons.items():
            if state in found:
                names = [name for name, value in assets.items() if value == state]
                which = "everything" if len(names) == len(assets) else ", ".join(names)
                return TitleState(title_id, state, f"{reason}: {which}.", assets)
        return TitleState(title_id, "present", "", assets)

    def orphan_state(self, title_id: str) -> TitleState:
        """Return the state of a title that has artefacts and no folder in the inbox."""
        assets: dict[str, State] = {
            name: "orphaned" if self.recorded(name, title_id) else "missing" for name in SPECS
        }
        reason = (
            f"Its folder is gone from the inbox: put it back, or `mediafm retire {title_id}` "
            "removes what was computed of it."
        )
        return TitleState(title_id, "orphaned", reason, assets)

    def _is_wanted(
        self, spec: AssetSpec, found: RecordedVersion, versions: Mapping[str, str]
    ) -> bool:
        if spec.per_model and self.model is None:
            return False
        inputs = {name: versions[name] for name in spec.inputs}
        return found.is_made_of(inputs, self.identity(spec.name), spec.code_version)

    def _of_other_models(self, asset: str) -> set[str]:
        """Return the titles that have an asset of a model that does not serve."""
        files = self.platform.store.files
        return {
            PurePosixPath(entry.key).stem
            for model in files.folders(asset)
            if model != self.model
            for entry in files.entries(f"{asset}/{model}")
        }

    def _identity(self, asset: str) -> str | None:
        identity = SPECS[asset].identity(self.platform)
        return str(identity) if identity else None


class CatalogueComparison(VersionComparison):
    """Comparison for all titles of the catalogue: only files that have changed are read.

    Attributes:
        index: recorded versions of all titles at the time of the comparison.
    """

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform)
        folders = [*self.variants.items(), (BESIDE_CONTEXTUAL, self.model or NO_MODEL)]
        self.index = platform.version_index.look(folders)
        self._versions = self.index
        self._quarantined = {entry.title_id: entry for entry in Quarantine(platform.store)}.get

    def states(self) -> Iterator[TitleState]:
        """Yield the states of all titles, those without a folder too, in the order of names."""
        folders = {folder.name: folder for folder in self.platform.inbox.scan()}
        for title_id in sorted({*folders, *self.index.title_ids()}):
            if title_id in folders:
                yield self.title_state(folders[title_id])
            else:
                yield self.orphan_state(title_id)


def variant_of(platform: Platform, spec: AssetSpec) -> str:
    """Return the folder of the serving model for an asset that is kept per model, else ""."""
    return _variant(spec, platform.serving_model) if spec.per_model else ""


def is_current_title(record: ArtefactRecord, folder: TitleFolder) -> bool:
    """Return True if the asset `title` is of the present folder and the present code."""
    return _is_current_title(record.details["fingerprint"], record.code_version, folder)


def title_state(platform: Platform, folder: TitleFolder) -> TitleState:
    """Return the state of one title of the inbox."""
    return VersionComparison(platform).title_state(folder)


def catalogue_states(platform: Platform) -> Iterator[TitleState]:
    """Yield the states of all titles, those without a folder too, in the order of names."""
    return CatalogueComparison(platform).states()


def _variant(spec: AssetSpec, model: str | None) -> str:
    return (model or NO_MODEL) if spec.per_model else ""


def _is_current_title(fingerprint: str | None, code_version: str, folder: TitleFolder) -> bool:
    return (fingerprint, code_version) == (folder.fingerprint(), SPECS["title"].code_version)


def add_versions(
    versions: dict[str, str], asset: str, found: RecordedVersion | ArtefactRecord
) -> None:
    """Add the data version of an asset under its names as an input; `title` has one per facet."""
    if asset != "title":
        versions[asset] = found.data_version
        return
    for facet, digest in found.inputs.items():
        versions[f"title.{facet}"] = digest
