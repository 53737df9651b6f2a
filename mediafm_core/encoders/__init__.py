"""Encoders of pictures, sound and text, by local weights or a service.

In: keyframes, soundtrack, timed text and metadata of a title. Out: one vector per shot and modality
(`embed`), and the identity of what computed it. `profiles` has the encoders by name.
"""
