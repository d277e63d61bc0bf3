"""A pickled dictionary read as data: its opcodes are walked, and nothing that it names is imported or called.

Geneformer's dictionaries are published as pickles. What they need are text, numbers, numpy's scalars and a
dictionary of them; every other opcode, and every other name, is refused.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

VALUES: Final = frozenset(  # opcodes that push their argument
    (
        "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
        "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    )
)  # fmt: skip
CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
STORES: Final = frozenset(("BINPUT", "LONG_BINPUT"))
FETCHES: Final = frozenset(("BINGET", "LONG_BINGET"))
IDLE: Final = frozenset(("PROTO", "FRAME", "STOP"))
ENCODE, DTYPE = "_codecs.encode", "numpy.dtype"  # the first is how protocol 2 writes bytes
SCALARS: Final = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
NAMES: Final = frozenset((ENCODE, DTYPE, *SCALARS))
NUMBER: Final = re.compile(r"[iuf][1248]")
MARK: Final = object()


@dataclass(frozen=True)
class Name:
    """Something that a pickle names, known by its name alone."""

    text: str


@dataclass
class Kind:
    """A numpy type of numbers, its byte order set after it was made."""

    code: str
    order: str = "="


def dictionary(data: bytes) -> dict[Any, Any]:
    """The dictionary in a pickle of protocol 2 … 5.

    Parameters
    ----------
    data
        The file.

    Raises
    ------
    ValueError, LookupError, TypeError
        When it is damaged, or holds anything else.
    """
    machine = Machine()
    for opcode, argument, _ in pickletools.genops(data):
        machine.step(opcode.name, argument)
    if len(machine.stack) != 1 or not isinstance(machine.stack[0], dict):
        raise ValueError("it holds no dictionary")
    return machine.stack[0]


class Machine:
    """The stack and the memo that opcodes work on."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.others: dict[str, Callable[[], None]] = {
            "EMPTY_DICT": lambda: self.stack.append({}),
            "MARK": lambda: self.stack.append(MARK),
            "TUPLE": lambda: self.stack.append(tuple(self._since_mark())),
            "SETITEMS": lambda: self._set(self._since_mark()),
            "SETITEM": lambda: self._set(self._last(2)),
            "STACK_GLOBAL": lambda: self._name(".".join(self._last(2))),
            "REDUCE": lambda: self.stack.append(called(*self._last(2))),
            "BUILD": lambda: self._order(*self._last(2)),
        }

    def step(self, name: str, argument: Any) -> None:
        """Do what an opcode says, or refuse it."""
        if name in VALUES:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in STORES:
            self.memo[argument] = self.stack[-1]
        elif name in FETCHES:
            self.stack.append(self.memo[argument])
        elif name in TUPLES:
            self.stack.append(tuple(self._last(TUPLES[name])))
        elif name == "GLOBAL":
            self._name(argument.replace(" ", "."))
        elif name in self.others:
            self.others[name]()
        elif name not in IDLE:
            raise ValueError(f"it does more than hold text and numbers ({name})")

    def _last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("its stack is empty")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def _since_mark(self) -> list[Any]:
        taken = []
        while (top := self.stack.pop()) is not MARK:
            taken.append(top)
        return taken[::-1]

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("it sets items of something that is no dictionary")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _name(self, text: str) -> None:
        if text not in NAMES:
            raise ValueError(f"it names {text[:80]}")
        self.stack.append(Name(text))

    def _order(self, kind: Any, state: Any) -> None:
        """Numpy sets the byte order of a type after making it."""
        if not isinstance(kind, Kind) or state[1] not in ("<", ">", "=", "|"):
            raise TypeError("it builds something that is no type of numbers")
        kind.order = state[1]
        self.stack.append(kind)


def called(name: Any, given: Any) -> Any:
    """What one of the three names gives for its arguments, worked out here."""
    if not isinstance(name, Name) or not isinstance(given, tuple):
        raise TypeError("it calls something that has no name")
    if name.text == ENCODE:
        text, encoding = given
        if encoding != "latin1":
            raise ValueError(f"it writes bytes as {encoding}")
        return text.encode("latin1") if isinstance(text, str) else b""
    if name.text == DTYPE:
        if not NUMBER.fullmatch(str(given[0])):
            raise ValueError(f"it holds numbers of the kind {str(given[0])[:80]}")
        return Kind(given[0])
    kind, raw = given
    if not isinstance(kind, Kind) or not isinstance(raw, bytes):
        raise TypeError("it holds a scalar that is no number")
    (number,) = np.frombuffer(raw, f"{kind.order}{kind.code}")
    return number.item()
