"""Prefetching keeps the order, reads one item at a time, and stops cleanly."""

import threading
from collections.abc import Iterator

import pytest

from mediafm_core.runtime.prefetch import prefetch


def test_items_come_in_order_and_none_is_mistaken_for_the_end() -> None:
    assert list(prefetch([3, None, 1, ()])) == [3, None, 1, ()]
    assert list(prefetch([])) == []


def test_the_next_item_is_taken_while_the_caller_has_one_and_no_further() -> None:
    taken = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for number, event in enumerate(taken):
            event.set()
            yield number

    reading = prefetch(items())
    assert next(reading) == 0
    assert taken[1].wait(timeout=300)  # taken before the first request
    assert not taken[2].is_set()
    assert list(reading) == [1, 2, 3]


def test_a_failure_comes_where_the_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third")

    reading = prefetch(items())
    assert [next(reading), next(reading)] == [1, 2]
    with pytest.raises(ValueError, match="the third"):
        next(reading)


def test_closing_ends_the_thread() -> None:
    before = threading.active_count()
    reading = prefetch(range(1000))
    next(reading)
    reading.close()
    assert threading.active_count() == before
