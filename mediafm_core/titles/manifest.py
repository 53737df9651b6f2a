"""`title.json`: what a title is called and what it is about."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mediafm_core.errors import TitleError
from mediafm_core.titles.language import UNDETERMINED, primary_language
from mediafm_core.titles.own_file import OwnFile

MANIFEST_NAME = "title.json"
_MAX_BYTES = 1 << 20
# Three dots in a row separate the ends of a range of partition keys.
_TITLE_ID = re.compile(r"(?!.*\.\.\.)[a-z0-9][a-z0-9._-]{0,127}")
_UTF8_MARK = b"\xef\xbb\xbf"

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Manifest(BaseModel):
    """The validated content of `title.json`.

    A catalogue's own fields beside these are kept in `extra` and decide nothing.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    title_id: str
    name: Words
    kind: Words
    language: Words = Field(description="BCP 47 or ISO 639, `und` where unknown")
    synopsis: str = ""
    tags: tuple[Words, ...] = ()

    @property
    def extra(self) -> dict[str, Any]:
        """Fields that the contract does not know."""
        return dict(self.model_extra or {})


def is_title_id(value: str) -> bool:
    """Whether a string can name a title: a partition key and a folder's name."""
    return _TITLE_ID.fullmatch(value) is not None


def require_title_id(value: str, place: Path | str) -> str:
    """The value itself if it is a title id.

    Raises:
        TitleError: naming the place it was found in.
    """
    if not is_title_id(value):
        raise TitleError(
            f"{place}: title id {value!r} cannot be used: take at most 128 lower-case letters, "
            "digits, '.', '_' and '-', a letter or digit first, no three dots in a row."
        )
    return value


def read_manifest(file: OwnFile, title_id: str) -> Manifest:
    """Read and validate a `title.json`: UTF-8, with or without byte order mark.

    Args:
        file: the open file.
        title_id: the name of its title folder.

    Raises:
        TitleError: unreadable file, wrong JSON, missing or wrong fields, or a
            `title_id` that is not the folder's name.
    """
    data = file.read_bytes(_MAX_BYTES).removeprefix(_UTF8_MARK)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise TitleError(f"{file}: {_first_fault(error)}") from None
    require_title_id(manifest.title_id, str(file))
    if manifest.title_id != title_id:
        raise TitleError(
            f"{file}: title_id {manifest.title_id!r} is not the folder's name {title_id!r}: "
            "make the two equal."
        )
    if manifest.language != UNDETERMINED and primary_language(manifest.language) is None:
        raise TitleError(
            f"{file}: language {manifest.language!r} is no language tag: write one such as 'en', "
            f"'pt-BR' or '{UNDETERMINED}'."
        )
    return manifest


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "json_invalid":
        return f"no valid JSON ({fault['ctx']['error']}): mend the file."
    if fault["type"] == "missing":
        return f"field {field!r} is missing: add it."
    if not field:
        return "holds no JSON object: write one with title_id, name, kind and language."
    value = repr(fault["input"])
    shown = value if len(value) <= 80 else f"{value[:77]}..."
    return f"field {field!r} has the value {shown}: {fault['msg'].lower()}."
