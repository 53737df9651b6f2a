"""Read the next while the one before is computed."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterable[Item]) -> Generator[Item]:
    """The items in their order, each taken in a thread while the caller has the one before.

    One item waits at a time, so memory is that of two. What taking an item raises is raised where
    the item would have come. Close the generator to stop early.

    Args:
        items: lazy, a generator that reads files for instance; advanced in one thread only.
    """
    end = object()
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        waiting = pool.submit(next, iterator, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # the end is none of them
