"""Alerts for failed runs: the sensor, the reasons of failures, and the targets.

In: failures that Dagster records. Out: one log line, webhook, command or function call for each.
"""
