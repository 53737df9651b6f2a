"""Failures of the work on a title.

In: an error, or the death of a process. Out: whether the title's input is the cause, so that the
title has to be quarantined (`pipeline.quarantine`).

`attribution` decides whether an error is caused by the title, the machine or the settings;
`cross_check` repeats the failed work on another title, as evidence. `unknown_failures` counts
failures of unknown cause over runs, `attempts` counts crashes of the working process.
"""
