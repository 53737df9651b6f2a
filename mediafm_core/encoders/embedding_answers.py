"""Reader of answers of OpenAI's embeddings interface (create embeddings).

An answer is `{"data": [{"index": 0, "embedding": [numbers] or base64}, ...], "model": name,
"usage": {"total_tokens": n}}`; base64 holds little-endian float32. Services that offer the same
interface differ in the answers that they send on faults, so that everything is checked.
"""

import base64
import json
import re
from typing import Any, NamedTuple

import numpy as np

from mediafm_core.runtime.http_limits import AnswerError

_BYTES_OF_NUMBER = 32  # of JSON, indented: base64 takes 5.4
_BYTES_OF_TEXT = 1024
_BYTES_OF_ANSWER = 64 * 1024
_LEAST_LENGTH, _GREATEST_LENGTH = 1e-6, 1e6  # of a vector with a direction
_SHOWN_MODEL = re.compile(r"[\w.:@/-]{1,80}")
# A service may add a version, a date or a tag to the requested name.
_VERSION = re.compile(r"(?:[-_@.]v?\d[\w.-]*|:[\w.-]+)?")


class Answer(NamedTuple):
    """Vectors float32 `[texts, dimension]` in the order of the texts, and the tokens charged."""

    vectors: np.ndarray
    tokens: int


def largest_answer(texts: int, dimension: int) -> int:
    """Return the largest size of an answer, in bytes."""
    return texts * (dimension * _BYTES_OF_NUMBER + _BYTES_OF_TEXT) + _BYTES_OF_ANSWER


def read_answer(body: bytes, texts: int, dimension: int, model: str) -> Answer:
    """Read an answer of status 200.

    Args:
        body: the whole body.
        texts: number of texts in the request.
        dimension: requested width.
        model: requested model.

    Raises:
        AnswerError: it is not one valid vector of that width for each text, by that model.
    """
    try:
        content = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise AnswerError(_kind_of(body)) from None
    if not isinstance(content, dict):
        raise AnswerError("no object of JSON")
    if content.get("error"):
        raise AnswerError("an error under the status of a success")
    rows = content.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise AnswerError("no list of vectors", lasting="data" not in content)
    _require_model(content.get("model"), model)
    if len(rows) != texts:
        raise AnswerError(f"a list of length {len(rows)}")
    indices = [row.get("index") for row in rows]
    if not all(type(index) is int for index in indices) or sorted(indices) != list(range(texts)):
        raise AnswerError("vectors whose numbers (`index`) are not those of the texts")
    vectors = np.empty((texts, dimension), dtype=np.float32)
    for index, row in zip(indices, rows, strict=True):
        vectors[index] = _vector(row.get("embedding"), dimension)
    if not sound_rows(vectors).all():
        raise AnswerError("vectors without a direction (zero, not finite, or far from unit length)")
    return Answer(vectors, _tokens(content.get("usage")))


def sound_rows(vectors: np.ndarray) -> np.ndarray:
    """Return, as bool `[n]`, the rows that are finite and have a length that gives a direction."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return (lengths >= _LEAST_LENGTH) & (lengths <= _GREATEST_LENGTH)


def _vector(embedding: Any, dimension: int) -> np.ndarray:
    if isinstance(embedding, str):
        try:
            data = base64.b64decode(embedding, validate=True)
        except ValueError:
            raise AnswerError("base64 that cannot be decoded") from None
        if len(data) % 4:
            raise AnswerError("base64 that is no row of float32")
        vector = np.frombuffer(data, dtype="<f4")
    elif isinstance(embedding, list) and all(type(each) in (int, float) for each in embedding):
        try:
            vector = np.array(embedding, dtype=np.float64)
        except OverflowError:  # an integer of hundreds of digits
            raise AnswerError("numbers out of range") from None
    else:
        raise AnswerError("vectors that are no lists of numbers")
    if len(vector) != dimension:
        raise AnswerError(f"vectors of width {len(vector)}", lasting=True)
    with np.errstate(over="ignore"):
        return vector.astype(np.float32)


def _require_model(answered: Any, model: str) -> None:
    """Refuse vectors of another model; an answer without a name is accepted."""
    if answered is None:
        return
    if isinstance(answered, str):
        wanted, name = (each.lower().rsplit("/", 1)[-1] for each in (model, answered))
        if name.startswith(wanted) and _VERSION.fullmatch(name[len(wanted) :]):
            return
        if _SHOWN_MODEL.fullmatch(answered):
            raise AnswerError(f"vectors of the model {answered}", lasting=True)
    raise AnswerError("vectors of another model", lasting=True)


def _tokens(usage: Any) -> int:
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return tokens if type(tokens) is int and 0 <= tokens < 1 << 53 else 0


def _kind_of(body: bytes) -> str:
    if not body:
        return "an empty body"
    return "a page of HTML" if body.lstrip()[:1] == b"<" else "no JSON that can be read"


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and infinities are no JSON
