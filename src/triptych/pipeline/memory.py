"""How much memory a stage took at its peak."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Final, Self

import psutil

EVERY_S: Final = 0.02
MIB: Final = 2**20


class Peak:
    """Watches the resident memory of this process, workers in other processes left out.

    A thread looks every `EVERY_S` seconds, so that a peak shorter than that may be missed.

    Attributes
    ----------
    mib
        The most that was seen, MiB.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="triptych-memory", daemon=True)
        self.mib = 0.0

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._done.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        self.mib = max(self.mib, self._process.memory_info().rss / MIB)
