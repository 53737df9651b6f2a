"""Dagster's web server behind a guard.

In: the options of `dagster-webserver`. Out: the UI, served to its owner alone.
"""
