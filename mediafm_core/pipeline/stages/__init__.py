"""Computations of the assets of a title.

In: `Work` on a title. Out: the artefacts of one stage, written to the store, each with its record.
The record's `details` are also shown in the Dagster UI.

Modules, with the assets that they compute:
    title_stage: `title`.
    decode_stage: `shots`, `keyframes` and `soundtrack`, from one decode.
    embed_stage: `timed_text`, `video_embeddings`, `audio_embeddings`, `text_embeddings`,
        `title_metadata_embedding` and `fused_embeddings`.
    context_stage: `contextual_embeddings`, with the title's vector beside it, and `clip_features`.
    scenes_stage: `scenes`.
"""
