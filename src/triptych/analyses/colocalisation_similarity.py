"""Whether guessed cell types lie near each other where known ones do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from triptych.analyses.abundances import TRUTH, Neighbourhood, each_section, known
from triptych.core.analysis import Material
from triptych.core.protocols import Matrix, Vector
from triptych.maths.autocorrelation import bivariate
from triptych.maths.correlations import by_column, mean_of_known


@dataclass(frozen=True)
class ColocalisationSimilarity(Neighbourhood):
    """Likeness of two maps of bivariate Moran's R, of the truth and of a guess, over all pairs of types.

    Types whose truth is constant in a section are left out; where only the guess is constant, R counts 0.

    Parameters
    ----------
    length_um
        Length l of the weights exp(-d² / 2l²), in µm; 0 is the median distance to the nearest observation, on
        a regular array its pitch.
    cutoff
        Radius in multiples of the length, beyond which weights are 0.
    with_itself
        Whether an observation counts as its own neighbour; types in the same observation then weigh most.
    diagonal
        Whether rows hold the R of a type with itself, which is near 1 in any smooth map and so makes
        all maps alike.
    """

    diagonal: bool = False

    takes: ClassVar[frozenset[str]] = frozenset({"abundances"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1111/j.1538-4632.1985.tb00849.x"

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Compare the map of every role with that of the truth.

        Parameters
        ----------
        material
            Abundances by role, ``truth`` among them, all of the same types.
        rng
            Not used.

        Returns
        -------
        One row per section and guess: ``sample``, ``guess`` (the role), ``cosine`` of the rows of both maps,
        averaged over the types, ``correlation`` (Pearson's) over the pairs of different types, and how many
        ``types`` were compared. NaN where too few were. ``attrs["note"]`` says what was near.

        Raises
        ------
        DataError
            When there is no truth and guess, or they do not fit together; when most have no neighbour.
        """
        name = "colocalisation-similarity"
        given = known(name, material, compared=True)
        length, rows = self.length(name, given.places), []
        for section in each_section(given):
            w = self.weights(section, length)
            maps = {role: bivariate(x, w) for role, x in section.values.items()}
            kept = ~np.isnan(np.diag(maps[TRUTH]))
            truth, *guesses = (maps[role][kept][:, kept] for role in (TRUTH, *_others(maps)))
            for role, guess in zip(_others(maps), guesses, strict=True):
                guess = np.nan_to_num(guess)
                alike = {"cosine": cosine(truth, guess, diagonal=self.diagonal), "types": len(truth)}
                alike["correlation"] = correlation(truth, guess)
                rows.append({"sample": section.name, "guess": role, **alike})
        table = pd.DataFrame(rows, columns=["sample", "guess", "cosine", "correlation", "types"])
        itself = "with" if self.diagonal else "without"
        table.attrs["note"] = f"Rows are compared {itself} a type's own R. {self.told(length)} {given.note}"
        return table


def cosine(truth: Matrix, guess: Matrix, *, diagonal: bool) -> float:
    """Cosine of each row of two maps, averaged over the rows; NaN without any row.

    A row of zeros in the guess counts 0, one in the truth is left out.

    Parameters
    ----------
    truth, guess
        Shape (t, t).
    diagonal
        Whether it counts.
    """
    if not diagonal:
        truth, guess = (np.where(np.eye(len(truth)) > 0, 0.0, r) for r in (truth, guess))
    product = np.einsum("ij,ij->i", truth, guess)
    one, other = (np.linalg.norm(r, axis=1) for r in (truth, guess))
    values = np.divide(product, one * other, out=np.zeros_like(product), where=one * other > 0)
    return mean_of_known(np.where(one > 0, values, np.nan))


def correlation(truth: Matrix, guess: Matrix) -> float:
    """Pearson correlation of what stands above the diagonal of two maps; NaN with fewer than two such pairs.

    Parameters
    ----------
    truth, guess
        Symmetric, shape (t, t).
    """
    above = np.triu_indices(len(truth), 1)
    if len(above[0]) < 2:
        return float("nan")
    found: Vector = by_column(truth[above][:, None], guess[above][:, None])
    return float(found[0])


def _others(roles: dict[str, Matrix]) -> list[str]:
    return [role for role in roles if role != TRUTH]
