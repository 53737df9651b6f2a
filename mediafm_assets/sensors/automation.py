"""Sensor that evaluates the automation condition (`mediafm_assets.assets.refresh_condition`).

The sweep can do all of its work, in fewer and larger runs, so this sensor is off unless the
settings turn it on (docs/explanation/automation.md has the reasons).
"""

import dagster as dg

from mediafm_assets.tags import REFRESH_PRIORITY, priority
from mediafm_core.config.settings import Settings


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
