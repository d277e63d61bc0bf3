"""Each cell by the class that its cluster votes for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np

from triptych.annotators.clusters import Clustering, mean_by
from triptych.annotators.scoring import Scoring
from triptych.core.nuclei import Annotation
from triptych.core.protocols import Codes, Counts

PSEUDO: Final = 1.0  # votes of the average cell, so that a cluster of few cells is not certain


@dataclass(frozen=True)
class ClusterVote(Clustering, Scoring):
    """All cells of a cluster alike: the chance of a class is its share of the cluster's votes.

    Each cell votes with the chances that `MarkerScore` gives it. So the confidence is the share of the
    class in the cluster, high where its cells agree and are sure; a cell that sits in the wrong cluster gets
    its class all the same.

    Parameters
    ----------
    markers, classes, least_genes, combine, temperature, rounds, sure, overdispersion, max_rank
        As for `MarkerScore`.
    components
        Principal components of log-normalised counts, fewer where there are not so many genes or cells.
    neighbours
        Nearest cells joined to each in the graph.
    resolution
        Of Leiden: higher finds more and smaller clusters.
    """

    takes: ClassVar[Literal["counts", "table"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1038/s41598-019-41695-z"

    def __post_init__(self) -> None:
        Scoring.__post_init__(self)
        Clustering.__post_init__(self)

    def annotate(self, counts: Counts, sample: Codes, given: Any, rng: np.random.Generator) -> Annotation:
        """Give each cell the class of its cluster.

        Parameters
        ----------
        counts
            Raw counts of n cells.
        sample
            Code of the section of each cell; only its length is looked at, shape (n,).
        given
            Not used.
        rng
            Seeds the clusters.

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
        x, panel, _, chance = self.scored("cluster-vote", counts, sample)
        codes = self.clusters(x, rng)
        told = codes >= 0
        chance[told] = mean_by(codes, chance, PSEUDO)[codes[told]]
        return Annotation(chance, panel.classes)
