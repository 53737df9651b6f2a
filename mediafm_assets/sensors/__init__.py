"""Dagster sensors that request the runs of a catalogue.

In: the inbox, the versions that the store has recorded, and the runs of the instance. Out: run
requests for arrivals and for missing or stale artefacts, new partitions, and observations.
"""
