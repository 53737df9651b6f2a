"""Dagster's web server behind a guard, and its process.

In: the options of `dagster-webserver`. Out: the UI, served to its owner only.
"""
