"""Prefetching: read the next item while the current one is processed."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterable[Item]) -> Generator[Item]:
    """Yield items in order, each read in a thread while the caller processes the one before.

    One item is buffered, so memory is that of two. An error of reading an item is raised
    instead of it. Close the generator to stop early.

    Args:
        items: lazy, a generator that reads files for instance; advanced in one thread only.
    """
    end = object()
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        waiting = pool.submit(next, iterator, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # the end is none of them
