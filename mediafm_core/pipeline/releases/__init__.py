"""Releases of trained models.

In: a version that a user names, labels of clips. Out: the candidate of that version, its comparison
with the serving model, its release or rollback; files of obsolete models are garbage-collected.
"""
