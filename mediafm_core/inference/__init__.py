"""Inference of the MediaFM network.

In: a trained network and the fused vectors of titles. Out: contextual vectors of whole titles, of
what has come of a title so far, and of batches of titles.
"""
