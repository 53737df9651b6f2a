"""The platform in Dagster: assets, checks, jobs, sensors and resources around `mediafm_core`.

`dagster_internals` holds every internal of Dagster that is used, `tags` the project's own labels.
In: the settings. Out: the definitions that Dagster loads (`mediafm_assets.definitions`).
"""

import warnings

from mediafm_core.renamed import find_renamed_modules

find_renamed_modules()

# Dagster is pinned exactly (pyproject.toml), so beta features are safe to use; without this filter
# every process that loads the definitions prints dozens of warnings.
warnings.filterwarnings("ignore", message=r"(?s).*is currently in (beta|preview)")
# Runs that compute only assets that depend on the model take more titles; for a job that selects
# both kinds of assets, the smaller number is intended.
warnings.filterwarnings("ignore", message="Asset job .* with varying BackfillPolicies")
