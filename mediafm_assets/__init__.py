"""What Dagster must know of MediaFM: assets, partitions, checks, jobs. The work is in the core."""

import warnings

from mediafm_core.renamed import find_renamed_modules

find_renamed_modules()

# Dagster is pinned exactly (pyproject.toml), so what it may change in another release is safe to
# use; without this, every process that loads the definitions prints dozens of these.
warnings.filterwarnings("ignore", message=r"(?s).*is currently in (beta|preview)")
# Runs that compute only what depends on the model take more titles; the smaller number is meant
# where a job selects both kinds of assets.
warnings.filterwarnings("ignore", message="Asset job .* with varying BackfillPolicies")
