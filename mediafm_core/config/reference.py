"""Table of settings in `docs/reference/configuration.md`, made from `mediafm_core.config`.

    python -m mediafm_core.config.reference docs/reference/configuration.md

writes the table between the two marks of that file again. A test fails while it is out of date.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from mediafm_core.config.presets import PRESETS
from mediafm_core.config.section import Section
from mediafm_core.config.settings import Settings

BEGIN = "<!-- settings: begin, written by `make docs` -->"
END = "<!-- settings: end -->"

_HEADER = "| setting | values | default | meaning |\n|---|---|---|---|"
_LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_FORMATS = {
    "path": "path",
    "password": "text, kept secret",
    "location": "path or `s3://` address",
}
_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true, false",
    "array": "list of texts",
}


def settings_table() -> str:
    """Return all settings as Markdown: a table of those without a section, then one per section."""
    fields = Settings.model_fields
    top = [name for name, field in fields.items() if not isinstance(field.default, Section)]
    parts = ["\n".join([_HEADER, *_rows(Settings.model_construct(), "", top)]), _presets()]
    for name, field in fields.items():
        if isinstance(field.default, Section):
            summary = " ".join((type(field.default).__doc__ or "").partition("\n\n")[0].split())
            rows = _rows(field.default, f"{name}.", list(type(field.default).model_fields))
            parts.append("\n".join([f"### `{name}`\n\n{summary}\n", _HEADER, *rows]))
    return "\n\n".join(parts)


def updated(document: str) -> str:
    """Return a document with the current table between its marks.

    Raises:
        ValueError: the marks are missing.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The document lacks the marks {BEGIN} and {END}: put them back.")
    return f"{before}{BEGIN}\n\n{settings_table()}\n\n{END}{after}"


def _presets() -> str:
    """Return what each preset sets."""
    lines = []
    for preset, sections in PRESETS.items():
        values = [
            f"`{section}.{name} = {json.dumps(value)}`"
            for section, named in sections.items()
            for name, value in named.items()
        ]
        lines.append(f"| `{preset}` | {', '.join(values)} |")
    intro = "A preset sets these values where nothing else sets them:"
    return "\n".join(["### `preset`\n", intro, "", "| preset | sets |\n|---|---|", *lines])


def _rows(defaults: BaseModel, prefix: str, names: list[str]) -> Iterator[str]:
    kinds = type(defaults).model_json_schema()["properties"]
    for name in names:
        description = type(defaults).model_fields[name].description or ""
        default = _default(getattr(defaults, name))
        yield f"| `{prefix}{name}` | {_values(kinds[name])} | {default} | {description} |"


def _values(kind: dict[str, Any]) -> str:
    """Return the values that a setting accepts, from its JSON schema."""
    if "anyOf" in kind:
        [kind] = [each for each in kind["anyOf"] if each["type"] != "null"]
    if "const" in kind:
        return f"`{kind['const']}`"
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    text = _FORMATS.get(kind.get("format", ""), _TYPES[kind["type"]])
    limits = [f"{sign} {kind[name]:g}" for name, sign in _LIMITS.items() if name in kind]
    return " ".join([text, ", ".join(limits)]).strip()


def _default(value: object) -> str:
    if value is None or value == () or isinstance(value, SecretStr):
        return ""
    return f"`{value}`"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")
