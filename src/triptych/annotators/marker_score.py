"""Each cell by the markers of the classes, and by profiles that the clearest cells teach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from triptych.annotators.scoring import Scoring
from triptych.core.nuclei import Annotation
from triptych.core.protocols import Codes, Counts


@dataclass(frozen=True)
class MarkerScore(Scoring):
    """Rank scores of marker programmes, and a class for each cell with the chance that it is right.

    1. In each cell each programme is scored by the ranks of its genes (UCell's U). Its z is by how many
       standard deviations that exceeds random genes of the same cell; of a programme with negative genes
       their own z is taken off, where it is above 0.
    2. A softmax of z over the programmes gives chances, which are summed by class. Where one class has at
       least ``sure``, the cell is clear.
    3. The clear cells teach the profile of each programme over all genes, to begin with the tissue's with its
       markers raised fourfold. With N molecules of a cell, x of each gene, profiles q, the tissue t and the
       share w of each programme among clear cells,

           log p = log w + Σ x log(q/t) / (1 + (N - 1)·ρ) + constant.

       The divisor, with ρ = ``overdispersion``, is the design effect of N molecules of which any two are
       correlated by ρ (Kish 1965): without it 200 molecules would make any cell certain.

    There are no labels to calibrate on. ρ = 0.06 and ``sure`` = 0.9 were set once on profiles of single cells
    thinned to 30-200 molecules of 300 genes, with molecules of neighbours among them. Cells of a kind that
    has no class are given one all the same.

    Parameters
    ----------
    markers
        Name of a marker file that is shipped (``human``), or path of a YAML file.
    classes
        Those to tell apart; empty for all of the file that need not be asked for. ``dead`` of ``human`` does:
        transcripts hardly show it.
    least_genes
        A programme with fewer of its genes in the data is left out, a class without programmes is refused.
    combine
        Without rounds: whether the ``max`` or the ``mean`` of the z of its programmes scores a class.
        The mean suits programmes that overlap.
    temperature
        Factor of z in the softmax: higher makes it surer.
    rounds
        How often profiles are learned; 0 judges each cell by its markers alone, by a softmax over classes.
    sure
        Least chance of the class of a cell that teaches.
    overdispersion
        Correlation of the molecules of a cell, ρ.
    max_rank
        Where ranks are cut; 0 for nowhere, which is right for a panel. For whole transcriptomes UCell takes
        1500.
    """

    takes: ClassVar[Literal["counts", "table"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1016/j.csbj.2021.06.043"

    def annotate(self, counts: Counts, sample: Codes, given: Any, rng: np.random.Generator) -> Annotation:
        """Give each cell a class.

        Parameters
        ----------
        counts
            Raw counts of n cells.
        sample
            Code of the section of each cell; only its length is looked at, shape (n,).
        given, rng
            Not used.

        Returns
        -------
        Chances of the classes; NaN for a cell without counts.

        Warns
        -----
        TriptychWarning
            With the share of the markers that the genes have, where it is not all.

        Raises
        ------
        WeightsError
            When there is no such marker file.
        DataError
            When the file is no marker file, or it and the counts do not go together; all faults together.
        """
        scored = self.scored("marker-score", counts, sample)
        return Annotation(scored.chance, scored.panel.classes)
