"""The inbox as Dagster sees it: how many folders there are, and which are held back and why."""

import dagster as dg

from mediafm_assets.owners import OWNERS
from mediafm_assets.resources import PlatformResource
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine

INBOX = "inbox"


def observe_inbox(platform: Platform) -> dict[str, dg.MetadataValue]:
    """Counts of the inbox's folders and a table of the quarantined ones.

    A folder whose name cannot be a partition key shows up nowhere else in Dagster.
    """
    folders = list(platform.inbox.scan())
    held_back = [
        dg.TableRecord({"title": entry.title_id, "asset": entry.asset, "reason": entry.reason})
        for entry in Quarantine(platform.store)
    ]
    columns = [dg.TableColumn(name) for name in ("title", "asset", "reason")]
    return {
        "folder": dg.MetadataValue.path(platform.inbox.location),
        "titles": dg.MetadataValue.int(len(folders)),
        "waiting_for_title_json": dg.MetadataValue.int(
            sum(not folder.is_complete for folder in folders)
        ),
        "quarantined": dg.MetadataValue.table(held_back, schema=dg.TableSchema(columns)),
    }


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
    """Observed whenever titles are taken in."""
    return dg.ObserveResult(metadata=observe_inbox(platform))


def report_inbox(instance: dg.DagsterInstance, platform: Platform) -> None:
    """Record what the inbox holds now."""
    instance.report_runless_asset_event(
        dg.AssetObservation(INBOX, metadata=observe_inbox(platform))
    )
