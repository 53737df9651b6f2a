"""Alerts of failed runs.

In: failures that Dagster records. Out: one log line, webhook, command or function call for each.
"""
