"""Runs of a study that fail: the others go on, so that one arm cannot cost the hours of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from triptych.core.errors import (
    DataError,
    MissingExtraError,
    NumericsError,
    RecipeError,
    TriptychError,
    WeightsError,
)  # fmt: skip

OF_AN_ARM = (DataError, NumericsError, RecipeError, MissingExtraError, WeightsError)  # not of disk or cache
ABSENT = (MissingExtraError, WeightsError)  # of a machine that lacks something


@dataclass(frozen=True, eq=False)
class Failure:
    """A run without a result.

    Parameters
    ----------
    arm
        Its arm.
    k_from
        How K was to be chosen.
    which
        The seed or the fold, in words.
    error
        Why.
    """

    arm: str
    k_from: str
    which: str
    error: TriptychError


class Failures:
    """The runs of a study that failed, in order."""

    def __init__(self) -> None:
        self.found: list[Failure] = []
        self.absent: dict[str, TriptychError] = {}  # arm → why it is left out, which is no failure

    @contextmanager
    def caught(self, arm: str, k_from: str, which: str, *, absent: bool = False) -> Iterator[None]:
        """Note an error instead of raising it; where ``absent``, one of weights or packages apart."""
        try:
            yield
        except OF_AN_ARM as error:
            if absent and isinstance(error, ABSENT):
                self.absent[arm] = error
            else:
                self.found.append(Failure(arm, k_from, which, error))

    def raise_first(self) -> None:
        """Raise the first error, for a study in which nothing ran.

        Raises
        ------
        TriptychError
            When there is one.
        """
        if self.found:
            raise self.found[0].error
        if self.absent:
            raise next(iter(self.absent.values()))

    def notes(self) -> list[str]:
        """One sentence for each arm, way to choose K, and reason."""
        grouped: dict[tuple[str, str, str], list[str]] = {}
        for one in self.found:
            told = " ".join(str(one.error).split())
            grouped.setdefault((one.arm, one.k_from, told), []).append(one.which)
        return [
            f"{arm} failed (K from {k_from}; {', '.join(which)}) and is left out there: {message}"
            for (arm, k_from, message), which in grouped.items()
        ]
