"""Requests to OpenAI's embeddings interface, and an error message for each failure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

import httpx2
import openai

from mediafm_core.encoders.embedding_answers import Answer, largest_answer, read_answer
from mediafm_core.errors import ConfigurationError, MediaFMError, ServiceError
from mediafm_core.runtime.http_limits import AnswerError, BoundedClient, redacted, run_bounded

_CODE = re.compile(r"[A-Za-z_]{1,40}|\d{1,5}")  # of an error: excludes anything like a key
_OF_THE_TEXTS = {400, 413, 422}  # other or fewer texts may be accepted
_TRANSIENT = {408, 409, 429}  # and 5xx
_REMEDIES = {
    401: "check the key",
    403: "check the key's rights",
    404: "check `text.base_url` and `text.model`",
    429: "wait, raise `text.max_retries`, or check the account's quota",
}


class RefusedTextsError(ConfigurationError):
    """A refused request that may be accepted with other texts, or with fewer.

    Attributes:
        status: of the answer.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class EmbeddingService:
    """A service with OpenAI's embeddings interface.

    The client repeats a request on 408, 409, 429, 5xx, time-outs, broken connections and answers
    that cannot be used, with exponential back-off and jitter, or after the service's
    `Retry-After`, if that is at most two minutes.

    Args:
        base_url: http or https, without user, password and query.
        api_key: sent to that host only; in no error and no log.
        model: name of the model.
        dimension: width of the vectors.
        timeout_s: for one request, from its start to the last byte of the answer.
        max_retries: tries after the first.
    """

    base_url: str
    api_key: str = field(repr=False)
    model: str
    dimension: int
    timeout_s: float
    max_retries: int

    @property
    def address(self) -> str:
        """Address for errors, redacted: its path may hold the key."""
        parts = urlsplit(self.base_url)
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        return self._redacted(f"{parts.scheme}://{host}{parts.path}".rstrip("/"))

    def embed(self, texts: Sequence[str]) -> Answer:
        """Embed texts by one request.

        Raises:
            RefusedTextsError: the service refuses the request because of its texts.
            ConfigurationError: the service refuses it for another reason, or its vectors do not
                match the settings.
            ServiceError: the service is unreachable or out of order, after all retries.
        """
        answer: Answer = run_bounded(self._ask, texts)
        return answer

    async def _ask(self, texts: Sequence[str]) -> Answer:
        client = BoundedClient(
            self.timeout_s,
            largest_answer(len(texts), self.dimension),
            partial(read_answer, texts=len(texts), dimension=self.dimension, model=self.model),
        )
        # Raised below, where no other error is the context: those hold the request with its key.
        fault: MediaFMError
        try:
            async with openai.AsyncOpenAI(
                api_key=self.api_key,
                base_url=self.base_url,
                timeout=self.timeout_s,
                max_retries=self.max_retries,
                http_client=client,
            ) as service:
                await service.embeddings.with_raw_response.create(
                    input=list(texts), model=self.model, dimensions=self.dimension
                )
            return client.accepted
        except openai.APIStatusError as error:
            fault = self._refusal(error.status_code, error.code)
        except openai.APITimeoutError:
            fault = ServiceError(
                f"The text service {self.address} did not answer in {self.timeout_s:g} s, "
                f"{self._tries}: try later, or raise `text.timeout_s`."
            )
        except openai.APIConnectionError as error:
            fault = self._failure(texts, error.__cause__)
        except AnswerError as error:
            fault = ConfigurationError(self._unsound(texts, str(error)))
        raise fault

    def _failure(self, texts: Sequence[str], cause: BaseException | None) -> ServiceError:
        if isinstance(cause, httpx2.DecodingError):
            return ServiceError(self._unsound(texts, f"{cause}, {self._tries},"))
        return ServiceError(
            f"The text service {self.address} cannot be reached ({type(cause).__name__}), "
            f"{self._tries}: check `text.base_url`, or try later."
        )

    def _unsound(self, texts: Sequence[str], fault: str) -> str:
        return self._redacted(
            f"The text service {self.address} answered with {fault} in place of vectors of width "
            f"{self.dimension} by the model {self.model} for {len(texts)} texts: check "
            "`text.base_url`, `text.model` and `text.dimension`."
        )

    def _refusal(self, status: int, code: object) -> MediaFMError:
        # Never the answer's text: services quote the key in it, and some in the code.
        shown = type(code) in (str, int) and _CODE.fullmatch(str(code))
        reason = f" ({code})" if shown else ""
        answered = (
            f"The text service {self.address} answered {status}{reason} for the model {self.model}"
        )
        if status in _OF_THE_TEXTS:
            text = self._redacted(f"{answered}: check `text.model` and `text.dimension`.")
            return RefusedTextsError(text, status)
        kind: type[MediaFMError] = ConfigurationError
        remedy = _REMEDIES.get(status, "check `text.base_url`, `text.model` and `text.dimension`")
        if status < 400:
            remedy = "it points elsewhere: set `text.base_url` to the final address"
        if status >= 500 or status in _TRANSIENT:
            kind = ServiceError
            remedy = _REMEDIES.get(status, "try later, or raise `text.max_retries`")
        return kind(self._redacted(f"{answered}: {remedy}."))

    def _redacted(self, text: str) -> str:
        return redacted(text, [self.api_key])

    @property
    def _tries(self) -> str:
        return "1 try" if self.max_retries == 0 else f"{self.max_retries + 1} tries"
