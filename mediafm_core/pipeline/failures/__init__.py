"""Failures of the work on a title.

In: an error, or the death of a process. Out: whether the title's input is the cause, and the
quarantine of the titles of which it is.
"""
