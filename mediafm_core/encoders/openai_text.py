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

from mediafm_core.config.settings import Settings
from mediafm_core.disk.cache_folders import cache_folder
from mediafm_core.encoders.base import Usage
from mediafm_core.encoders.vector_cache import VectorCache
from mediafm_core.encoders.weights import require_module
from mediafm_core.errors import ConfigurationError, TitleError
from mediafm_core.identity import Identity, digest_of

if TYPE_CHECKING:
    from mediafm_core.encoders.openai_service import EmbeddingService

_MAX_INPUTS = 2048
_MAX_REQUEST_BYTES = 300_000
_MAX_INPUT_BYTES = 8000
_DEFAULT_BASE_URL = "https://api.openai.com/v1"
_HARMLESS = "a"  # a text that every service accepts
_SHOWN_CHARACTERS = 60


class OpenAIText:
    """Encodes texts into 768 numbers (or `text.dimension`) by `text-embedding-3-large`.

    Each text is charged once: identical texts are sent once, and vectors are cached on disk by
    model, dimension and digest of the text, as soon as they arrive. A text of more than
    8,000 bytes is divided between words; its vector is the mean of the pieces' vectors, weighted by
    their bytes. A request that is refused for its size or content is halved, down to the one text
    that the service refuses.

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
        key = self._api_key
        if not key:
            raise ConfigurationError(
                "The text encoder openai has no key: set OPENAI_API_KEY or MEDIAFM_TEXT__API_KEY."
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigurationError(
                "The key of the text encoder openai holds white space or characters that no key "
                "has: set OPENAI_API_KEY or MEDIAFM_TEXT__API_KEY to the key alone."
            )
        _require_plain_address(self._base_url)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """See `TextEncoder.encode`: float32 [n, dimension].

        Raises:
            ConfigurationError: the service refuses the request, or its vectors are not those that
                the settings name.
            ServiceError: the service is out of reach or out of order, after all tries.
            TitleError: the service refuses one of the texts and takes others.
        """
        from mediafm_core.encoders.embedding_answers import sound_rows

        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        pieces = [split_text(text, _MAX_INPUT_BYTES) for text in texts]
        unique = list(dict.fromkeys(piece for text in pieces for piece in text))
        known = {
            text: vector
            for text, vector in self._cache.get(unique).items()
            if sound_rows(vector[None]).all()  # earlier versions cached unchecked vectors
        }
        self._usage += Usage(texts=len(texts), cached_texts=len(known))
        for batch in _batches([piece for piece in unique if piece not in known]):
            known.update(zip(batch, self._vectors(batch), strict=True))
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

    def _vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Request vectors and cache them; halve a request that is refused."""
        from mediafm_core.encoders.openai_service import RefusedTextsError

        try:
            vectors = self._request(texts)
        except RefusedTextsError as error:
            status = error.status
        else:
            self._cache.put(texts, vectors)
            return vectors
        if len(texts) > 1:
            middle = len(texts) // 2
            return np.concatenate([self._vectors(texts[:middle]), self._vectors(texts[middle:])])
        self._request([_HARMLESS])  # refused as well if the settings are at fault
        raise TitleError(
            f"The text service {self._service.address} refuses the text "
            f"{texts[0][:_SHOWN_CHARACTERS]!r} ({status}) and accepts others: change it in the "
            "timed text, synopsis or tags."
        )

    def _request(self, texts: Sequence[str]) -> np.ndarray:
        answer = self._service.embed(texts)
        usd = answer.tokens * self._settings.usd_per_million_tokens / 1e6
        self._usage += Usage(requests=1, tokens=answer.tokens, usd=usd)
        return answer.vectors

    @property
    def _api_key(self) -> str | None:
        given = self._settings.api_key
        return given.get_secret_value() if given else os.environ.get("OPENAI_API_KEY")

    @property
    def _base_url(self) -> str:
        return self._settings.base_url or os.environ.get("OPENAI_BASE_URL") or _DEFAULT_BASE_URL

    @cached_property
    def _cache(self) -> VectorCache:
        return VectorCache(cache_folder() / "text_vectors.sqlite", self._model, self.dimension)

    @cached_property
    def _service(self) -> "EmbeddingService":
        self.check()
        from mediafm_core.encoders.openai_service import EmbeddingService

        return EmbeddingService(
            base_url=self._base_url,
            api_key=self._api_key or "",
            model=self._model,
            dimension=self.dimension,
            timeout_s=self._settings.timeout_s,
            max_retries=self._settings.max_retries,
        )


def _require_plain_address(address: str) -> None:
    """Refuse an address that libraries would log with a secret, or that is none."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not address.isascii() or not address.isprintable() or " " in address:
        raise ConfigurationError(
            "`text.base_url` is no http or https address: set it to one such as "
            f"{_DEFAULT_BASE_URL}."
        )
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigurationError(
            f"`text.base_url` for {parts.hostname} holds a user, password or query: set the key as "
            "`text.api_key`, and `text.base_url` to the address alone."
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
