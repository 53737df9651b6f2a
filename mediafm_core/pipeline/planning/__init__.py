"""Planning of work on a catalogue.

In: the inbox and the versions that artefacts record. Out: the missing and stale assets of each
title, the titles to work on, and the progress of a refresh.
"""
