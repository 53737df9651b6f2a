"""Commands of `mediafm` that need Dagster: run, train, release, rollback, ui.

In: options of the command line. Out: Dagster runs in this process, with their progress.
"""

from typing import Any

from mediafm_core.renamed import renamed_attribute


def __getattr__(name: str) -> Any:
    return renamed_attribute(__name__, name)
