"""Who owns the assets, as the Dagster UI shows it."""

OWNERS = ["team:media-ml"]
