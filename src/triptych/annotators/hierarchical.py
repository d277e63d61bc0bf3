"""Lineage first, by cells and clusters; then neoplastic among epithelial cells, by clusters and samples."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from triptych.annotators.clusters import Clustering, mean_by
from triptych.annotators.markers import NEOPLASTIC
from triptych.annotators.neoplastic import chance_of, evidence
from triptych.annotators.scoring import Scored, Scoring
from triptych.core.errors import TriptychWarning
from triptych.core.nuclei import Annotation
from triptych.core.protocols import Codes, Counts, Vector


@dataclass(frozen=True)
class Hierarchical(Clustering, Scoring):
    """A lineage for each cell, and of epithelial cells whether they are neoplastic.

    1. Lineage. A cell has the chances p of `MarkerScore`, and its cluster their mean q; the lineage is
       (1 - s)·p + s·q with s = ``smoothing``. A nucleus shows few molecules, its cluster many; a linear mean
       cannot make a cell surer than the surer of the two.
    2. Neoplastic. No gene tells a tumour cell from its normal counterpart in every organ, so cells are not
       judged one by one. Those more likely epithelial than not are clustered by themselves, and each of these
       clusters has a chance r to be neoplastic,

           logit r = logit(prior) + w₁·proliferation + w₂·tumour + w₃·private - w₄·normal,

       in which ``proliferation`` is log₂ of the share of its molecules in the programme of that name over
       that in the other lineages, less 1 (twice as much is no evidence), kept within -½ … 3; ``tumour`` the
       same of the highest programme of a tumour, over that in other lineages or in other epithelium,
       whichever have more (normal epithelium has most of its genes too), kept within 0 … 3; and ``private``
       is 1 when one sample has the cluster alone and -1 when samples share it as they share epithelium:
       tumours are private to their donor, normal epithelium is not (Patel et al. 2014,
       10.1126/science.1254257; Tirosh et al. 2016, 10.1126/science.aad0501).
       ``normal`` is the part of its epithelial programmes, 0 … 1, that the marker file calls normal:
       myoepithelium and ciliated cells are hardly ever neoplastic. A cell's chance to be neoplastic is r
       times that of its lineage, which keeps the rest.

    What a panel lacks, or a single sample cannot show, is no evidence: then r stays near ``prior``, and with
    a prior of ½ neither class has a confidence far above ½: ask for 0.6 or more to leave such cells without a
    label. A cluster that mixes tumour and normal cells is wrong for some of them. Private clusters may also
    be a batch effect, or sections of organs with different epithelia: set ``private_weight`` to 0 there. Copy
    numbers are not looked at: a panel has too few genes of a chromosome.

    Parameters
    ----------
    markers, classes, least_genes, combine, temperature, rounds, sure, overdispersion, max_rank
        As for `MarkerScore`; ``classes`` does not name neoplastic.
    components, neighbours, resolution
        As for `ClusterVote`, of both clusterings; finer, for clusters that mix tumour and normal cells.
    smoothing
        Part of the cluster in the lineage, s.
    neoplastic
        Whether step 2 is made; without it the lineage is the same.
    prior
        Chance of a cluster of epithelium to be neoplastic before any evidence. ½ takes no side; raise it
        for sections of tumours, where nothing but ``normal`` may speak against it, lower it for healthy ones.
    proliferation_weight, tumour_weight, private_weight, normal_weight
        Weights w of the evidence; 0 leaves it out.
    """

    resolution: float = 2.0
    smoothing: float = 0.3
    neoplastic: bool = True
    prior: float = 0.5
    proliferation_weight: float = 1.0
    tumour_weight: float = 1.0
    private_weight: float = 1.5
    normal_weight: float = 4.0

    takes: ClassVar[Literal["counts", "table"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        Scoring.__post_init__(self)
        Clustering.__post_init__(self)
        if not 0 <= self.smoothing <= 1:
            raise ValueError("smoothing must lie between 0 and 1")
        if not 0 < self.prior < 1:
            raise ValueError("prior must lie between 0 and 1, neither included")
        if not all(0 <= weight < np.inf for weight in self.weights):
            raise ValueError(
                "weights (proliferation_weight, tumour_weight, private_weight, normal_weight) must not be "
                "negative; 0 leaves evidence out"
            )

    @property
    def weights(self) -> tuple[float, float, float, float]:
        """Of proliferation, tumour programmes, privacy and normal programmes."""
        return self.proliferation_weight, self.tumour_weight, self.private_weight, self.normal_weight

    def annotate(self, counts: Counts, sample: Codes, given: Any, rng: np.random.Generator) -> Annotation:
        """Give each cell a class.

        Parameters
        ----------
        counts
            Raw counts of n cells.
        sample
            Code of the section of each cell, or of its donor where a donor has several, shape (n,).
        given
            Not used.
        rng
            Seeds the clusters, those of the lineage first.

        Returns
        -------
        Chances of the classes, neoplastic first; NaN for a cell without counts.

        Warns
        -----
        TriptychWarning
            With the share of the markers that the genes have, where it is not all; and when nothing tells
            neoplastic epithelium apart.

        Raises
        ------
        WeightsError
            When there is no such marker file.
        DataError
            When the file is no marker file, or it and the counts do not go together; all faults together.
        """
        scored = self.scored("hierarchical", counts, sample)
        panel, chance = scored.panel, scored.chance
        codes = self.clusters(scored.x, rng)
        told, shared = codes >= 0, mean_by(codes, chance)
        chance[told] = (1 - self.smoothing) * chance[told] + self.smoothing * shared[codes[told]]
        if not self.neoplastic or panel.lineage < 0:
            return Annotation(chance, panel.classes)
        part = chance[:, panel.lineage] * self._suspicion(scored, np.asarray(sample), rng)
        chance[:, panel.lineage] -= part
        return Annotation(np.column_stack([part, chance]), (NEOPLASTIC, *panel.classes))

    def _suspicion(self, scored: Scored, sample: Codes, rng: np.random.Generator) -> Vector:
        """Chance of each cell to be neoplastic if it is of that lineage, shape (n,)."""
        x, panel, programme, chance = scored
        likely = np.flatnonzero(chance[:, panel.lineage] > 1 / 2)
        r = np.full(len(chance), self.prior)
        if not len(likely):
            return r
        codes = np.full(len(chance), -1, np.int64)
        codes[likely] = self.clusters(x[likely], rng)
        of = programme[:, panel.of == panel.lineage].sum(axis=1)
        normal = np.divide(programme[:, panel.normal].sum(axis=1), of, out=np.zeros_like(of), where=of > 0)
        found = evidence(x, codes, sample, panel.suspect, normal)
        if not np.abs(np.asarray(self.weights) @ np.stack(found)).any():
            warnings.warn(
                "hierarchical: the genes and samples hold no evidence of neoplastic cells; they stay as "
                f"likely as not ({self.prior:.0%}) among {panel.classes[panel.lineage]} cells.",
                TriptychWarning,
                stacklevel=3,
            )
        by_cluster = chance_of(found, self.weights, self.prior)
        r[likely] = by_cluster[codes[likely]]
        return r
