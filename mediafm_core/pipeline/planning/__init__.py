"""Planning of work on a catalogue.

In: the inbox and the versions that artefacts record. Out: the titles and assets that are missing or
stale, and how far the catalogue has come.
"""
