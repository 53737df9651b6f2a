"""A partition is a title; its key is the name of the title's folder in the inbox."""

from collections.abc import Mapping, Sequence

import dagster as dg

from mediafm_core.titles.manifest import is_title_id

TITLES = "titles"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
_TOLD = "mediafm/titles"  # shown in the list of runs
titles = dg.DynamicPartitionsDefinition(name=TITLES)


def register_titles(instance: dg.DagsterInstance, title_ids: Sequence[str]) -> list[str]:
    """Add the titles that the instance does not know yet; returns those."""
    known = set(instance.get_dynamic_partitions(TITLES))
    new = [title_id for title_id in title_ids if title_id not in known]
    instance.add_dynamic_partitions(TITLES, new)
    return new


def range_tags(title_ids: Sequence[str]) -> dict[str, str]:
    """Tags of a run over titles that follow each other in the order of registration."""
    first, others = title_ids[0], len(title_ids) - 1
    return {
        RANGE_START: first,
        RANGE_END: title_ids[-1],
        _TOLD: f"{first} and {others} more" if others else first,
    }


def is_over_titles(tags: Mapping[str, str]) -> bool:
    """Whether a run with these tags works on titles, one or a range."""
    return RANGE_START in tags or is_title_id(tags.get(PARTITION, ""))
