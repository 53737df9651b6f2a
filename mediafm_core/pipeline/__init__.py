"""Work on titles and on the models of a catalogue.

In: the folder of a title, or a trained model. Out: the missing and stale assets of the title,
computed and published; the model that serves.

Modules:
    graph: table of a title's assets, which decides which of them are stale.
    materialise: computation of the missing and stale assets of one title.
    work: what the computation of a title's assets reads, writes and reports to.
    checks: invariants of every artefact.
    platform: settings, store, inbox and networks of a run.
    publishing: publication of finished titles to readers, under the serving model.
    cutover: when readers move to the features of another model.
    serving: history of releases and the serving model, which contextualises titles.
    catalogue_training: training of a model on the catalogue.
    catalogue_progress: progress of a run over titles.
    quarantine: titles that cannot be processed until their folder changes.
    retirement: removal of titles from the catalogue.

Wings:
    planning: which titles and assets a run has to compute.
    stages: computation of each asset.
    failures: attribution of failures to a title, the machine or the settings.
    integrity: verification and repair of the store.
    releases: candidates, their comparison, release, rollback and garbage collection.
"""
