"""One thread for kernels whose parallel sums would not give the same bits twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController, threadpool_limits

SMALL = 50_000  # observations below which a network is fitted in one thread, so that it never depends on them
_lock = Lock()
_inside = 0
_before: list[tuple[Any, int]] = []  # each BLAS, and how many threads it had


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS and OpenMP to one thread inside the block.

    OpenMP keeps its limit per thread, BLAS one for the process. The latter is set by whoever enters first
    and lifted by whoever leaves last, so that a block that ends in one thread does not lift it for a block
    still running in another.
    """
    global _inside
    with _lock:
        if _inside == 0:
            libraries = ThreadpoolController().select(user_api="blas").lib_controllers
            _before[:] = [(library, library.num_threads) for library in libraries]
            _limit([(library, 1) for library in libraries])
        _inside += 1
    try:
        with threadpool_limits(1, user_api="openmp"):
            yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limit(_before)


def threads_for(n: int) -> AbstractContextManager[None]:
    """One thread for few observations, whose result then depends on the seed alone; else as many as given.

    A product of given threads gives the same bits each time, and other bits than one of more threads.
    """
    return one_thread() if n < SMALL else nullcontext()


def _limit(threads: list[tuple[Any, int]]) -> None:
    """Set the number of threads of each BLAS, whichever thread asks."""
    for library, count in threads:
        # Newer threadpoolctl lets the first thread that set OpenBLAS alone set it again, and ignores the
        # others without a word; whoever leaves last here need not be whoever entered first.
        release = getattr(library, "clear_controlling_thread", None)
        if release is not None:
            release(force=True)
        library.set_num_threads(count)
        if release is not None:
            release(force=True)
