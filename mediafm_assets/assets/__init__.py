"""Dagster assets, and the metadata and events that they record.

In: partition keys and the platform resource. Out: materialisations, checks and metadata; the work
is done by `mediafm_core.pipeline`.

Modules:
    title_assets: assets of a title, one partition per title.
    title_runs: materialisation of assets title by title.
    title_events: materialisations, quarantines and check results of titles.
    title_progress: progress of a step over titles in Dagster's log.
    metadata: pictures, tables and derived values of artefacts, models and evaluations. Plain
        values are the `details` of a record, which `mediafm_core.pipeline.stages` writes.
    table_metadata: metadata of files and tables: URI, columns, rows, source.
    catalogue_asset: asset `catalogue`, the published model and titles.
    inbox_asset: asset `inbox`, title folders and quarantined titles.
    encoder_assets: encoders and shot detector as observed assets.
    model_assets: assets `mediafm_model` and `serving_model`.
    evaluation_asset: asset `evaluation`, and the checks of a trained model.
    observations: observations of encoders and serving model, recorded when they change.
    refresh_condition: automation condition of what a changed version affects.
    quarantined_runs: failed runs of single titles that a run over many has quarantined.
    retries: retry of a step after an error that may pass.
"""
