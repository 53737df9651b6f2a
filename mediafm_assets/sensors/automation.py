"""Automation condition that materialises what a changed version affects.

It fires on edges: when a dependency or the code has another version than before. New titles are
left to the inbox sensor, and changes that an edge misses to the sweep: the daemon was down, its
cursor was lost, a run failed. The sweep can do all of it, in fewer and larger runs, so this sensor
is off unless the settings turn it on (docs/operations.md has the reasons).
"""

import dagster as dg

from mediafm_assets.tags import REFRESH_PRIORITY, priority
from mediafm_core.config.settings import Settings

Condition = dg.AutomationCondition

_CHANGED: dg.AutomationCondition = Condition.any_deps_updated() | Condition.code_version_changed()

REFRESH_ON_CHANGE = (
    _CHANGED.since_last_handled()
    & ~Condition.missing()
    & ~Condition.any_deps_missing()
    & ~Condition.any_deps_in_progress()
    & ~Condition.in_progress()
).with_label("refresh_on_change")


def automation_sensor(
    assets: dg.AssetSelection, settings: Settings
) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates the condition on the assets that carry it."""
    sensors = settings.sensors
    return dg.AutomationConditionSensorDefinition(
        "refresh_on_change",
        target=assets,
        minimum_interval_seconds=sensors.automation_every_s,
        run_tags=priority(REFRESH_PRIORITY),
        default_status=(
            dg.DefaultSensorStatus.RUNNING if sensors.automation else dg.DefaultSensorStatus.STOPPED
        ),
        description="Materialises the assets that a released model or a changed encoder affects.",
    )
