"""Mutated inputs and kinds of them, and what running an input needs: a platform, an environment."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from benchmarks.fuzzing.corpus import TITLE, Corpus

if TYPE_CHECKING:
    from benchmarks.quick_catalogue import QuickPlatform

LINK_RATIO = 0.04
"""Ratio of the inputs from outside that are a link, a pipe or a script in place of content."""
_LIMITS = {"cpu_factor": 0.1, "memory_mb": 1024, "no_progress_s": 60.0}  # below those of `fuzz`


class RefusedError(Exception):
    """An input was refused with this sentence."""


@dataclass(frozen=True)
class Input:
    """One mutated input.

    Attributes:
        file: the file that has it, relative to the worker's folder.
        content: of the file; a path makes a link to it, None a pipe.
        mutation: names of the mutations.
    """

    file: str
    content: bytes | Path | None
    mutation: str

    def write(self, root: Path) -> Path:
        """Write the input to its file and return the path."""
        path = root / self.file
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.content is None:
            os.mkfifo(path)
        elif isinstance(self.content, Path):
            path.symlink_to(self.content)
        else:
            path.write_bytes(self.content)
        return path


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: for `--only` and the table.
        make: draws an input; called with a generator, the corpus and the worker's folder.
        run: runs it through the platform; raises `RefusedError` or an error of the project.
        names: every message that refuses the input has one of these.
    """

    name: str
    make: Callable[[Random, Corpus, Path], Input]
    run: Callable[[Path, Input], None]
    names: tuple[str, ...]


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def platform_of(root: Path, fresh_store: bool = False) -> "QuickPlatform":
    from benchmarks.quick_catalogue import QuickPlatform, settings_for

    store = root / ("fresh_store" if fresh_store else "store")
    return QuickPlatform(settings_for(root / "inbox", store, limits=_LIMITS))


def materialise_or_refuse(
    platform: "QuickPlatform", *groups: tuple[str, ...], force: bool = False
) -> None:
    from mediafm_core.pipeline.materialise import materialise

    for group in groups:
        for outcome in materialise(platform, group, TITLE, force):
            if outcome.status == "quarantined":
                raise RefusedError(outcome.reason)
