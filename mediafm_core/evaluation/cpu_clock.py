"""CPU seconds of an evaluation, by kind of work and representation."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_REST = "rest"


class CpuClock:
    """Clock of this process' CPU time that divides it among kinds of work.

    Work within work counts for the inner kind only: a probe that waits for a network to be trained
    does not count the training.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._working = [(_REST, "")]
        self._since = time.process_time()

    @contextmanager
    def working(self, kind: str, on: str = "") -> Iterator[None]:
        """Count the CPU time of a block as a kind of work, on a representation if one is named."""
        self._count()
        self._working.append((kind, on))
        try:
            yield
        finally:
            self._count()
            self._working.pop()

    def seconds(self) -> dict[str, Any]:
        """Return the seconds of each kind of work, by representation where it is on one.

        `total` is their sum, `rest` the time outside of all blocks.
        """
        self._count()
        return {
            "total": sum(sum(of_kind.values()) for of_kind in self._seconds.values()),
            **{kind: of_kind.get("", dict(of_kind)) for kind, of_kind in self._seconds.items()},
        }

    def _count(self) -> None:
        now = time.process_time()
        kind, on = self._working[-1]
        self._seconds[kind][on] += now - self._since
        self._since = now
