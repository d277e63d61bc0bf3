"""Every error that triptych raises on purpose.

A message states the fact, then what exists, then what to do. Each class is also the
built-in exception a Python user would catch, and carries the exit code of the command line.
"""

from __future__ import annotations

from typing import ClassVar


class TriptychError(Exception):
    """Root of the hierarchy.

    Parameters
    ----------
    message
        The fact and what was found.
    hint
        What to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:  # KeyError would print its message in quotes
        return f"{self.message} {self.hint}".strip()


class DataError(TriptychError, ValueError):
    """The data cannot be used as they are; all faults found are listed together."""

    exit_code = 2


class MissingSlotError(DataError, KeyError):
    """A slot that is read does not exist in the table."""


class OutputError(TriptychError, OSError):
    """The output folder cannot be written, or holds something else."""

    exit_code = 2


class RecipeError(TriptychError, ValueError):
    """A recipe is not well formed; carries every fault with its place in the file."""

    exit_code = 2


class UnknownComponentError(TriptychError, LookupError):
    """No component, recipe or parameter of that name."""

    exit_code = 3


class NameClashError(TriptychError, ValueError):
    """A plug-in uses a name that is taken."""

    exit_code = 3


class MissingExtraError(TriptychError, ImportError):
    """An optional package is not installed."""

    exit_code = 4


class WeightsError(TriptychError, OSError):
    """Weights are absent, gated or corrupted."""

    exit_code = 4


class CacheError(TriptychError, OSError):
    """The cache cannot be read or written."""

    exit_code = 2


class NumericsError(TriptychError, ArithmeticError):
    """A computation did not converge or produced values that are not finite."""

    exit_code = 5


class TriptychWarning(UserWarning):
    """Something the user should know about the result."""
