"""Shots, keyframes and soundtrack of a title, from one decode.

In: a title's media file and its probe. Out: the table of shots, keyframes as JPEG, the soundtrack.

`decode` runs the pass; `detector` is the interface of shot detectors, `transnetv2` the default one
(network in `transnetv2_network`); `boundaries` derives shots from its probabilities; `keyframes`
chooses and encodes keyframes.
"""
