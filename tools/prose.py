"""Check the prose of the project: words that were cleared out, and how docstrings open.

    python -m tools.prose            # every Python file and document that Git has

Prints one line per finding, with the file, the line and a better word; exits with 1 if there are
any. The words are in `tools/prose.toml`. Only prose is read: docstrings, comments and strings that
are sentences, never identifiers. A line that must quote a word ends in `# prose: allow`.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]
ALLOWED = "prose: allow"
_CODE_IN_PROSE = re.compile(
    r"`[^`\n]*`|\{[^{}\n]*\}|'[\w-]+'|(?<=.)\"[\w-]+\"(?=.)|\w+(?:[.-]\w+)+"
)
"""Code that prose quotes, placeholders of f-strings, and names with dots and hyphens."""
_STORED = ":(exclude)tests/model/golden"
"""Files of a model as an earlier version wrote them, whose digests tests compare."""
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Finding(NamedTuple):
    """A line of a file whose prose is to be changed, and how."""

    path: Path
    line: int
    message: str


def sentences_of_python(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line number and text of each comment, docstring and string that is a sentence."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (
            token.type in (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1))
            and " " in token.string
        ):
            for offset, line in enumerate(token.string.split("\n")):
                yield token.start[0] + offset, line


def docstring_openings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line number and first word of every docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED) and (text := ast.get_docstring(node)):
            first = text.split(maxsplit=1)[0] if text.split() else ""
            yield node.body[0].lineno, first.strip(".,:;`")


def findings(path: Path, words: dict[str, str], openings: list[str]) -> Iterator[Finding]:
    """Yield what is to be changed in one file."""
    source = path.read_text(encoding="utf-8")
    lines = source.split("\n")
    is_python = path.suffix == ".py"
    patterns = {re.compile(rf"\b(?:{word})\b", re.IGNORECASE): words[word] for word in words}
    for number, text in sentences_of_python(source) if is_python else enumerate(lines, 1):
        if ALLOWED in lines[number - 1]:
            continue
        prose = _CODE_IN_PROSE.sub("", text)
        for pattern, better in patterns.items():
            for match in pattern.finditer(prose):
                yield Finding(path, number, f"{match[0]!r}: write {better}")
    if is_python:
        for number, word in docstring_openings(source):
            if word in openings:
                message = f"a docstring opens with {word!r}: begin with a verb or a noun phrase"
                yield Finding(path, number, message)


def main() -> int:
    """Check all files of the project and return the exit status."""
    rules = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.md", _STORED],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    found = [
        finding
        for name in tracked.stdout.splitlines()
        if (REPOSITORY / name).is_file()
        for finding in findings(REPOSITORY / name, rules["words"], rules["openings"]["refused"])
    ]
    for each in found:
        print(f"{each.path.relative_to(REPOSITORY)}:{each.line}: {each.message}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
