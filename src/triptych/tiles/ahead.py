"""Working ahead of whoever consumes, by a bounded number of items."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
THREAD = "triptych-ahead"


def ahead(source: Iterator[Item], depth: int) -> Iterator[Item]:
    """The items of an iterator in their order, made in a thread while earlier ones are consumed.

    Parameters
    ----------
    source
        What makes the items, none of which is None. It runs in one thread.
    depth
        How many items are made before they are asked for; these and the one consumed are held.

    Yields
    ------
    The items. An error of the source surfaces where its item would have come. The thread ends with the
    generator, also when that is closed before its end.
    """
    with ThreadPoolExecutor(1, THREAD) as pool:
        waiting: deque[Future[Item | None]] = deque(pool.submit(next, source, None) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(next, source, None))
                yield item
        finally:
            for future in waiting:
                future.cancel()
