"""The inbox as Dagster sees it: how many folders there are, and which are held back and why."""

from collections import Counter
from collections.abc import Sequence

import dagster as dg

from mediafm_assets.assets.table_metadata import markdown_table, reasons
from mediafm_assets.owners import OWNERS
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_assets.tags import TOLD
from mediafm_core.identity import digest_of_settings
from mediafm_core.pipeline.planning.asset_states import TitleState
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine

INBOX = "inbox"


def observe_inbox(platform: Platform) -> dict[str, dg.MetadataValue]:
    """Return counts of the inbox's folders and tables of the quarantined ones.

    `waiting` folders have no `title.json` yet. A folder whose name cannot be a partition key shows
    up nowhere else in Dagster.
    """
    folders = list(platform.inbox.scan())
    return _describe(platform, len(folders), sum(not each.is_complete for each in folders))


def observe_states(platform: Platform, states: Sequence[TitleState]) -> dg.AssetObservation:
    """The same from the states of all titles, as an event that tells whether it is news.

    It has no data version: one arrival would make every other title look out of date.
    """
    counts = Counter(state.state for state in states)
    metadata = _describe(platform, len(states) - counts["orphaned"], counts["waiting"])
    told = digest_of_settings({name: str(value) for name, value in metadata.items()})
    return dg.AssetObservation(INBOX, metadata=metadata, tags={TOLD: told})


def _describe(platform: Platform, titles: int, waiting: int) -> dict[str, dg.MetadataValue]:
    held_back = list(Quarantine(platform.store))
    metadata: dict[str, dg.MetadataValue] = {
        "folder": dg.MetadataValue.path(platform.inbox.location),
        "titles": dg.MetadataValue.int(titles),
        "waiting": dg.MetadataValue.int(waiting),
        "quarantined": dg.MetadataValue.int(len(held_back)),
    }
    if held_back:
        rows = [
            {"title": entry.title_id, "asset": entry.asset, "reason": entry.reason}
            for entry in held_back
        ]
        metadata["reasons"] = reasons([(row["title"], row["reason"]) for row in rows])
        metadata["details"] = markdown_table(("title", "asset", "reason"), rows)
    return metadata


@dg.multi_observable_source_asset(
    specs=[
        dg.AssetSpec(
            INBOX,
            description="The folder that titles arrive in, and what of it is held back and why.",
            group_name="ingest",
            kinds={"file"},
            owners=OWNERS,
        )
    ]
)
def inbox(platform: PlatformResource) -> dg.ObserveResult:
    """Observed by the sweep whenever something has changed, and by `mediafm run`."""
    return dg.ObserveResult(metadata=observe_inbox(platform))


def report_inbox(instance: dg.DagsterInstance, platform: Platform) -> None:
    """Record what the inbox holds now."""
    instance.report_runless_asset_event(
        dg.AssetObservation(INBOX, metadata=observe_inbox(platform))
    )
