"""Training of the MediaFM network by Masked Shot Modeling.

In: the fused vectors of a catalogue and the settings of a training. Out: a trained model's folder,
checkpoints to resume from, and progress events.
"""
