"""OpenAI's embedding models on texts, or any service with the same interface.

The limits are those of the API reference (create embeddings): 2,048 inputs and 300,000 tokens in a
request, 8,192 tokens in an input. A text never has more tokens than UTF-8 bytes, so counting bytes
keeps within them without the model's vocabulary.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from mediafm_core.config import Settings
from mediafm_core.encoders.base import Usage
from mediafm_core.encoders.runtime import require_module
from mediafm_core.encoders.vector_cache import VectorCache
from mediafm_core.encoders.weights import cache_folder
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import Identity, digest_of

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

_MAX_INPUTS = 2048
_MAX_REQUEST_BYTES = 300_000
_MAX_INPUT_BYTES = 8000


class OpenAIText:
    """Encodes texts into 768 numbers (or as many as are asked for) by `text-embedding-3-large`.

    Each text is paid for once: identical texts are sent once and answers are kept in the cache
    folder, by model, dimension and digest of the text, as soon as they arrive. The client repeats
    a request on 408, 409, 429, 5xx and time-outs with exponential back-off and jitter, or after
    the time the service asks for. A text of more than 8,000 bytes is divided between words; its
    vector is the mean of the pieces' vectors, weighted by their bytes.

    The endpoint is no part of the identity: a model's name stands for its weights wherever it is
    served.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.text
        self._model = settings.text.model or "text-embedding-3-large"
        self.dimension = settings.text.dimension or 768
        self._usage = Usage()

    @cached_property
    def identity(self) -> Identity:
        """See `Encoder.identity`."""
        return Identity(
            name="openai",
            version=self._model,
            digest=digest_of("1", self._model, str(self.dimension), str(_MAX_INPUT_BYTES)),
        )

    @property
    def usage(self) -> Usage:
        """See `TextEncoder.usage`; `cached_texts` were answered from disk."""
        return self._usage

    def check(self) -> None:
        """See `Encoder.check`; sends nothing."""
        require_module("openai", "openai")
        if not self._api_key:
            raise ConfigurationError(
                "The text encoder openai has no key: set OPENAI_API_KEY or MEDIAFM_TEXT__API_KEY."
            )

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """See `TextEncoder.encode`: float32 [n, dimension].

        Raises:
            ConfigurationError: the service refuses, stays unreachable, or answers something else.
        """
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        pieces = [split_text(text, _MAX_INPUT_BYTES) for text in texts]
        unique = list(dict.fromkeys(piece for text in pieces for piece in text))
        known = self._cache.get(unique)
        self._usage += Usage(texts=len(texts), cached_texts=len(known))
        for batch in _batches([piece for piece in unique if piece not in known]):
            vectors = self._request(batch)
            self._cache.put(batch, vectors)
            known.update(zip(batch, vectors, strict=True))
        return np.stack(
            [
                np.average(
                    [known[piece] for piece in text],
                    axis=0,
                    weights=[len(piece.encode()) for piece in text],
                ).astype(np.float32)
                for text in pieces
            ]
        )

    def _request(self, texts: Sequence[str]) -> np.ndarray:
        import openai

        try:
            answer = self._client.embeddings.create(
                input=list(texts), model=self._model, dimensions=self.dimension
            )
            vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
            for item in answer.data:
                vectors[item.index] = item.embedding
            complete = sorted(item.index for item in answer.data) == list(range(len(texts)))
        except openai.APIStatusError as error:
            raise ConfigurationError(self._refusal(error)) from None
        except openai.APIConnectionError as error:
            raise ConfigurationError(
                f"The text service {self._endpoint} did not answer ({type(error).__name__}, "
                f"{self._settings.max_retries} retries): check `text.base_url`, or try later."
            ) from None
        except (openai.OpenAIError, ValueError, IndexError, AttributeError, TypeError):
            complete = False  # the answer has another form or other dimensions
        if not complete or not np.isfinite(vectors).all():
            raise ConfigurationError(
                f"The text service {self._endpoint} did not answer with {len(texts)} vectors of "
                f"{self.dimension} for the model {self._model}: check `text.base_url`, "
                "`text.model` and `text.dimension`."
            )
        tokens = answer.usage.total_tokens if answer.usage else 0
        usd = tokens * self._settings.usd_per_million_tokens / 1e6
        self._usage += Usage(requests=1, tokens=tokens, usd=usd)
        return vectors

    def _refusal(self, error: "APIStatusError") -> str:
        remedy = {
            401: "check the key",
            403: "check the key's rights",
            404: "check `text.base_url` and `text.model`",
            429: "wait, raise `text.max_retries`, or check the account's quota",
        }.get(error.status_code, "check `text.model` and `text.dimension`")
        if error.status_code >= 500:
            remedy = "try later, or raise `text.max_retries`"
        # Never the answer's text: services quote the key in it.
        reason = f" ({error.code})" if error.code else ""
        return (
            f"The text service {self._endpoint} answered {error.status_code}{reason} for the "
            f"model {self._model}: {remedy}."
        )

    @property
    def _api_key(self) -> str | None:
        given = self._settings.api_key
        return given.get_secret_value() if given else os.environ.get("OPENAI_API_KEY")

    @property
    def _endpoint(self) -> str:
        address = urlsplit(str(self._client.base_url))  # may hold a password
        return f"{address.scheme}://{address.hostname}{address.path}".rstrip("/")

    @cached_property
    def _cache(self) -> VectorCache:
        return VectorCache(cache_folder() / "text_vectors.sqlite", self._model, self.dimension)

    @cached_property
    def _client(self) -> "OpenAI":
        self.check()
        from openai import OpenAI

        return OpenAI(
            api_key=self._api_key,
            base_url=self._settings.base_url,
            timeout=self._settings.timeout_s,
            max_retries=self._settings.max_retries,
        )


def split_text(text: str, limit: int) -> list[str]:
    """Divide a text between words into pieces of at most `limit` UTF-8 bytes.

    A word longer than that is divided between characters. Nothing but white space is lost.
    """
    pieces = []
    rest = text.strip()
    while len(encoded := rest.encode()) > limit:
        head = encoded[:limit].decode(errors="ignore")  # drops the character cut in half
        if not rest[len(head)].isspace():
            head = head.rsplit(None, 1)[0]
        pieces.append(head.rstrip())
        rest = rest[len(head) :].lstrip()
    return [*pieces, rest]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) == _MAX_INPUTS or size + length > _MAX_REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch
