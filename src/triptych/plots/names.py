"""Names on axes: long ones shortened, and never read as formulas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from matplotlib.text import Text

LONGEST: Final = 20  # letters of a name where many stand side by side
TYPE: Final = 28  # letters of a known type
LONG: Final = 38  # letters of a name that has a row to itself


def shortened(name: str, longest: int = LONGEST) -> str:
    """The name, or its beginning."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def ends(name: str, longest: int = LONG) -> str:
    """The name, or its beginning and end, where names differ at their ends."""
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[1 - longest // 2 :]}"


def as_text(texts: Iterable[Text]) -> None:
    """Show names as they are: a dollar sign in a name is a dollar sign."""
    for text in texts:
        text.set_parse_math(False)
