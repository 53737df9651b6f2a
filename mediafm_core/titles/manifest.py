"""The manifest of a title, `title.json`: name, kind, language, synopsis and tags."""

import json
import math
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from mediafm_core.errors import TitleError
from mediafm_core.readable import printable, quoted
from mediafm_core.titles.language import UNDETERMINED, primary_language
from mediafm_core.titles.title_file import TitleFile

MANIFEST_NAME = "title.json"
_MAX_BYTES = 1 << 20
# Dagster separates the ends of a partition key range by three dots, so no title id may have them.
_TITLE_ID = re.compile(r"(?!.*\.\.\.)[a-z0-9][a-z0-9._-]{0,127}")
_NOT_IN_A_NAME = re.compile(r"[\W_]+")
_PLACE = re.compile(r"line (\d+) column (\d+)")
_LONGEST_VALUE = 80  # characters shown of an invalid value
_NO_JSON = {
    "//": "JSON has no comments",
    "/*": "JSON has no comments",
    "#": "JSON has no comments",
    "'": "JSON has straight double quotes only",
    "“": "JSON has straight double quotes only",
    "”": "JSON has straight double quotes only",
    "„": "JSON has straight double quotes only",
}

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class Manifest(BaseModel):
    """The validated content of `title.json`.

    Further fields are kept in `extra` and have no effect.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    title_id: str
    name: Words
    kind: Words
    language: Words = Field(description="BCP 47 or ISO 639, `und` where unknown")
    synopsis: str = Field(default="", max_length=100_000)
    # Not strict: JSON has lists, no tuples.
    tags: tuple[Words, ...] = Field(default=(), max_length=1000, strict=False)

    @model_validator(mode="before")
    @classmethod
    def _as_meant(cls, fields: Any) -> Any:
        """Accept `Title-ID` for `title_id`, and ignore `null` in optional fields."""
        if not isinstance(fields, dict):
            return fields
        plain = {_plain_name(name): name for name in cls.model_fields}
        meant = {}
        for written, value in fields.items():
            name = plain.get(_plain_name(written), written)
            name = written if name in fields else name
            is_optional = name in cls.model_fields and not cls.model_fields[name].is_required()
            if value is not None or not is_optional:
                meant[name] = value
        return meant

    @property
    def extra(self) -> dict[str, Any]:
        """Fields that the contract does not define."""
        return dict(self.model_extra or {})


def is_title_id(value: str) -> bool:
    """Return True if a string is a valid title id: a partition key and a folder's name."""
    return _TITLE_ID.fullmatch(value) is not None


def require_title_id(value: str, place: Path | str) -> str:
    """Return the value if it is a valid title id.

    Args:
        value: to check.
        place: the file or folder where the value was found, for the error.

    Raises:
        TitleError: it is not a title id.
    """
    if not is_title_id(value):
        raise TitleError(
            f"{place}: title id {quoted(value)} cannot be used: take at most 128 lower-case "
            "letters, digits, '.', '_' and '-', a letter or digit first, no three dots in a row."
        )
    return value


def read_manifest(file: TitleFile, title_id: str) -> Manifest:
    """Read and validate a `title.json`: UTF-8, UTF-16 or UTF-32, with or without byte order mark.

    Field names may have capitals, blanks and hyphens: `Title-ID` is `title_id`. If the exact name
    exists, similar names are kept as further fields.

    Args:
        file: the open file.
        title_id: the name of its title folder.

    Raises:
        TitleError: the file cannot be read, the encoding or JSON is invalid, fields are missing,
            invalid or duplicate, or `title_id` is not the folder's name.
    """
    text = _decode(file.read_bytes(_MAX_BYTES), file)
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise TitleError(f"{file}: {_first_fault(error, text)}") from None
    _check_numbers_and_names(text, file)
    require_title_id(manifest.title_id, str(file))
    if manifest.title_id != title_id:
        raise TitleError(
            f"{file}: title_id {manifest.title_id!r} is not the folder's name {title_id!r}: "
            "make the two equal."
        )
    if manifest.language != UNDETERMINED and primary_language(manifest.language) is None:
        raise TitleError(
            f"{file}: language {quoted(manifest.language)} is not a language tag: write one such "
            f"as 'en', 'pt-BR' or '{UNDETERMINED}'."
        )
    return manifest


def _decode(data: bytes, file: TitleFile) -> str:
    """Decode JSON; the encoding follows from the zero bytes among the first four (RFC 4627)."""
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.upper().removesuffix("-SIG")
        line = data[: error.start].count(b"\n") + 1
        raise TitleError(
            f"{file}, line {line}: byte {error.start + 1} of the file, 0x{data[error.start]:02X}, "
            f"is not {name}: save the file as UTF-8."
        ) from None


def _check_numbers_and_names(text: str, file: TitleFile) -> None:
    """Refuse JSON that parsers interpret differently: duplicate fields, numbers out of range."""

    def finite(number: str) -> float:
        if not math.isfinite(value := float(number)):
            raise TitleError(f"{file}: {number[:20]} is not a finite number: correct it.")
        return value

    pairs = json.loads(
        text, object_pairs_hook=list, parse_int=str, parse_float=finite, parse_constant=finite
    )
    seen = set()
    for name, _ in pairs:
        if name in seen and name in Manifest.model_fields:
            raise TitleError(f"{file}: field {name!r} occurs twice: remove one of them.")
        seen.add(name)


def _plain_name(name: str) -> str:
    return _NOT_IN_A_NAME.sub("", name).casefold()


def _first_fault(error: ValidationError, text: str) -> str:
    fault = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "json_invalid":
        if not text.strip("\ufeff \t\r\n\0"):
            return "not valid JSON (the file is empty): write title_id, name, kind and language."
        return f"not valid JSON ({_cause(fault['ctx']['error'], text)}): correct the file."
    if fault["type"] == "missing":
        return f"field {field!r} is missing: add it."
    if not field:
        return "not a JSON object: write one with title_id, name, kind and language."
    value = printable(json.dumps(fault["input"], ensure_ascii=False, default=str))
    if len(value) > _LONGEST_VALUE:
        value = f"{value[: _LONGEST_VALUE - 3]}..."
    return f"field {field!r} has the value {value}: {fault['msg'].lower()}."


def _cause(message: str, text: str) -> str:
    """Return the parser's message, with a hint if the place holds a common mistake."""
    if place := _PLACE.search(message):
        line, column = int(place[1]), int(place[2])
        text = "\n".join(text.split("\n")[line - 1 : line])
        for start in (column - 1, column - 2):  # parsers count columns differently
            rest = text[max(0, start) :].lstrip()
            for sign, hint in _NO_JSON.items():
                if rest.startswith(sign):
                    return f"{hint}: {message}"
    return message
