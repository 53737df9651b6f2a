"""Python interface for readers of a catalogue.

In: the published features of a store. Out: tables of SQL queries, vectors of any spans, similar
clips, clips found by text.
"""
