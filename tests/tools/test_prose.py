"""The check of the prose: it finds words in sentences, and never in code."""

from pathlib import Path

import pytest

from tools.prose import findings

WORDS = {"frob(?:s|bed)?": "fix", "gives pause": "compare"}


def messages(tmp_path: Path, text: str, name: str = "module.py") -> list[str]:
    path = tmp_path / name
    path.write_text(text)
    return [f"{each.line}: {each.message}" for each in findings(path, WORDS, ["What", "How"])]


@pytest.mark.parametrize(
    "text",
    ["x = 1  # frob it\n", 'raise ValueError("frob it first")\n', '"""Files to frob."""\n'],
)
def test_a_word_is_found_in_comments_messages_and_docstrings(tmp_path: Path, text: str):
    assert messages(tmp_path, text) == ["1: 'frob': write fix"]


@pytest.mark.parametrize(
    "text",
    [
        "frob = frob2 = 1\n",
        'column = "frob"\n',
        'text = f"{frob} is done"\n',
        '"""Call `frob` first."""\n',
        'x = "will frob it"  # prose: allow\n',
        "# frobnicate\n",
    ],
)
def test_code_and_allowed_lines_are_left_alone(tmp_path: Path, text: str):
    assert messages(tmp_path, text) == []


def test_the_line_of_a_finding_is_that_in_the_file(tmp_path: Path):
    text = '"""First line.\n\nThis gives pause it.\n"""\n'
    assert messages(tmp_path, text) == ["3: 'gives pause': write compare"]


def test_docstrings_open_with_a_verb_or_a_noun(tmp_path: Path):
    text = 'def f():\n    """What it does."""\n\n\nclass A:\n    """A list of whatever."""\n'
    [found] = messages(tmp_path, text)
    assert found.startswith("2: a docstring opens with 'What'")


def test_documents_are_read_line_by_line(tmp_path: Path):
    assert messages(tmp_path, "# Title\n\nIt is frobbed.\n", "guide.md") == [
        "3: 'frobbed': write fix"
    ]
