"""The documents agree with the project: links, commands, options, settings, assets and tables."""

import re
import shlex
from pathlib import Path

import av
import click
import pytest

from mediafm_core.cli.main import main
from mediafm_core.config.reference import updated
from mediafm_core.pipeline.graph import TITLE_ASSETS
from mediafm_core.store.features import feature_tables
from mediafm_core.titles.title_folder import MEDIA_SUFFIXES

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").glob("*.md"),
        *REPOSITORY.glob("samples/*.md"),
    ]
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# A command of its own line or between backticks, up to a comment or the end.
COMMAND = re.compile(r"(?:^ {4}|^|`)(mediafm|make) ([^`\n]*)", re.MULTILINE)


def commands(program: str) -> list[list[str]]:
    """Arguments of every call of a program in the documents."""
    found = [
        shlex.split(arguments, comments=True)
        for document in DOCUMENTS
        for name, arguments in COMMAND.findall(document.read_text(encoding="utf-8"))
        if name == program
    ]
    return [arguments for arguments in found if arguments]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_inside_the_project_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if not target.startswith(("https:", "http:", "#")):
            assert (document.parent / target.partition("#")[0]).exists(), target


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


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for call in commands("make"):
        assert call[0] in targets, call


def test_the_table_of_settings_is_current() -> None:
    document = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert document == updated(document), "run `make docs`"


def test_every_asset_and_table_is_described() -> None:
    document = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")
    for spec in TITLE_ASSETS:
        assert spec.name in document
    rows = document.split("\n## DuckDB")[1].splitlines()
    for table, columns in re.findall(
        r"CREATE TABLE (\w+) \((.*?)\);", feature_tables.CREATE, re.DOTALL
    ):
        [row] = [line for line in rows if line.startswith(f"| `{table}`")]
        for column in re.findall(r"(?:^|,)\s*(\w+) [A-Z]", columns):
            assert re.search(rf"`{column}\b", row), (table, column)


def test_titles_that_the_readme_names_are_those_of_the_demo() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
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
