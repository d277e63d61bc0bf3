"""Progress without a ``verbose`` argument: code reports, a listener may show it, silence is the default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Listener = Callable[[str, int, int], None]  # label, done, total


def _silent(_label: str, _done: int, _total: int) -> None:
    return None


_listener: ContextVar[Listener] = ContextVar("triptych_progress", default=_silent)


def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Yield the items and tell the listener how many are done."""
    tell = _listener.get()
    for done, item in enumerate(items):
        tell(label, done, total)
        yield item
    tell(label, total, total)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send progress to ``listener`` inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
