from __future__ import annotations

import threading
import time

import pytest

from triptych.core.errors import DataError
from triptych.tiles.ahead import THREAD, ahead


def threads() -> int:
    return sum(thread.name.startswith(THREAD) for thread in threading.enumerate())


class Source:
    """Counts, and remembers how far it got and in which thread."""

    def __init__(self, n: int, fails_at: int = -1) -> None:
        self.n, self.fails_at, self.made, self.closed = n, fails_at, 0, False
        self.names: set[str] = set()

    def __iter__(self):
        try:
            for k in range(self.n):
                self.names.add(threading.current_thread().name)
                if k == self.fails_at:
                    raise DataError("a damaged chunk")
                self.made += 1
                yield k
        finally:
            self.closed = True


@pytest.mark.parametrize("depth", [1, 3, 50])
@pytest.mark.parametrize("n", [0, 1, 20])
def test_all_items_in_order(n, depth):
    source = Source(n)
    assert list(ahead(iter(source), depth)) == list(range(n))
    assert threads() == 0
    assert all(name.startswith(THREAD) for name in source.names)


def test_no_more_than_the_depth_is_made_ahead():
    source = Source(100)
    items = ahead(iter(source), 3)
    for k in range(10):
        assert next(items) == k
        time.sleep(0.01)
        assert source.made <= k + 1 + 3
    assert source.made >= 12  # it does work ahead
    items.close()


def test_nothing_is_made_before_the_first_is_asked_for():
    source = Source(5)
    items = ahead(iter(source), 2)
    time.sleep(0.01)
    assert (source.made, threads()) == (0, 0)
    assert next(items) == 0
    items.close()


def test_errors_surface_where_the_item_would_have_come():
    items = ahead(iter(Source(10, fails_at=4)), 3)
    assert [next(items) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(DataError, match="a damaged chunk"):
        next(items)
    assert threads() == 0


def test_an_abandoned_generator_ends_its_thread():
    source = Source(10**9)
    for k in ahead(iter(source), 3):
        if k == 5:
            break
    assert threads() == 0  # the loop's generator has no other owner, so it is closed at once
    assert source.made < 20
    assert source.closed
    items = ahead(iter(Source(10**9)), 3)
    next(items)
    assert threads() == 1
    del items
    assert threads() == 0


def test_an_error_of_the_consumer_ends_the_thread():
    def consume():
        for _ in ahead(iter(Source(10**9)), 3):
            raise RuntimeError("the encoder failed")

    with pytest.raises(RuntimeError, match="the encoder failed") as caught:
        consume()
    del caught
    assert threads() == 0
