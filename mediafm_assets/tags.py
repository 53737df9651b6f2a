"""Tags of Dagster's events."""

DATA_VERSION = "dagster/data_version"  # Dagster's own
TOLD = "mediafm/told"  # a digest, for what is news but no version that anything depends on
