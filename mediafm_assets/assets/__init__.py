"""Dagster assets, the metadata and events that they record, and their partitions.

In: partition keys and the platform resource. Out: materialisations, checks and metadata; the work
is done by `mediafm_core.pipeline`.
"""
