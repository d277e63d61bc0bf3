"""Which cell types a guess finds, and which it finds no better than a control that sees no image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import pandas as pd

from triptych.analyses.abundances import CONTROL, TRUTH, Known, Section, each_section, known
from triptych.analyses.predictability_draws import Draws, correlations, over_sections
from triptych.core.analysis import Material
from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.core.protocols import Matrix, Vector
from triptych.maths.bootstrap import LEVEL, spatial_blocks

MEAN: Final = "control-mean"
BLOCKS: Final = 3  # of each section that an interval needs
COLUMNS: Final = (
    "type", "guess", "control", "n", "pearson", "pearson_control", "difference", "low", "high", "skill",
    "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Predictability:
    """Correlation of each guess with the truth, type by type, beside that of each control.

    r is Pearson's within a section, averaged over the sections, so that no difference between sections helps.
    The interval of r_guess - r_control draws blocks of neighbours within each section, the same for both.
    Skill is 1 - MSE / MSE_0, with MSE_0 that of the role ``control-mean``, or where there is none that of
    each section's own mean, which no guess is told.

    Parameters
    ----------
    draws
        Of blocks.
    per_side
        Blocks along the longer side of a section.

    Notes
    -----
    Roles are ``truth``, controls whose names begin with ``control-``, and guesses. ``control-mean`` knows
    nothing of an observation, so its correlation is 0 by definition: that of means which were learned on
    other parts of the section would be below 0 by construction.
    """

    draws: int = 1000
    per_side: int = 5

    takes: ClassVar[frozenset[str]] = frozenset({"abundances"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.draws < 100:
            raise ValueError("draws must be 100 or more; 1000 gives ends of an interval to about a hundredth")
        if self.per_side < 2:
            raise ValueError("per_side must be 2 or more")

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Compare every guess with every control.

        Parameters
        ----------
        material
            Abundances by role, all of the same types.
        rng
            Draws the blocks.

        Returns
        -------
        One row per guess, control and type: ``type``, ``guess``, ``control``, ``n`` observations,
        ``pearson``, ``pearson_control``, their ``difference`` with the ``low`` and ``high`` end of its 95 %
        interval (NaN where a section makes fewer than three blocks), ``skill`` of the guess, and a
        ``verdict`` in words. ``attrs["note"]`` says over what.

        Raises
        ------
        DataError
            When there is no truth, guess or control, or they do not fit together.
        """
        given = known("predictability", material, compared=True)
        controls = [role for role in given.values if role.startswith(CONTROL)]
        guesses = [role for role in given.values if role not in (TRUTH, *controls)]
        _check_roles(given, guesses, controls)
        whole = list(each_section(given))
        parts = [_with_one_mean(section) for section in whole]
        r = {
            role: correlations([part.values for part in parts], TRUTH, role) for role in (*guesses, *controls)
        }
        drawn = self._drawn(parts, rng)
        tables = []
        for guess in guesses:
            skill = _skill(whole, guess)
            for control in controls:
                low, high = _interval(drawn, guess, control, len(skill))
                found = {
                    "pearson": r[guess],
                    "pearson_control": r[control],
                    "difference": r[guess] - r[control],
                }
                found |= {"low": low, "high": high, "skill": skill}
                names = {
                    "type": np.array(given.types[TRUTH], dtype=object),
                    "guess": guess,
                    "control": control,
                }
                tables.append(pd.DataFrame({**names, "n": _rows(parts), **found}))
        table = pd.concat(tables, ignore_index=True)
        table["verdict"] = [verdict(*row) for row in table[["control", "pearson", "low", "high"]].to_numpy()]
        table = table[list(COLUMNS)]
        table.attrs["note"] = self._note(given, parts, bool(drawn))
        return table

    def _drawn(self, parts: list[Section], rng: np.random.Generator) -> dict[str, Matrix]:
        """Role → correlations in draws, shape (draws, t); nothing where a section makes too few blocks."""
        blocks = [spatial_blocks(part.places.um, self.per_side) for part in parts]
        if min(int(of.max()) + 1 for of in blocks) < BLOCKS:
            return {}
        found: dict[str, list[Matrix]] = {}
        for part, of in zip(parts, blocks, strict=True):
            draws = Draws.of(of, self.draws, rng)
            for role, x in part.values.items():
                if role != TRUTH:
                    found.setdefault(role, []).append(draws.correlations(part.values[TRUTH], x))
        return {role: over_sections(some) for role, some in found.items()}

    def _note(self, given: Known, parts: list[Section], drawn: bool) -> str:  # noqa: FBT001
        against = "the control's mean" if MEAN in given.values else "each section's own mean"
        interval = (
            f"Intervals draw blocks of neighbours within sections ({self.per_side} a side, {self.draws} "
            "draws): they speak of these sections, not of other donors, and of one type at a time."
            if drawn else f"There is no interval, for a section makes fewer than {BLOCKS} blocks."
        )  # fmt: skip
        return (
            f"Correlations are those within sections, averaged over {len(parts)}. {interval} Skill is "
            f"measured against {against}. {given.note}"
        )


def verdict(control: str, pearson: float, low: float, high: float) -> str:
    """What an interval of the difference to a control says.

    Parameters
    ----------
    control
        Its role.
    pearson
        Of the guess.
    low, high
        Ends of the interval.
    """
    if np.isnan(pearson):
        return "the truth is constant"
    if np.isnan(low):
        return "no interval"
    if low > 0:
        return "predicted" if pearson > 0 else f"better than {control}, but not correlated"
    return f"worse than {control}" if high < 0 else f"not told apart from {control}"


def _check_roles(given: Known, guesses: list[str], controls: list[str]) -> None:
    there = f"there is: {listing(given.values)}."
    if not guesses:
        raise DataError(f"predictability: no role is a guess; {there}", "Name a prediction, e.g. as guess.")
    if not controls:
        raise DataError(
            f"predictability: no role is a control; {there}",
            "Predict with one too, e.g. mean, and call its role control-mean.",
        )


def _with_one_mean(section: Section) -> Section:
    """The same, with a control that is constant in the section, whatever its mean was learned on."""
    values = dict(section.values)
    if MEAN in values:
        values[MEAN] = np.broadcast_to(values[MEAN].mean(axis=0), values[MEAN].shape)
    return section._replace(values=values)


def _rows(parts: list[Section]) -> int:
    return sum(len(part.values[TRUTH]) for part in parts)


def _skill(parts: list[Section], guess: str) -> Vector:
    """1 - MSE / MSE of the mean, shape (t,); NaN where the mean misses nothing."""
    missed, naive = [], []
    for part in parts:
        truth = part.values[TRUTH]
        missed.append(np.square(part.values[guess] - truth).sum(axis=0))
        naive.append(np.square(part.values.get(MEAN, truth.mean(axis=0)) - truth).sum(axis=0))
    most = np.sum(naive, axis=0)
    return np.asarray(
        1 - np.divide(np.sum(missed, axis=0), most, out=np.full(most.shape, np.nan), where=most > 0)
    )


def _interval(drawn: dict[str, Matrix], guess: str, control: str, types: int) -> tuple[Vector, Vector]:
    """Low and high end of each type; NaN where fewer than half of the draws tell a difference."""
    nothing = np.full(types, np.nan)
    if not drawn:
        return nothing, nothing
    difference, tail = drawn[guess] - drawn[control], (1 - LEVEL) / 2
    known = np.isnan(difference).mean(axis=0) < 0.5
    low, high = np.nanquantile(np.where(known, difference, 0.0), [tail, 1 - tail], axis=0)
    return np.where(known, low, nothing), np.where(known, high, nothing)
