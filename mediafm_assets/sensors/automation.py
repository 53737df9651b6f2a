"""What a changed version touches is materialised again: the one automation condition.

It fires on edges: a dependency that has another version than before, or code of another version.
New titles are left to the inbox sensor, and whatever an edge cannot tell - the daemon was down, its
cursor was lost, a run failed - to the sweep. The sweep can do all of it, in fewer and larger runs:
this sensor is off unless the settings turn it on (docs/operations.md tells why).
"""

import dagster as dg

from mediafm_assets.sensors.priorities import REFRESH, priority
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
    """The sensor that evaluates the condition on those of these assets that carry it."""
    sensors = settings.sensors
    return dg.AutomationConditionSensorDefinition(
        "refresh_on_change",
        target=assets,
        minimum_interval_seconds=sensors.automation_every_s,
        run_tags=priority(REFRESH),
        default_status=(
            dg.DefaultSensorStatus.RUNNING if sensors.automation else dg.DefaultSensorStatus.STOPPED
        ),
        description="Materialises again what a released model or a changed encoder touches.",
    )
