"""Inference of the MediaFM network.

In: a trained network and the fused vectors of titles. Out: contextual vectors of whole titles
(`whole_title`), of the shots so far (`streaming`), and of clips of a title in memory
(`loaded_title`). `batching` groups sequences of shots into batches.
"""
