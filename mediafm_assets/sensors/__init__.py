"""Dagster sensors that request the runs of a catalogue.

In: the inbox, the versions that the store has recorded, and the runs of the instance. Out: run
requests for arrivals and for missing or stale artefacts, new partitions, and observations.

Modules:
    inbox_sensor: arrivals in the inbox; another trigger of arrivals is a module beside it.
    sweep: comparison of the store with what is wanted, and requests for the rest.
    automation: sensor of the automation condition.
    run_requests: run requests of titles: few, large, none for titles that a run works on.
    single_daemon: one daemon at a time for each catalogue.
"""
