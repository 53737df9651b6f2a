"""Embedding of a decoded title: one vector per shot and modality.

Every function streams: it holds a batch of input and a few arrays of `[shots, dimension]`. It
returns a table with one row per shot:

    title_id      string
    shot_index    int32
    present       bool: whether the shot has this modality
    embedding     FixedSizeList<float32>[dimension], of unit length, zeros where not present
    input_digest  FixedSizeBinary[16]: of what decided the vector, null where not present

A vector is a mean over the shot, taken in float64 and then scaled to unit length.

Given an earlier table of the same encoder and code, a shot whose input digest is in it reuses the
vector there, which is the one that computing would give. So for a title that is delivered again
with another tail or other captions, only what has changed is computed.
"""

from mediafm_core.encoders.embed.audio import embed_audio
from mediafm_core.encoders.embed.embedding_table import reused_rows
from mediafm_core.encoders.embed.text import embed_metadata, embed_text
from mediafm_core.encoders.embed.video import embed_video

__all__ = [
    "CODE_VERSION",
    "embed_audio",
    "embed_metadata",
    "embed_text",
    "embed_video",
    "reused_rows",
]

CODE_VERSION = "1"
"""Raise it when the same input and encoder give other vectors, or the input digest changes."""
