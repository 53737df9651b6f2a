"""Work on titles and on the models of a catalogue.

In: the folder of a title, or a trained model. Out: the missing and stale assets of the title,
computed and published; the model that serves. `graph` is the table of all assets, `materialise`
the way of one title through it; wings plan the work, compute the stages, attribute failures, repair
the store and release models.
"""
