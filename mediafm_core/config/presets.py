"""Presets: named sets of defaults of the sections model, objective and training.

A value that is set anywhere else overrides the preset's. A preset's name is part of no identity or
digest: what is trained with it records the settings that result.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from mediafm_core.config.renamed_settings import OLD_NAMES

if TYPE_CHECKING:
    from mediafm_core.config.settings import Settings

PresetName = Literal["published"]
Values = Mapping[str, Mapping[str, Any]]

PRESETS: dict[str, Values] = {
    # As far as the blog of MediaFM says. It gives no size, rate or number of steps, so that these
    # stay as they are set.
    "published": {
        "model": {"attention": "bidirectional"},
        "objective": {"mask_ratio": 0.2},
        "training": {"optimiser": "muon"},
    },
}
"""Values of each preset by section and setting."""

PRESET_NAMES: tuple[str, ...] = get_args(PresetName)


def with_preset(settings: "Settings", name: str) -> "Settings":
    """Return settings in which the values of a preset override all others.

    Args:
        settings: that give everything which the preset leaves open.
        name: of the preset.
    """
    sections = {
        section: getattr(settings, section).model_copy(update=values)
        for section, values in PRESETS[name].items()
    }
    return settings.model_copy(update=sections)


def preset_values(name: object, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the values of a preset, by section and setting; nothing for a name that is none.

    Args:
        name: of the preset.
        given: values from elsewhere. Settings that they have under an old name are left out, since
            a setting may not be given by both of its names.
    """
    preset = PRESETS.get(name, {}) if isinstance(name, str) else {}
    found: dict[str, dict[str, Any]] = {}
    for section, values in preset.items():
        old_names, elsewhere = OLD_NAMES.get(section, {}), given.get(section)
        others = elsewhere if isinstance(elsewhere, dict) else {}
        found[section] = {
            each: value for each, value in values.items() if old_names.get(each, each) not in others
        }
    return found
