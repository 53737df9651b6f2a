"""Options that all benchmarks have: `--json FILE` and `--small [FOLDER]`."""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.small_inputs import SmallInputs

Small = Callable[[SmallInputs], Sequence[str]]
"""Returns the command line of a benchmark's small setting."""


def parse(
    parser: argparse.ArgumentParser, small: Small, line: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse a benchmark's command line and add `--json` and `--small` to it.

    `--small` replaces the required arguments; options beside it override its own.

    Args:
        parser: has the benchmark's own options.
        small: called for `--small` only.
        line: the arguments, those of the process by default.
    """
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--small",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="run on small made inputs, in place of all other arguments; keep them in a folder",
    )
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--small", nargs="?", const="")
    asked, rest = first.parse_known_args(line)
    if asked.small is None:
        return parser.parse_args(line)
    return parser.parse_args([*small(SmallInputs(asked.small or _temporary_folder())), *rest])


def write_json(file: Path | None, figures: Any) -> None:
    """Write the figures to the file of `--json`, if one was given."""
    if file:
        file.write_text(json.dumps(figures, indent=2) + "\n")


def _temporary_folder() -> str:
    folder = tempfile.TemporaryDirectory(prefix="mediafm_benchmark_")
    _kept.append(folder)  # until the process ends
    return folder.name


_kept: list[tempfile.TemporaryDirectory[str]] = []
