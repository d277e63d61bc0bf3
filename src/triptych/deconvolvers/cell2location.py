"""cell2location: spots as negative binomial mixtures of the expression of cell types, in numbers of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from triptych.core.abundance import Abundance, Reference
from triptych.core.errors import NumericsError
from triptych.core.protocols import Counts, Matrix
from triptych.core.randomness import seed_from
from triptych.deconvolvers.cell2location_inputs import GeneFilter, shared
from triptych.deconvolvers.cell2location_posterior import Posterior
from triptych.deconvolvers.cell2location_training import EXTRA, session

LOW, HIGH = 0.05, 0.95  # ends of the interval
WORDS: Final = {"q05": "5 % quantile of the posterior", "mean": "mean of the posterior"}


@dataclass(frozen=True)
class Cell2location:
    """Counts of spots and annotated single cells → cells of each type in each spot.

    Parameters
    ----------
    reference_epochs
        Passes over the single cells, when the expression of each type is learned.
    epochs
        Passes over the spots; with few the result is that of the prior.
    cells_per_location
        Cells that a spot holds on average, as counted in the image: the prior of their number.
    detection_alpha
        How alike the sensitivity of the spots of a batch is; 20 lets it vary, 200 keeps it near its mean.
    statistic
        What of the posterior is given: ``q05``, its 5 % quantile, or ``mean``.
    proportions
        Give them divided by their sum in the spot, not as numbers of cells.
    batch_size
        Spots in a minibatch; 0 takes all at once, as the authors advise.
    cell_count_cutoff, cell_percentage_cutoff2, nonz_mean_cutoff
        Genes of the reference in use are seen in more than that share of the cells, or in more than that
        number of cells with more than that mean in the cells that have them.
    fewest_genes
        Below as many in use nothing is estimated.

    Notes
    -----
    The package itself (Kleshchevnikov et al. 2022), with the settings of its tutorial. Counts of spot s and
    gene g are negative binomial with mean (m_g Σ_f w_sf g_fg + s_eg) y_s; the w_sf are given. Batches of the
    spots share m_g and differ in s_eg and the mean of y_s; batches of the single cells differ in depth and
    background. Expression is learned of the genes that both have.

    Low and high are the 5 % and 95 % quantiles of the approximate posterior, which takes values for
    independent and is far too sure: on pseudo-spots of a lymph node it held 3 in 10 of the proportions that
    are not 0. Those of proportions come from 1000 draws of each spot. An end gives way where the value lies
    beyond it, as 5 % quantiles over their sum may.

    Time grows with spots × genes × epochs, about 0.3 µs each on one core: a section of 3000 spots × 10 000
    genes takes three days with the epochs of the tutorial, so take a GPU or fewer of them. On the CPU it
    runs in one thread, so that the same seed gives the same bits; ``TRIPTYCH_DEVICE`` names another device,
    which may not. In memory the counts are dense: the authors say that 60 000 spots × 18 000 genes at once
    fill a GPU of 80 GB (issues 372 and 375 of the package). Beyond that take minibatches, or fit donors by
    themselves.
    """

    reference_epochs: int = 250
    epochs: int = 30_000
    cells_per_location: float = 30.0
    detection_alpha: float = 20.0
    statistic: Literal["q05", "mean"] = "q05"
    proportions: bool = False
    batch_size: int = 0
    cell_count_cutoff: int = 5
    cell_percentage_cutoff2: float = 0.03
    nonz_mean_cutoff: float = 1.12
    fewest_genes: int = 100

    takes: ClassVar[Literal["reference", "table"]] = "reference"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1038/s41587-021-01139-4"
    extra: ClassVar[tuple[str, str]] = ("cell2location", EXTRA)

    def __post_init__(self) -> None:
        if min(self.reference_epochs, self.epochs) < 1:
            raise ValueError("reference_epochs and epochs must be at least 1")
        if not (0 < self.cells_per_location < np.inf and 0 < self.detection_alpha < np.inf):
            raise ValueError("cells_per_location and detection_alpha must be above 0")
        if self.batch_size < 0 or self.batch_size == 1:
            raise ValueError("batch_size must be at least 2, or 0 for all spots at once")
        if min(self.cell_count_cutoff, self.nonz_mean_cutoff) < 0:
            raise ValueError("cell_count_cutoff and nonz_mean_cutoff must not be negative")
        if not 0 <= self.cell_percentage_cutoff2 <= 1:
            raise ValueError("cell_percentage_cutoff2 is a share, between 0 and 1")
        if self.fewest_genes < 1:
            raise ValueError("fewest_genes must be at least 1")

    @property
    def gives(self) -> str:
        """What the numbers are."""
        if self.proportions:
            return f"proportions of cells, from the {WORDS[self.statistic]} (cell2location)"
        return f"cells per spot, {WORDS[self.statistic]} (cell2location)"

    def deconvolve(self, counts: Counts, given: Reference, rng: np.random.Generator) -> Abundance:
        """Learn the expression of each type, then how many cells of each are in each spot.

        Parameters
        ----------
        counts
            Raw counts of n spots.
        given
            Annotated single cells with raw counts; at least 3 of every type.
        rng
            Seeds the initial values and every draw of the training.

        Returns
        -------
        Shape (n, t), in the order of the types of the reference, with low and high; NaN in spots without
        counts of the genes in use, of which a warning tells.

        Raises
        ------
        DataError
            When values are no counts, codes are missing, types have too few cells, genes are named twice, too
            few are shared or in use, or spots have no counts of them; all faults together.
        MissingExtraError
            When cell2location is not installed.
        NumericsError
            When the training diverged.
        """
        genes = GeneFilter(self.cell_count_cutoff, self.cell_percentage_cutoff2, self.nonz_mean_cutoff)
        data = shared(counts, given, genes, self.fewest_genes)
        with session(seed_from(rng)) as package:
            signatures = package.signatures(
                data.cells, data.genes, given.types, given.batch, epochs=self.reference_epochs
            )
            cells = package.abundances(
                data.spots,
                data.genes,
                counts.batch[data.held],
                signatures,
                epochs=self.epochs,
                batch_size=self.batch_size,
                N_cells_per_location=float(self.cells_per_location),
                detection_alpha=float(self.detection_alpha),
            )
        values, low, high = (_placed(part, data.held) for part in self._summary(cells, rng))
        return Abundance(values, given.names, low, high)

    def _summary(self, cells: Posterior, rng: np.random.Generator) -> tuple[Matrix, Matrix, Matrix]:
        """Values, low and high of the spots that were fitted, each of shape (s, t)."""
        low, high = cells.quantile(LOW), cells.quantile(HIGH)
        values = cells.mean() if self.statistic == "mean" else low
        if self.proportions:
            values = values / values.sum(axis=1, keepdims=True)
            low, high = cells.proportions((LOW, HIGH), rng)
        if not all(np.isfinite(part).all() for part in (values, low, high)):
            raise NumericsError(
                "cell2location: the training diverged, and some numbers of cells are not finite.",
                "Look for spots or cells with extreme counts.",
            )
        return values, np.minimum(low, values), np.maximum(high, values)


def _placed(rows: Matrix, held: NDArray[np.bool_]) -> Matrix:
    """Rows of the spots that were fitted among all n, the others NaN."""
    whole = np.full((len(held), rows.shape[1]), np.nan)
    whole[held] = rows
    return whole
