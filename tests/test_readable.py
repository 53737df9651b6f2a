"""Text from outside is harmless and short wherever it is shown or kept."""

import html
import io
import json
import os
from pathlib import Path

import pytest
import small_catalogue
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from small_catalogue import SmallCatalogue

from mediafm_assets.cli.run_table import closing_table, print_reasons
from mediafm_core.cli.main import main
from mediafm_core.config.settings import load_settings
from mediafm_core.disk.seals import read_sealed_json
from mediafm_core.errors import TitleError
from mediafm_core.pipeline.materialise import materialise
from mediafm_core.pipeline.planning.asset_states import catalogue_states
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.readable import LONGEST_LINE, UNSAFE, as_markdown, inert, one_line, printable

EVIL = "a\x1b[2J\x9b31m\x07\nb\rc\u202ed\u2066e\u2028f[red]"


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a store whose one title has such a name, and an inbox with such folders."""
    monkeypatch.setitem(small_catalogue.NAMES, "alpha", EVIL)
    small = SmallCatalogue(tmp_path / "store").filled("alpha")
    inbox = tmp_path / "inbox"
    (inbox / EVIL).mkdir(parents=True)
    (inbox / os.fsdecode(b"caf\xe9")).mkdir()
    (inbox / "bad").mkdir()
    (inbox / "bad" / "title.json").write_text(
        json.dumps({"title_id": "bad", "name": EVIL, "kind": "film", "language": "x" * 900_000})
    )
    monkeypatch.setenv("MEDIAFM_STORE", str(small.root))
    monkeypatch.setenv("MEDIAFM_INBOX", str(inbox))
    return tmp_path


def mediafm(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def is_harmless(text: str) -> bool:
    return not UNSAFE.search(text.replace("\n", ""))


@pytest.mark.parametrize(
    "command",
    [
        ["sql", "SELECT name, [name] AS names, {'n': name} AS n FROM titles"],
        ["sql", f'SELECT 1 AS "{EVIL.replace(chr(10), " ")}"'],
        ["sql", "SELECT name FROM titles", "--json"],
        ["sql", f"SELECT {EVIL}"],
        ["status"],
        ["status", "--json"],
        ["status", "--titles", EVIL],
        ["embed", EVIL, "0", "1"],
        ["similar", EVIL, "0", "1"],
        ["evaluate", "--label", EVIL],
        ["models", EVIL],
        ["release", EVIL],
        ["retire", EVIL],
    ],
    ids=lambda command: printable(" ".join(command))[:40],
)
def test_no_command_prints_control_characters(catalogue: Path, command: list[str]) -> None:
    platform = Platform(load_settings())
    materialise(platform, ("title",), "bad")
    result = mediafm(*command)
    assert is_harmless(result.stdout)
    assert is_harmless(result.stderr)
    assert result.stdout or result.stderr
    if result.exit_code:
        assert result.stderr.count("\n") == 1


def test_a_name_keeps_its_row(catalogue: Path) -> None:
    shown = mediafm("sql", "SELECT name FROM titles").stdout
    assert r"a\x1b[2J\x9b31m\x07\nb\rc\u202ed\u2066e\u2028f[red]" in shown


def test_the_closing_table_of_a_run(catalogue: Path) -> None:
    platform = Platform(load_settings())
    materialise(platform, ("title",), "bad")
    console = Console(file=io.StringIO(), width=200)
    of_inbox = [each for each in catalogue_states(platform) if each.state != "orphaned"]
    console.print(closing_table(of_inbox, platform))
    print_reasons(of_inbox, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert is_harmless(shown)
    assert r"a\x1b[2J\x9b31m\x07\nb\rc\u202ed\u2066e\u2028f[red]" in shown


def test_a_reason_is_short_wherever_it_goes(catalogue: Path) -> None:
    platform = Platform(load_settings())
    [outcome] = materialise(platform, ("title",), "bad")
    assert outcome.status == "quarantined"
    assert len(outcome.reason) <= LONGEST_LINE
    assert f"title.json: field 'language' has the value \"{'x' * 9}" in outcome.reason
    assert outcome.reason.endswith("...: string should have at most 1000 characters.")
    [entry] = Quarantine(platform.store)
    assert entry.reason == outcome.reason
    assert (catalogue / "store" / "quarantine" / "bad.json").stat().st_size < 2000


def test_an_entry_of_an_earlier_version_is_shortened_too(catalogue: Path) -> None:
    quarantine = Quarantine(Platform(load_settings()).store)
    quarantine.add("bad", "title", "A reason.", "f")
    path = catalogue / "store" / "quarantine" / "bad.json"
    before = read_sealed_json(path.read_bytes())  # earlier versions wrote no seal
    path.write_text(json.dumps({**before, "reason": "A" * 900_000}))
    [entry] = quarantine
    assert len(entry.reason) <= LONGEST_LINE


@given(st.text())
def test_printable_text_has_no_control_characters(text: str) -> None:
    assert not UNSAFE.search(printable(text))
    assert printable(printable(text)) == printable(text)


@given(st.text(max_size=40), st.integers(0, 5000), st.text(max_size=40))
def test_the_beginning_and_the_end_of_a_line_are_kept(start: str, times: int, end: str) -> None:
    text = f"A {start} " + "x" * times + f" {end} z"
    line = one_line(TitleError(text))
    assert len(line) <= LONGEST_LINE
    assert not UNSAFE.search(line)
    assert line.startswith(printable(" ".join(f"A {start}".split())))
    assert line.endswith(printable(" ".join(f"{end} z".split())))
    assert one_line(line) == line


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "![](http://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "<javascript:alert(1)>",
    "http://evil.example",
    "www.evil.example and x@evil.example",
    "| a | b |",
    "`code` *strong* _x_ ~~y~~",
    "[^1]: note",
    "[x]: http://evil.example",
    "&lt;b&gt; &#60;b&#62;",
    "\\<b> \\\\<b>",
    "\x1b[31mred\x1b[0m \u202eesrever",
    "# heading\n\n<b>",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("frame", ["{}", "| a |\n|---|\n| {} |", "![{}](data:image/png;base64,)"])
def test_markdown_shows_a_text_and_means_nothing_else(text: str, frame: str) -> None:
    markdown_it = pytest.importorskip("markdown_it")
    parser = markdown_it.MarkdownIt("gfm-like", {"html": True, "linkify": False})
    shown = as_markdown(text)
    plain, outside = [], {"text", "paragraph_open", "paragraph_close", "inline", "text_special"}
    waiting = parser.parse(frame.format(shown))
    while waiting:
        token = waiting.pop(0)
        waiting[:0] = token.children or []
        if token.type in ("text", "text_special"):
            plain.append(token.content)
        elif token.type == "image":
            assert token.attrs["src"].startswith("data:")
        else:
            assert token.type in outside or token.type.startswith(("table", "th", "tr", "td", "tb"))
    assert printable(" ".join(text.split())) in "".join(plain)


@pytest.mark.parametrize("text", HOSTILE)
def test_an_inert_text_looks_the_same_as_markdown_and_means_nothing_else(text: str) -> None:
    markdown_it = pytest.importorskip("markdown_it")
    parser = markdown_it.MarkdownIt("gfm-like", {"html": True, "linkify": False})
    assert inert(text).replace("\u2060", "") == printable(text)
    waiting = parser.parse(inert(text))
    while waiting:
        token = waiting.pop(0)
        waiting[:0] = token.children or []
        assert not token.type.startswith(("html", "link", "image"))


@given(st.text())
def test_nothing_is_lost_on_the_way_through_markdown(text: str) -> None:
    assert html.unescape(as_markdown(text)) == printable(" ".join(text.split()))
