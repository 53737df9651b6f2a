"""Asset `inbox`: the number of title folders, and the quarantined titles with their reasons."""

from collections import Counter
from collections.abc import Sequence

import dagster as dg

from mediafm_assets.assets.table_metadata import markdown_table, reasons
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_assets.tags import CONTENT_TAG, OWNERS
from mediafm_core.identity import digest_of_settings
from mediafm_core.pipeline.planning.asset_states import TitleState
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine

INBOX = "inbox"


def observe_inbox(platform: Platform) -> dict[str, dg.MetadataValue]:
    """Return counts of the inbox's folders and tables of the quarantined titles.

    `waiting` folders have no `title.json` yet. A folder whose name cannot be a partition key is
    shown nowhere else in Dagster.
    """
    folders = list(platform.inbox.scan())
    return _describe(platform, len(folders), sum(not each.is_complete for each in folders))


def observe_states(platform: Platform, states: Sequence[TitleState]) -> dg.AssetObservation:
    """Return the inbox as an event, from the states of all titles.

    A tag holds the digest of its content, by which a change is noticed. It has no data version: one
    arrival would make every other title seem out of date.
    """
    counts = Counter(state.state for state in states)
    metadata = _describe(platform, len(states) - counts["orphaned"], counts["waiting"])
    digest = digest_of_settings({name: str(value) for name, value in metadata.items()})
    return dg.AssetObservation(INBOX, metadata=metadata, tags={CONTENT_TAG: digest})


def _describe(platform: Platform, titles: int, waiting: int) -> dict[str, dg.MetadataValue]:
    quarantined = list(Quarantine(platform.store))
    metadata: dict[str, dg.MetadataValue] = {
        "folder": dg.MetadataValue.path(platform.inbox.location),
        "titles": dg.MetadataValue.int(titles),
        "waiting": dg.MetadataValue.int(waiting),
        "quarantined": dg.MetadataValue.int(len(quarantined)),
    }
    if quarantined:
        rows = [
            {"title": entry.title_id, "asset": entry.asset, "reason": entry.reason}
            for entry in quarantined
        ]
        metadata["reasons"] = reasons([(row["title"], row["reason"]) for row in rows])
        metadata["details"] = markdown_table(("title", "asset", "reason"), rows)
    return metadata


@dg.multi_observable_source_asset(
    specs=[
        dg.AssetSpec(
            INBOX,
            description="The folder in which titles arrive, with the quarantined titles and why.",
            group_name="ingest",
            kinds={"file"},
            owners=OWNERS,
        )
    ]
)
def inbox(platform: PlatformResource) -> dg.ObserveResult:
    """Observe the inbox; the sweep and `mediafm run` do so whenever something has changed."""
    return dg.ObserveResult(metadata=observe_inbox(platform))


def report_inbox(instance: dg.DagsterInstance, platform: Platform) -> None:
    """Record an observation of the inbox."""
    instance.report_runless_asset_event(
        dg.AssetObservation(INBOX, metadata=observe_inbox(platform))
    )
