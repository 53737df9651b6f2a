"""Dagster jobs and their schedules.

In: a selection of assets, or the configuration of a job. Out: runs over titles, training,
evaluation, release and rollback, publishing, garbage collection, retirement and verification.
"""
