"""Ways to map a function over samples: one after the other, in threads, or on a Dask cluster.

The results do not depend on which: each call gets its own generator and its own arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol

from triptych.core.checks import nearest
from triptych.core.errors import UnknownComponentError
from triptych.core.extras import need


class Executor(Protocol):
    """Something that maps."""

    def map(self, function: Callable[..., Any], items: Iterable[Any]) -> list[Any]: ...


@dataclass(frozen=True)
class Serial:
    """One item after the other."""

    def map(self, function: Callable[..., Any], items: Iterable[Any]) -> list[Any]:
        """Apply the function to each item, in order."""
        return [function(item) for item in items]


@dataclass(frozen=True)
class Threads:
    """A pool of threads; numpy, scipy and torch release the interpreter lock.

    Parameters
    ----------
    workers
        Number of threads.
    """

    workers: int = 2

    def map(self, function: Callable[..., Any], items: Iterable[Any]) -> list[Any]:
        """Apply the function to each item, keeping their order."""
        with ThreadPoolExecutor(self.workers) as pool:
            futures = [pool.submit(copy_context().run, function, item) for item in items]
            return [future.result() for future in futures]


@dataclass(frozen=True)
class Dask:
    """A Dask cluster.

    Parameters
    ----------
    address
        Of a scheduler; empty for a local cluster of processes.
    """

    address: str = ""

    def map(self, function: Callable[..., Any], items: Iterable[Any]) -> list[Any]:
        """Send one task per item; functions and items must pickle.

        Raises
        ------
        MissingExtraError
            When Dask is not installed.
        """
        distributed = need("distributed", "dask")
        with distributed.Client(self.address or None, set_as_default=False) as client:
            return list(client.gather(client.map(function, list(items), pure=False)))


def executor(text: str) -> Executor:
    """Read ``serial``, ``threads``, ``threads:4``, ``dask`` or ``dask:tcp://host:port``.

    Raises
    ------
    UnknownComponentError
        For any other word.
    """
    name, _, rest = text.partition(":")
    if name == "serial":
        return Serial()
    if name == "threads" and (not rest or rest.isdigit()):
        return Threads(int(rest or 2))
    if name == "dask":
        return Dask(rest)
    raise UnknownComponentError(f"There is no executor {text}.", nearest(name, ["serial", "threads", "dask"]))
