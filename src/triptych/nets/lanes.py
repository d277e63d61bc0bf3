"""Coarse parallelism on the CPU: a few long tasks side by side, each in one thread.

Many small operations, each split among threads, wait for each other at every one of them; where another
process wants the same cores, almost all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import torch
from threadpoolctl import ThreadpoolController

Task = TypeVar("Task")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
    """Results of the tasks in their order.

    Parameters
    ----------
    work
        Of one task; must keep to torch and to what no other task writes. Gradients are not recorded.
    tasks
        At most as many as torch has threads.
    """
    if len(tasks) < 2:
        return [work(task) for task in tasks]
    _openmp()  # found once, before the threads ask
    with ThreadPoolExecutor(len(tasks), initializer=_alone) as pool:
        return list(pool.map(_without_gradients(work), tasks))


def _without_gradients(work: Callable[[Task], Result]) -> Callable[[Task], Result]:
    def run(task: Task) -> Result:
        with torch.no_grad():
            return work(task)

    return run


@cache
def _openmp() -> tuple[Any, ...]:
    return tuple(ThreadpoolController().select(user_api="openmp").lib_controllers)


def _alone() -> None:
    """Hold the calling thread, and no other, to itself."""
    torch.get_num_threads()  # the first question sets what the caller may have chosen, and only the first
    for library in _openmp():
        library.set_num_threads(1)
