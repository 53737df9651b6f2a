"""Dagster resources, and the parts of a Dagster instance that the project replaces.

In: settings. Out: the platform that assets use, the run launcher, the executor, the limits of runs,
the compute logs and the instance of a catalogue.
"""

from typing import Any

from mediafm_core.renamed import renamed_attribute


def __getattr__(name: str) -> Any:
    return renamed_attribute(__name__, name)
