"""Settings of the platform: typed, validated at the start, documented in one place.

In: TOML files, the environment, options. Out: one frozen `Settings` object, and the places that it
names.

Each subject has a file that defines its sections; import a section from there, such as
`TrainingSettings` from `training_settings`. `settings` has `Settings`, which holds them all, and
`load_settings`.
"""

from typing import Any

from mediafm_core.renamed import renamed_attribute


def __getattr__(name: str) -> Any:
    return renamed_attribute(__name__, name)
