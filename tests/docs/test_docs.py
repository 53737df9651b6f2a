"""The documents agree with the project: links, commands, options, settings, assets and tables."""

import ast
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import av
import click
import pytest

from mediafm_core.cli.main import main
from mediafm_core.config.reference import updated
from mediafm_core.config.removed_settings import REMOVED_SETTINGS
from mediafm_core.config.section import Section
from mediafm_core.config.settings import Settings
from mediafm_core.pipeline.graph import TITLE_ASSETS
from mediafm_core.store.features import feature_tables
from mediafm_core.titles.read_title import MEDIA_SUFFIXES

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").rglob("*.md"),
        *REPOSITORY.glob("samples/*.md"),
    ]
)
DOCS = REPOSITORY / "docs"
REFERENCE = DOCS / "reference"
# Dated records keep the names of what has been removed since.
RECORDS = {REPOSITORY / "CHANGELOG.md", *(DOCS / "laboratory").glob("*.md")}
REMOVED_MODULES = {"benchmarks.masked_prediction"}
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE_SUFFIXES = {".csv", ".html", ".json", ".parquet", ".safetensors"}
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# A file or folder of the repository, or a module, between backticks.
PLACE = re.compile(r"`((?:mediafm_core|mediafm_assets|tests|benchmarks|examples)[\w/]*(?:\.py)?)`")
MODULE = re.compile(r"\b((?:mediafm_core|mediafm_assets|benchmarks)(?:\.\w+)+)")
# A command of its own line or between backticks, up to a comment or the end.
COMMAND = re.compile(r"(?:^ {4}|^|`)(mediafm|make) ([^`\n]*)", re.MULTILINE)


def commands(program: str) -> list[list[str]]:
    """Return the arguments of every call of a program in the documents."""
    found = [
        shlex.split(arguments, comments=True)
        for document in DOCUMENTS
        for name, arguments in COMMAND.findall(document.read_text(encoding="utf-8"))
        if name == program
    ]
    return [arguments for arguments in found if arguments]


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


@cache
def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub derives them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(document)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY))
)


@every_document
def test_links_inside_the_project_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(text_of(document)):
        if not target.startswith(("https:", "http:")):
            name, _, anchor = target.partition("#")
            linked = (document.parent / name).resolve() if name else document
            assert linked.exists(), target
            if anchor:
                assert anchor in anchors(linked), target


@every_document
def test_files_and_modules_exist(document: Path) -> None:
    text = text_of(document)
    for place in PLACE.findall(text):
        assert (REPOSITORY / place).exists(), place
    for module in MODULE.findall(text):
        # The last parts may be names within the module.
        parts = module.split(".")
        if document in RECORDS and module in REMOVED_MODULES:
            continue
        places = [REPOSITORY.joinpath(*parts[:end]) for end in range(len(parts), 1, -1)][:3]
        assert any(place.is_dir() or place.with_suffix(".py").is_file() for place in places), module


@every_document
def test_code_can_be_parsed(document: Path) -> None:
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text_of(document), re.M | re.S):
        if language == "python":
            ast.parse(code)
        if language == "toml":
            tomllib.loads(code)


def test_the_entry_lists_every_page() -> None:
    linked = {
        (DOCS / target.partition("#")[0]).resolve()
        for index in (DOCS / "README.md", DOCS / "laboratory" / "README.md")
        for target in (
            str((index.parent / name).relative_to(DOCS))
            for name in LINK.findall(text_of(index))
            if not name.startswith("..")
        )
    }
    assert set(DOCS.rglob("*.md")) - linked == {DOCS / "README.md"}


def test_commands_and_options_exist() -> None:
    calls = commands("mediafm")
    assert len(calls) > 20
    context = click.Context(main)
    for call in calls:
        command = main if call[0].startswith("-") else main.get_command(context, call[0])
        assert command, call
        options = {
            option
            for parameter in command.get_params(context)
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        for argument in call:
            if re.match(r"--?[a-z]", argument):
                assert argument in options, call


def test_commands_on_a_line_of_their_own_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    # The folders of examples are not on this machine.
    monkeypatch.setattr(click.Path, "convert", lambda _type, value, _parameter, _context: value)
    context = click.Context(main)
    lines = re.compile(r"^(?: {4})?mediafm ([a-z].*)$", re.MULTILINE)
    calls = [
        shlex.split(line, comments=True)
        for document in DOCUMENTS
        for line in lines.findall(text_of(document))
    ]
    assert len(calls) > 40
    for name, *arguments in calls:
        command = main.get_command(context, name)
        assert command, name
        command.make_context(name, arguments, parent=context)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for call in commands("make"):
        assert call[0] in targets, call


def test_the_table_of_settings_is_current() -> None:
    document = text_of(REFERENCE / "configuration.md")
    assert document == updated(document), "run `make docs`"


@every_document
def test_settings_exist(document: Path) -> None:
    sections = {
        name: set(type(field.default).model_fields)
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, Section)
    }
    for section, name in re.findall(r"`([a-z0-9]+)\.([a-z_0-9]+)(?: = [^`]*)?`", text_of(document)):
        recorded = document in RECORDS and f"{section}.{name}" in REMOVED_SETTINGS
        if section in sections and f".{name}" not in FILE_SUFFIXES and not recorded:
            assert name in sections[section], f"{section}.{name}"
    for section, name in re.findall(r"MEDIAFM_([A-Z0-9]+)__([A-Z0-9_]+)", text_of(document)):
        assert name.lower() in sections[section.lower()], f"{section}.{name}"


def test_every_asset_and_table_is_described() -> None:
    document = text_of(REFERENCE / "data.md")
    for spec in TITLE_ASSETS:
        assert spec.name in document
    rows = document.split("\n## DuckDB")[1].splitlines()
    for table, columns in re.findall(
        r"CREATE TABLE (\w+) \((.*?)\);", feature_tables.CREATE, re.DOTALL
    ):
        [row] = [line for line in rows if line.startswith(f"| `{table}`")]
        for column in re.findall(r"(?:^|,)\s*(\w+) [A-Z]", columns):
            assert re.search(rf"`{column}\b", row), (table, column)


def test_titles_that_the_first_pages_name_are_those_of_the_demo() -> None:
    text = text_of(REPOSITORY / "README.md")
    text += text_of(DOCS / "tutorial" / "first_catalogue.md")
    spans = re.findall(r"(?:similar|embed) (\w+) ([\d.]+) ([\d.]+)", text)
    spans += re.findall(r'\w+\("(\w+)", ([\d.]+), ([\d.]+)', text)
    partitions = re.findall(r"--partition (\w+)", text)
    assert len(spans) >= 6
    assert partitions
    samples = REPOSITORY / "samples" / "catalogue"
    for title in {*partitions, *(span[0] for span in spans)}:
        assert (samples / title).is_dir(), title
    for title, start, end in spans:
        (media,) = (path for path in (samples / title).iterdir() if path.suffix in MEDIA_SUFFIXES)
        with av.open(str(media)) as film:
            assert 0 <= float(start) < float(end) < film.duration / av.time_base
    assert "MEDIAFM_STORE=demo_store" in text
    assert "STORE ?= demo_store" in (REPOSITORY / "Makefile").read_text()
