"""Which runs go first when several wait: readers for a rollback, somebody for an arrival."""

RELEASE, ARRIVAL, BY_HAND, REFRESH = 20, 10, 0, -10

_TAG = "dagster/priority"


def priority(value: int) -> dict[str, str]:
    """The tag that the run queue sorts by."""
    return {_TAG: str(value)}
