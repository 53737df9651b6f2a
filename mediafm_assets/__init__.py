"""What Dagster must know of MediaFM: assets, partitions, checks, jobs. The work is in the core."""

import warnings

from dagster import BetaWarning, PreviewWarning

# Dagster is pinned exactly (pyproject.toml), so what it may change in another release is safe to
# use; without this, every process that loads the definitions prints dozens of these.
for _category in (BetaWarning, PreviewWarning):
    warnings.filterwarnings("ignore", category=_category)
