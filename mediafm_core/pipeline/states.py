"""What is present, missing, stale or quarantined, per title and asset, and why."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mediafm_core.errors import StoreError
from mediafm_core.identity import data_version
from mediafm_core.pipeline.graph import SPECS, TITLE_ASSETS, AssetSpec
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.store.artefacts import ArtefactRecord
from mediafm_core.titles.inbox import TitleFolder

logger = logging.getLogger(__name__)

State = Literal["present", "missing", "stale", "quarantined", "waiting"]

# Kept as JSON; everything else is a table that carries its record in the Parquet footer.
JSON_ASSETS = frozenset({"title", "soundtrack"})


@dataclass(frozen=True)
class Wanted:
    """What an artefact would be if it were computed now."""

    version: str
    inputs: dict[str, str]
    identity: str | None


@dataclass(frozen=True)
class TitleState:
    """A title's state and those of its assets; `reason` says why it is not simply present."""

    title_id: str
    state: State
    reason: str
    assets: dict[str, State]


def recorded(platform: Platform, asset: str, title_id: str) -> ArtefactRecord | None:
    """The record of an asset of a title as the store has it, for the serving model.

    None where the artefact, or a file that belongs to it, is missing or damaged: it is then
    computed again.
    """
    store, variant = platform.store, variant_of(platform, SPECS[asset])
    try:
        if asset in JSON_ASSETS:
            found = store.json_record(asset, title_id)
            if found is None or not _has_its_file(platform, asset, title_id, found[1]):
                return None
            return found[0]
        if asset == "contextual_embeddings" and not store.record(
            "title_embeddings", title_id, variant
        ):
            return None
        return store.record(asset, title_id, variant)
    except StoreError as error:
        logger.warning("%s of %s counts as missing: %s", asset, title_id, error)
        return None


def variant_of(platform: Platform, spec: AssetSpec) -> str:
    """The folder inside the asset's own: the serving model's, for what is kept per model."""
    return (platform.serving_model or "no-model") if spec.per_model else ""


def title_content(platform: Platform, title_id: str) -> dict[str, Any] | None:
    """The content of the asset `title`: manifest, probe, files and digests; None before."""
    found = platform.store.json_record("title", title_id)
    return found[1] if found else None


def input_versions(platform: Platform, asset: str, title_id: str) -> dict[str, str] | None:
    """Data version of each input of an asset as recorded now; None while one is missing."""
    spec = SPECS[asset]
    versions: dict[str, str] = {}
    for name in spec.dependencies:
        record = recorded(platform, name, title_id)
        if record is None:
            return None
        versions |= _versions_of(name, record)
    return {name: versions[name] for name in spec.inputs}


def wanted(platform: Platform, asset: str, versions: dict[str, str]) -> Wanted | None:
    """What an artefact should be, given its inputs; None while no model serves what needs one."""
    spec = SPECS[asset]
    identity = spec.identity(platform)
    if spec.per_model and platform.serving_model is None:
        return None
    inputs = {name: versions[name] for name in spec.inputs}
    text = str(identity) if identity else None
    return Wanted(data_version(inputs, text, spec.code_version), inputs, text)


def is_current_title(record: ArtefactRecord, folder: TitleFolder) -> bool:
    """Whether the asset `title` describes the folder as it is, by the code as it is."""
    return (record.details["fingerprint"], record.code_version) == (
        folder.fingerprint(),
        SPECS["title"].code_version,
    )


def asset_states(platform: Platform, folder: TitleFolder) -> dict[str, State]:
    """State of each asset of a title, leaving quarantine aside.

    An asset is stale when its own version is not the wanted one or an input of it is stale.
    """
    states: dict[str, State] = {}
    versions: dict[str, str] = {}
    for spec in TITLE_ASSETS:
        record = recorded(platform, spec.name, folder.name)
        if record is None:
            states[spec.name] = "missing"
            continue
        versions |= _versions_of(spec.name, record)
        if spec.name == "title":
            current = is_current_title(record, folder)
        elif all(states[name] == "present" for name in spec.dependencies):
            now = wanted(platform, spec.name, versions)
            current = now is not None and now.version == record.data_version
        else:
            current = False
        states[spec.name] = "present" if current else "stale"
    return states


def title_state(platform: Platform, folder: TitleFolder) -> TitleState:
    """State of one title of the inbox."""
    entry = Quarantine(platform.store).get(folder.name)
    if entry is not None and entry.fingerprint == folder.fingerprint():
        assets = {**asset_states(platform, folder), entry.asset: "quarantined"}
        return TitleState(folder.name, "quarantined", entry.reason, assets)
    if not folder.is_complete:
        nothing: dict[str, State] = dict.fromkeys(SPECS, "missing")
        return TitleState(
            folder.name, "waiting", f"{folder.name} has no title.json yet: add it last.", nothing
        )
    assets = asset_states(platform, folder)
    reasons: dict[State, str] = {
        "stale": "Computed from other inputs or versions than now",
        "missing": "Not computed yet",
    }
    for state, reason in reasons.items():
        names = [name for name, value in assets.items() if value == state]
        if names:
            which = "everything" if len(names) == len(assets) else ", ".join(names)
            return TitleState(folder.name, state, f"{reason}: {which}.", assets)
    return TitleState(folder.name, "present", "", assets)


def catalogue_states(platform: Platform) -> Iterator[TitleState]:
    """States of all titles of the inbox, in name order."""
    for folder in platform.inbox.scan():
        yield title_state(platform, folder)


def _has_its_file(platform: Platform, asset: str, title_id: str, content: dict[str, Any]) -> bool:
    """Whether the sound is there that a soundtrack's record speaks of."""
    if asset != "soundtrack" or content["file"] is None:
        return True
    return platform.store.has(asset, title_id, suffix=".flac")


def _versions_of(asset: str, record: ArtefactRecord) -> dict[str, str]:
    """The data version of an asset by the names that others call it: `title` by its facets."""
    if asset != "title":
        return {asset: record.data_version}
    return {f"title.{facet}": digest for facet, digest in record.inputs.items()}
