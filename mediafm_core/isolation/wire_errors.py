"""Serialisation of a child's errors: class, message and errno are preserved.

Only the listed classes are restored; any other error becomes a `RemoteError` with its text. A
`MachineError` is not restored: a child may be taken over by its input, so that its report is not
sufficient to blame the machine.
"""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mediafm_core.errors import MediaFMError, TitleError, WorkError

_OWN_PACKAGE = Path(__file__).parents[1]
_CLASSES: Mapping[str, type[Exception]] = {
    each.__name__: each for each in (TitleError, WorkError, MediaFMError, MemoryError, EOFError)
}
_LONGEST_CHAIN = 8
_LONGEST_TEXT = 4000


class RemoteError(Exception):
    """An error in a child of a class that is not restored.

    Attributes:
        kind_and_place: its class, and the innermost function of this project in its traceback.
    """

    def __init__(self, text: str, kind_and_place: str) -> None:
        super().__init__(text)
        self.kind_and_place = kind_and_place


class RemoteSystemError(OSError):
    """An OSError that a child has reported."""


class _Link(BaseModel):
    """One error of a chain."""

    model_config = ConfigDict(frozen=True)

    kind: str = Field(max_length=200)
    text: str = Field(max_length=_LONGEST_TEXT)
    number: int | None = None
    place: str = Field("", max_length=200)


class _Chain(BaseModel):
    """An error and its chain of causes, outermost first."""

    links: list[_Link] = Field(min_length=1, max_length=_LONGEST_CHAIN)


def serialize_error(error: BaseException) -> dict[str, Any]:
    """Serialise an error and its chain of causes to JSON."""
    links: list[_Link] = []
    following: BaseException | None = error
    while following is not None and len(links) < _LONGEST_CHAIN:
        links.append(_link(following))
        following = following.__cause__ or (
            None if following.__suppress_context__ else following.__context__
        )
    return _Chain(links=links).model_dump()


def deserialize_error(description: Mapping[str, Any]) -> Exception | None:
    """Restore an error and its chain of causes; None if the description is invalid."""
    try:
        chain = _Chain.model_validate(description)
    except ValidationError:
        return None
    made: Exception | None = None
    for link in reversed(chain.links):
        error = _error(link)
        error.__cause__ = made
        made = error
    return made


def kind_and_place(error: BaseException) -> str:
    """Return an error's class and the innermost function of this project in its traceback.

    The message is left out, because it may name a temporary file or an amount of memory.
    """
    if isinstance(error, RemoteError):
        return error.kind_and_place
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(_OWN_PACKAGE)
    ]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else ""
    return f"{type(error).__module__}.{type(error).__qualname__} at {place}"


def _link(error: BaseException) -> _Link:
    kind = next(
        (name for name, known in _CLASSES.items() if isinstance(error, known)),
        type(error).__name__,
    )
    number = error.errno if isinstance(error, OSError) else None
    # The text of an OSError includes its number; errors of FFmpeg are OSErrors as well.
    text = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    place = kind_and_place(error)
    return _Link(kind=kind, text=text[:_LONGEST_TEXT], number=number, place=place[:200])


def _error(link: _Link) -> Exception:
    if link.kind in _CLASSES:
        return _CLASSES[link.kind](link.text)
    if link.number is not None:
        return RemoteSystemError(link.number, link.text)
    text = f"{link.kind}: {link.text}" if link.text else link.kind
    return RemoteError(text, link.place)
