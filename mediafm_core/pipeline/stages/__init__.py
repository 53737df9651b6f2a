"""Computations of the assets of a title.

In: `Work` on a title. Out: the artefacts of one stage, written to the store: the title's record,
shots with keyframes and soundtrack, embeddings and their fusion, contextual vectors and clips.
"""
