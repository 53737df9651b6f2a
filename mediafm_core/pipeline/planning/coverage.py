"""Coverage of a catalogue by versions of encoders, models and code; progress of a refresh."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_core.pipeline.graph import FROM_MODEL, TITLE_ASSETS
from mediafm_core.pipeline.planning.asset_states import CatalogueComparison, TitleState
from mediafm_core.store.records import RecordedVersion

_RATE_WINDOW_S = 600.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """Number of titles that have an asset of one version.

    Attributes:
        asset: its name.
        model: the model version that it is kept under, where it is kept per model.
        identity: of the encoder, detector or model that computed it; empty for plain code, and for
            models that do not serve, whose files are counted and not read.
        code_version: of the code; empty for models that do not serve.
        titles: their number, with titles that have no folder in the inbox any more.
        is_wanted: True for the version that would be computed now.
    """

    asset: str
    model: str
    identity: str
    code_version: str
    titles: int
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class RefreshProgress:
    """Progress of a catalogue towards its serving model, its encoders and its title folders.

    Attributes:
        model: the serving model; None before the first release.
        titles_done: titles whose every asset is present.
        titles: complete titles of the inbox that are not quarantined, which is the goal.
        quarantined: titles that are not counted in `titles`.
        titles_per_s: finished per second over the last minutes; None where none was.
        seconds_left: at this rate; None where there is none.
    """

    model: str | None
    titles_done: int
    titles: int
    quarantined: int
    titles_per_s: float | None
    seconds_left: float | None

    def __str__(self) -> str:
        done = f"{self.titles_done} of {self.titles} titles up to date"
        quarantined = f", {self.quarantined} quarantined" if self.quarantined else ""
        if self.titles_per_s is None or self.seconds_left is None:
            return f"{done}{quarantined}, none finished recently"
        rate = f"{self.titles_per_s:.3g} titles/s, {duration(self.seconds_left)} left"
        return f"{done}{quarantined}, {rate}"


def coverage(comparison: CatalogueComparison) -> list[Coverage]:
    """Count titles by asset and version, the wanted version of each asset first.

    An asset that no title has yet is left out.

    Raises:
        ConfigurationError: an encoder's package or weights are missing.
    """
    rows: list[Coverage] = []
    for spec in TITLE_ASSETS:
        model = comparison.model or "" if spec.per_model else ""
        files = comparison.index.files(spec.name, comparison.variants[spec.name]).values()
        found = Counter(
            (each.found.identity, each.found.code_version)
            for each in files
            if isinstance(each.found, RecordedVersion)
        )
        others = _other_models(comparison, spec.name) if spec.per_model else []
        wanted = None
        if (found or others) and (model or not spec.per_model):
            wanted = (comparison.identity(spec.name) or "", spec.code_version)
            found.setdefault(wanted, 0)
        here = [
            Coverage(spec.name, model, *version, titles, version == wanted)
            for version, titles in found.items()
        ]
        rows += sorted(here, key=lambda row: (not row.is_wanted, -row.titles, row.identity))
        rows += others
    return rows


def refresh_progress(
    comparison: CatalogueComparison, states: Sequence[TitleState], now: float | None = None
) -> RefreshProgress | None:
    """Return the progress of a catalogue; None where it is up to date.

    Args:
        comparison: of the catalogue.
        states: its titles.
        now: seconds since the epoch, by default the clock.
    """
    counts = Counter(state.state for state in states)
    done, left = counts["present"], counts["missing"] + counts["stale"]
    if not left:
        return None
    rate = _titles_per_s(comparison, states, time.time() if now is None else now)
    return RefreshProgress(
        model=comparison.model,
        titles_done=done,
        titles=done + left,
        quarantined=counts["quarantined"],
        titles_per_s=rate,
        seconds_left=left / rate if rate else None,
    )


def duration(seconds: float) -> str:
    """Format a span of time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _titles_per_s(
    comparison: CatalogueComparison, states: Sequence[TitleState], now: float
) -> float | None:
    """Return the number of titles finished per second, from the times of their last files."""
    last = FROM_MODEL[-1]
    files = comparison.index.files(last, comparison.variants[last])
    written = np.array(
        [files[each.title_id].modified_s for each in states if each.state == "present"]
    )
    recent = written[(written > now - _RATE_WINDOW_S) & (written <= now)]
    if not recent.size:
        return None
    # Measured from the first of them to now: time before the refresh began does not count, and the
    # rate of a refresh that has stopped falls with every second.
    return float(recent.size / max(now - recent.min(), 1.0))


def _other_models(comparison: CatalogueComparison, asset: str) -> list[Coverage]:
    files = comparison.platform.store.files
    return [
        Coverage(asset, model, "", "", sum(1 for _ in files.entries(f"{asset}/{model}")), False)
        for model in files.folders(asset)
        if model != comparison.variants[asset]
    ]
