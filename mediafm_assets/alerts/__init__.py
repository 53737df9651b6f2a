"""Alerts for failed runs: the sensor and its targets.

In: failures that Dagster records. Out: one log line, webhook, command or function call for each.
"""
