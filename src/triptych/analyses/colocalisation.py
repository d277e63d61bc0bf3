"""Which cell types lie near each other, section by section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from triptych.analyses.abundances import Neighbourhood, Section, each_section, known
from triptych.core.analysis import Material
from triptych.core.protocols import Matrix, Vector
from triptych.maths.autocorrelation import bivariate
from triptych.maths.toroidal import FEWEST, Null, null, shifts

COLUMNS = ("sample", "of", "type", "other", "r", "pvalue", "padj", "n")


@dataclass(frozen=True)
class Colocalisation(Neighbourhood):
    """Bivariate Moran's R of each pair of types, and of each type with itself (Moran's I).

    R_xy = Σ_ij w_ij (x_i - x̄)(y_j - ȳ) / √(Σ_i (x_i - x̄)² Σ_i (y_i - ȳ)²), where w_ij falls with the square
    of the distance in µm and the weights of a section of n observations sum to n. All pairs are one product.

    P-values are two-sided, against random shifts of ``other`` on a torus, which keep how smooth each map is;
    for what the seams take from that the variance is corrected.

    Parameters
    ----------
    length_um
        Length l of the weights exp(-d² / 2l²), in µm; 0 is the median distance to the nearest observation, on
        a regular array its pitch.
    cutoff
        Radius in multiples of the length, beyond which weights are 0.
    with_itself
        Whether an observation counts as its own neighbour; types in the same observation then weigh most.
    permutations
        Shifts of each section; the smallest p-value is 1 / (1 + permutations), so that adjusting it for many
        pairs needs more of them. A small array has fewer.

    Notes
    -----
    Proportions sum to 1, so that some pairs must avoid each other; compare abundances where they are known.
    """

    permutations: int = 199

    takes: ClassVar[frozenset[str]] = frozenset({"abundances"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1111/j.1538-4632.1985.tb00849.x"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.permutations < FEWEST:
            raise ValueError(f"permutations must be {FEWEST} or more; 199 gives p-values from 0.005")

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Relate all pairs of types of every role and section.

        Parameters
        ----------
        material
            Abundances by role; observations that a role lacks take part in nothing.
        rng
            Draws the shifts, the same for all roles and pairs.

        Returns
        -------
        One row per section, role and unordered pair: ``sample``, ``of`` (the role), ``type``, ``other``,
        ``r`` (NaN where either is constant), ``pvalue``, ``padj`` (Benjamini and Hochberg over the pairs of
        different types of the section and role, NaN for a type with itself) and ``n`` observations.
        ``attrs["note"]`` says what was near and what the p-values are worth.

        Raises
        ------
        DataError
            When no abundances are given, or they do not fit together; when most have no neighbour.
        """
        given = known("colocalisation", material, compared=False)
        length = self.length("colocalisation", given.places)
        parts, nulls = [], []
        for section in each_section(given):
            found, against = self._related(section, length, given.types, rng)
            parts += found
            nulls.append(against)
        table = pd.concat(parts, ignore_index=True)[list(COLUMNS)]
        table.attrs["note"] = f"{self.told(length)} {given.note} {note(nulls)}"
        return table

    def _related(
        self, section: Section, length: float, types: Mapping[str, tuple[str, ...]], rng: np.random.Generator
    ) -> tuple[list[pd.DataFrame], Null]:
        w = self.weights(section, length)
        drawn = list(shifts(section.places, self.permutations, rng, within_um=2 * length))
        tables = []
        for role, x in section.values.items():
            r = bivariate(x, w)
            against = null(section.places, x, w, iter(drawn))
            table = pairs(types[role], r, against.pvalue)
            tables.append(table.assign(sample=section.name, of=role, n=len(x)))
        return tables, against


def pairs(types: tuple[str, ...], r: Matrix, pvalue: Matrix) -> pd.DataFrame:
    """One row per unordered pair, a type with itself among them, with its adjusted p-value.

    Parameters
    ----------
    types
        Names, t of them.
    r, pvalue
        Shape (t, t); the upper triangle is told.
    """
    one, other = np.triu_indices(len(types))
    names, p = np.array(types, dtype=object), pvalue[one, other]
    padj = np.full(len(p), np.nan)
    tested = (one != other) & ~np.isnan(p)
    padj[tested] = _adjusted(p[tested])
    values = {"r": r[one, other], "pvalue": p, "padj": padj}
    return pd.DataFrame({"type": names[one], "other": names[other], **values})


def _adjusted(p: Vector) -> Vector:
    return np.asarray(false_discovery_control(p)) if len(p) else p


def note(nulls: list[Null]) -> str:
    """What the p-values are worth.

    Parameters
    ----------
    nulls
        Of each section.
    """
    partners = min(one.partners for one in nulls)
    return (
        "P-values compare R with that of maps shifted against each other on a torus, in "
        f"{_range(nulls)} ways a section, where at least {partners:.0%} of its observations had a partner. "
        "They allow for neighbours being alike, but not for a trend across the whole section, and speak "
        "of that section only."
    )


def _range(nulls: list[Null]) -> str:
    few, many = (of(one.shifts for one in nulls) for of in (min, max))
    return str(few) if few == many else f"{few} to {many}"
