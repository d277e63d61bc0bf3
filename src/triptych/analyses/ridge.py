"""How much of each gene a space foretells, by ridge regression on cells that it did not learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import numpy as np
import pandas as pd
import scipy.linalg as la
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from scipy.stats import false_discovery_control

from triptych.analyses.groups import given
from triptych.core.analysis import Material
from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.core.protocols import Array, Indices, Matrix, Places, Vector
from triptych.maths.counts import checked, detected_in, logged, normalised
from triptych.maths.folds import block_test, blocks_of, by_place, random_test
from triptych.maths.threads import one_thread

WIDEST: Final = 4096  # columns of a space whose products are formed whole
FEWEST: Final = 10  # observations, so that two are tested where a fifth is
WELL: Final = 0.2  # R² that the note calls predicted
# Variance, as a share of the squared mean, that is rounding and nothing else: of values that were centred
# before they were squared, and of those that were not, so that they stay sparse.
ALIKE: Final = 1e-24
ALIKE_SPARSE: Final = 1e-10


class Sums(NamedTuple):
    """Moments of a set of rows, from which regressions follow without a prediction for any row.

    Attributes
    ----------
    n
        Number of rows.
    x, y
        Means of the columns, shapes (d,) and (g,).
    xx, xy, yy
        Mean products of centred columns, shapes (d, d) and (d, g), and mean squares, (g,); 0 of a column that
        is constant.
    """

    n: int
    x: Vector
    y: Vector
    xx: Matrix
    xy: Matrix
    yy: Vector


@dataclass(frozen=True)
class Ridge:
    """Regression of the log-normalised counts of each gene on a space, standardised by what was learned from.

    β = (ZᵀZ + αI)⁻¹ Zᵀy (Hoerl and Kennard 1970), for all genes from one Cholesky decomposition.

    Parameters
    ----------
    alpha
        Weight of the penalty α‖β‖².
    splits
        Random divisions into what is learned from and what is tested.
    test_share
        Of the observations.
    blocks
        Blocks of neighbours along the longer side of a section.
    target_sum
        Total of each observation after normalising; None takes the median of the totals above zero.
    """

    alpha: float = 1.0
    splits: int = 5
    test_share: float = 0.2
    blocks: int = 5
    target_sum: float | None = None

    takes: ClassVar[frozenset[str]] = frozenset({"x", "counts"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1080/00401706.1970.10488634"

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise ValueError("alpha must be above 0")
        if self.splits < 1 or self.blocks < 2:
            raise ValueError("splits must be at least 1 and blocks at least 2")
        if not 0 < self.test_share < 1:
            raise ValueError("test_share must lie between 0 and 1")
        if self.target_sum is not None and not self.target_sum > 0:
            raise ValueError("target_sum must be above 0, or null for the median")

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Learn and test.

        Parameters
        ----------
        material
            A space, counts and places. Observations without a label take part in nothing, unless none has
            one: then all do. What the labels are plays no part.
        rng
            Draws the splits.

        Returns
        -------
        One row per gene that is seen, by falling R²: ``gene``, ``r2`` (on what was tested, mean over the
        splits in which the gene varies there), ``deviation`` (over these splits), ``r2_blocks`` (where whole
        blocks of neighbours are tested; squares are summed over the splits, for a gene may hardly vary in
        some blocks), ``latent`` (column of the space with the lowest p-value of a linear regression on it
        alone, F-test, over all observations), its ``pvalue`` and ``padj`` (Benjamini and Hochberg over genes
        and columns). Missing where a gene varies in too few splits. ``attrs["note"]`` sums up.

        Raises
        ------
        DataError
            When space or counts are missing or do not fit, or there are too few observations or blocks.
        """
        x, y, genes, places = self._ready(material)
        blocks = blocks_of(places, self.blocks)
        n = len(blocks)
        with one_thread():
            missed, varied = self._squares(x, y, lambda: random_test(n, self.test_share, rng))
            drawn = pd.DataFrame(1 - _over(missed, varied))
            missed, varied = self._squares(x, y, lambda: block_test(blocks, self.test_share, rng))
            latent, pvalue, padj = _univariate(sums(x, y))
        table = pd.DataFrame(
            {
                "gene": genes.astype(object),
                "r2": drawn.mean().to_numpy(),
                "deviation": drawn.std().to_numpy(),
                "r2_blocks": 1 - _over(missed.sum(axis=0), varied.sum(axis=0)),
                "latent": latent,
                "pvalue": pvalue,
                "padj": padj,
            }
        )
        table = table.sort_values("r2", ascending=False, kind="stable", ignore_index=True)
        table.attrs["note"] = note(table)
        return table

    def _ready(self, material: Material) -> tuple[Array, sp.csr_matrix, NDArray[np.str_], Places]:
        """Space, log-normalised counts and genes of the observations that take part, ordered by place."""
        x, counts = _space(material), given("ridge", material)
        order = by_place(material.places)
        rows = order[material.labels[order] >= 0] if (material.labels >= 0).any() else order
        if len(rows) < FEWEST:
            raise DataError(
                f"ridge: {len(rows)} observations are too few; there must be {FEWEST}.", "Label more of them."
            )
        y = logged(normalised(checked(counts.matrix)[rows], self.target_sum))
        seen = np.flatnonzero(detected_in(y) > 0)
        places = Places(material.places.um[rows], material.places.sample[rows])
        return x[rows], y[:, seen], counts.genes[seen], places

    def _squares(
        self, x: Array, y: sp.csr_matrix, draw: Callable[[], NDArray[np.bool_]]
    ) -> tuple[Matrix, Matrix]:
        """Σ(y - ŷ)² and Σ(y - ȳ)² of what each split tests, two arrays of shape (splits, g)."""
        missed, varied = [], []
        for _ in range(self.splits):
            test = draw()
            tested = sums(x[test], y[test])
            missed.append(tested.n * residual(sums(x[~test], y[~test]), tested, self.alpha))
            varied.append(tested.n * tested.yy)
        return np.stack(missed), np.stack(varied)


def sums(x: Array, y: sp.csr_matrix) -> Sums:
    """Moments of rows; neither matrix is centred in memory where it is sparse.

    Parameters
    ----------
    x
        Shape (n, d), dense or CSR.
    y
        CSR of shape (n, g).
    """
    n, x = x.shape[0], x.astype(np.float64)
    x_mean, y_mean = (np.asarray(part.mean(axis=0)).ravel() for part in (x, y))
    if isinstance(x, np.ndarray):
        x -= x_mean
        xx, xy = x.T @ x / n, np.asarray(y.T @ x).T / n  # the centred columns sum to 0
    else:
        xx = np.asarray((x.T @ x).toarray()) / n - np.outer(x_mean, x_mean)
        xy = np.asarray((x.T @ y).toarray()) / n - np.outer(x_mean, y_mean)
    yy = np.asarray(y.multiply(y).mean(axis=0)).ravel() - y_mean**2
    least = ALIKE if isinstance(x, np.ndarray) else ALIKE_SPARSE
    varied, expressed = np.diag(xx) > least * x_mean**2, yy > ALIKE_SPARSE * y_mean**2
    xx, xy = np.where(np.outer(varied, varied), xx, 0), np.where(np.outer(varied, expressed), xy, 0)
    return Sums(n, x_mean, y_mean, xx, xy, np.where(expressed, yy, 0))


def residual(learned: Sums, tested: Sums, alpha: float) -> Vector:
    """Mean square of what a regression misses of every gene, shape (g,).

    With Z standardised and ȳ' averaged by what was learned, the mean square of y - ȳ' - Zβ is that of the
    centred columns, yy - 2βᵀzy + βᵀ(zz)β, plus (ȳ - ȳ' - z̄β)².

    Parameters
    ----------
    learned, tested
        Moments of the rows.
    alpha
        Weight of the penalty.
    """
    variance = np.diag(learned.xx)
    scale = np.sqrt(np.where(variance > 0, variance, 1))
    zz, zy = learned.xx / np.outer(scale, scale), learned.xy / scale[:, None]
    penalised = zz + alpha / learned.n * np.eye(len(scale))
    beta = la.cho_solve(la.cho_factor(penalised), zy) / scale[:, None]
    shift = tested.y - learned.y - (tested.x - learned.x) @ beta
    fit = 2 * tested.xy - tested.xx @ beta
    return np.asarray(tested.yy - (beta * fit).sum(axis=0) + shift**2)


def _over(part: Matrix, whole: Matrix) -> Matrix:
    """The ratio, missing where the whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0))


def _univariate(whole: Sums) -> tuple[Indices, Vector, Vector]:
    """Of every gene the column with the lowest p-value, that value, and the adjusted one; three of (g,).

    F = r² / (1 - r²) · (n - 2) with 1 and n - 2 degrees of freedom; a constant column has p = 1.
    """
    spread = np.sqrt(np.outer(np.diag(whole.xx), whole.yy))
    share = np.square(np.divide(whole.xy, spread, out=np.zeros_like(spread), where=spread > 0))
    share = np.minimum(share, 1 - np.finfo(np.float64).epsneg)
    p = f_distribution.sf(share / (1 - share) * (whole.n - 2), 1, whole.n - 2)
    latent = share.argmax(axis=0)
    genes = np.arange(p.shape[1])
    padj = false_discovery_control(p.ravel()).reshape(p.shape)
    return latent, p[latent, genes], padj[latent, genes]


def note(table: pd.DataFrame) -> str:
    """What the table says on the whole.

    Parameters
    ----------
    table
        One row per gene, as `Ridge.analyse` gives it.
    """
    near, far = (int((table[column] > WELL).sum()) for column in ("r2", "r2_blocks"))
    return (
        f"Of {len(table)} genes {near} are predicted with R² above {WELL} where single cells are tested, and "
        f"{far} where whole blocks are: only the latter excludes what neighbouring cells share. Below 0 a "
        "gene is predicted worse than by its mean. P-values are of one column alone, over all observations, "
        "and take neighbours for independent: they rank and do not test."
    )


def _space(material: Material) -> Array:
    """The space, or a refusal of what cannot be regressed on."""
    x = material.x
    if x is None:
        raise DataError("ridge: no space was given.", "In a recipe, name it with x.")
    faults, (rows, columns), n = Faults("ridge"), x.shape, len(material.labels)
    faults.check(rows == n, f"there is a space of {rows} rows and labels of {n}.")
    most = f"there may be {WIDEST}: reduce it first, e.g. with pca."
    faults.check(columns <= WIDEST, f"the space has {columns} columns; {most}")
    values = x if isinstance(x, np.ndarray) else x.data
    faults.check(bool(np.isfinite(values).all()), "some values of the space are not finite.")
    faults.raise_if_any()
    return x
