"""Asset `catalogue`: the published model, and the number of titles at each version."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import dagster as dg

from mediafm_assets.assets.table_metadata import markdown_table, reasons, table
from mediafm_assets.dagster_internals import DATA_VERSION_TAG
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_assets.tags import OWNERS
from mediafm_core.identity import digest_of_settings
from mediafm_core.pipeline.planning.asset_states import CatalogueComparison, TitleState
from mediafm_core.pipeline.planning.coverage import Coverage, coverage, duration, refresh_progress
from mediafm_core.store.features import catalogue as readers_catalogue

CATALOGUE = "catalogue"
_COLUMNS = ("asset", "titles", "wanted", "identity", "code", "model")
_NARROW = ("asset", "titles", "wanted")  # the page of the asset has no room for more columns


def describe_catalogue(
    comparison: CatalogueComparison, states: Sequence[TitleState]
) -> dict[str, dg.MetadataValue]:
    """Return counts, versions and progress of a catalogue, and the titles that need attention."""
    platform = comparison.platform
    counts = Counter(state.state for state in states)
    seen = readers_catalogue(platform.store)
    rows = [_row(each) for each in coverage(comparison)]
    problems = [state for state in states if state.state in ("quarantined", "orphaned")]
    metadata: dict[str, dg.MetadataValue] = {
        "titles": dg.MetadataValue.int(len(states)),
        **{name: dg.MetadataValue.int(count) for name, count in sorted(counts.items())},
        "serving_model": dg.MetadataValue.text(platform.serving_model or "none"),
        "readers_see": dg.MetadataValue.text(
            f"{len(seen.versions)} titles of {seen.model}" if seen else "nothing yet"
        ),
        "coverage": table(_NARROW, rows),
        "versions": markdown_table(_COLUMNS, rows),
    }
    progress = refresh_progress(comparison, states)
    if progress is not None:
        metadata["refresh"] = dg.MetadataValue.text(str(progress))
        metadata["up_to_date"] = dg.MetadataValue.int(progress.titles_done)
        if progress.seconds_left is not None:
            metadata["time_left"] = dg.MetadataValue.text(duration(progress.seconds_left))
    if problems:
        metadata["problems"] = reasons([(each.title_id, each.reason) for each in problems])
    return metadata


def observe_catalogue(
    comparison: CatalogueComparison, states: Sequence[TitleState]
) -> dg.AssetObservation:
    """Return the state of the catalogue as an event whose data version is its content's digest."""
    metadata = describe_catalogue(comparison, states)
    digest = digest_of_settings({name: str(value) for name, value in metadata.items()})
    return dg.AssetObservation(CATALOGUE, metadata=metadata, tags={DATA_VERSION_TAG: digest})


@dg.multi_observable_source_asset(
    name="observe_catalogue",
    specs=[
        dg.AssetSpec(
            CATALOGUE,
            deps=["clip_features"],
            description="The model and titles that readers see, the number of titles at each "
            "version of each asset, and the progress of a refresh.",
            group_name="context",
            kinds={"duckdb"},
            owners=OWNERS,
        )
    ],
)
def catalogue(platform: PlatformResource) -> dg.ObserveResult:
    """Observe the catalogue; the sweep does so whenever something has changed."""
    comparison = CatalogueComparison(platform)
    return dg.ObserveResult(metadata=describe_catalogue(comparison, list(comparison.states())))


def _row(covered: Coverage) -> dict[str, Any]:
    """Return a row of the table of versions."""
    return {
        "asset": covered.asset,
        "titles": covered.titles,
        "wanted": covered.is_wanted,
        "identity": covered.identity,
        "code": covered.code_version,
        "model": covered.model,
    }
