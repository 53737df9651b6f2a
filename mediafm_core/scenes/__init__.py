"""Partitions of a title into scenes, without labels and without a network.

In: vectors of the shots of a whole title in which similar shots are close. Out: the probability
that a scene starts at each shot, for scenes of several mean lengths, and single partitions.
"""
