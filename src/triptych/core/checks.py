"""Collecting faults, so that a user sees all of them at once, and suggesting spellings."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from triptych.core.errors import DataError, TriptychError

SHOWN = 12


class Faults:
    """A list of faults that becomes one error.

    Parameters
    ----------
    where
        What is being checked, e.g. a path; opens the message.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.found: list[str] = []

    def add(self, fault: str) -> None:
        """Note one fault."""
        self.found.append(fault)

    def check(self, good: bool, fault: str) -> bool:  # noqa: FBT001
        """Note the fault unless ``good``; return ``good``."""
        if not good:
            self.add(fault)
        return good

    def raise_if_any(self, error: type[TriptychError] = DataError, hint: str = "") -> None:
        """Raise one error that lists every fault.

        Raises
        ------
        TriptychError
            Of the class given, when there is at least one fault.
        """
        if not self.found:
            return
        if len(self.found) == 1:
            raise error(f"{self.where}: {self.found[0]}", hint)
        lines = [f"  - {fault}" for fault in self.found[:SHOWN]]
        if len(self.found) > SHOWN:
            lines.append(f"  - … and {len(self.found) - SHOWN} more")
        raise error(f"{self.where}: {len(self.found)} faults\n" + "\n".join(lines), hint)


def listing(names: Iterable[str], limit: int = SHOWN) -> str:
    """Names as prose: at most ``limit``, then how many more there are."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) + more) or "nothing"


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint with the nearest spelling, or with what exists."""
    names = list(names)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]}?"
    return f"There is: {listing(names)}."
