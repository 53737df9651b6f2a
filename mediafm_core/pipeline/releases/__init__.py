"""Releases of trained models.

In: candidates (trained models of the store), labels. Out: the serving model, the comparison of a
candidate with it, and features of readers that follow a release.
"""
