"""The check of the prose: it finds words in sentences, and never in code."""

from pathlib import Path

import pytest

from tools.prose import findings

WORDS = {"mend(?:s|ed)?": "fix", "speaks against": "compare"}


def messages(tmp_path: Path, text: str, name: str = "module.py") -> list[str]:
    path = tmp_path / name
    path.write_text(text)
    return [f"{each.line}: {each.message}" for each in findings(path, WORDS, ["What", "How"])]


@pytest.mark.parametrize(
    "text",
    ["x = 1  # mend it\n", 'raise ValueError("mend it first")\n', '"""Files to mend."""\n'],
)
def test_a_word_is_found_in_comments_messages_and_docstrings(tmp_path: Path, text: str):
    assert messages(tmp_path, text) == ["1: 'mend': write fix"]


@pytest.mark.parametrize(
    "text",
    [
        "mend = told = 1\n",
        'column = "mend"\n',
        'text = f"{mend} is done"\n',
        '"""Call `mend` first."""\n',
        'x = "will mend it"  # prose: allow\n',
        "# commendable\n",
    ],
)
def test_code_and_allowed_lines_are_left_alone(tmp_path: Path, text: str):
    assert messages(tmp_path, text) == []


def test_the_line_of_a_finding_is_that_in_the_file(tmp_path: Path):
    text = '"""First line.\n\nThis speaks against it.\n"""\n'
    assert messages(tmp_path, text) == ["3: 'speaks against': write compare"]


def test_docstrings_open_with_a_verb_or_a_noun(tmp_path: Path):
    text = 'def f():\n    """What it does."""\n\n\nclass A:\n    """A list of whatever."""\n'
    [found] = messages(tmp_path, text)
    assert found.startswith("2: a docstring opens with 'What'")


def test_documents_are_read_line_by_line(tmp_path: Path):
    assert messages(tmp_path, "# Title\n\nIt is mended.\n", "guide.md") == [
        "3: 'mended': write fix"
    ]
