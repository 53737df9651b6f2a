"""Text vectors: one per shot from its timed text, and one of the title's metadata."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.encoders.base import Progress, TextEncoder
from mediafm_core.encoders.embed.embedding_table import (
    DIGEST_BYTES,
    EarlierVectors,
    embeddings_table,
    input_digest,
)
from mediafm_core.vectors import unit_length


def embed_text(
    encoder: TextEncoder,
    timed_text: pa.Table,
    batch_size: int,
    progress: Progress | None = None,
    earlier: pa.Table | None = None,
) -> pa.Table:
    """Embed each shot's text; a shot whose text is null or blank is not present.

    Args:
        encoder: the text encoder; a text of several shots is encoded once.
        timed_text: `title_id, shot_index, text`.
        batch_size: texts for one call of the encoder.
        progress: called with the fraction that is done.
        earlier: a table of the same encoder and code: a text that is in it, of any shot, is not
            encoded.
    """
    texts = pc.utf8_trim_whitespace(timed_text["text"].cast(pa.string()))
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    codes = texts.combine_chunks().dictionary_encode()
    unique = codes.dictionary.to_pylist()
    digests = [input_digest(text.encode()) for text in unique]
    vectors = np.zeros((len(unique), encoder.dimension), dtype=np.float32)
    known = EarlierVectors(earlier)
    new = [place for place, digest in enumerate(digests) if digest not in known]
    for start in range(0, len(new), batch_size):
        batch = new[start : start + batch_size]
        vectors[batch] = encoder.encode([unique[place] for place in batch])
        if progress:
            progress((start + len(batch)) / len(new))
    vectors = unit_length(vectors)
    known.fill(vectors, digests)
    present = pc.is_valid(texts).to_numpy(zero_copy_only=False)
    per_shot = np.zeros((timed_text.num_rows, encoder.dimension), dtype=np.float32)
    per_shot[present] = vectors[codes.indices.drop_null().to_numpy()]
    return embeddings_table(
        timed_text["title_id"],
        timed_text["shot_index"],
        per_shot,
        present,
        pa.array(digests, pa.binary(DIGEST_BYTES)).take(codes.indices),
    )


def embed_metadata(encoder: TextEncoder, synopsis: str, tags: Sequence[str]) -> np.ndarray:
    """Embed the title's synopsis and tags: the model's `[GLOBAL]` input.

    Returns:
        float32 `[dimension]` of unit length; zeros if there is neither synopsis nor tag.
    """
    parts = [synopsis.strip(), ", ".join(tag.strip() for tag in tags if tag.strip())]
    text = "\n".join(part for part in parts if part)
    if not text:
        return np.zeros(encoder.dimension, dtype=np.float32)
    return unit_length(encoder.encode([text]))[0]
