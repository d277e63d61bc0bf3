"""Leiden communities that several views have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from triptych.clusterers.communities import EdgeWeights
from triptych.clusterers.multiplex_leiden_door import NAME, check_parameters, check_tuned, check_views
from triptych.clusterers.multiplex_leiden_fitted import FittedMultiplex
from triptych.clusterers.multiplex_leiden_layers import communities, layers_of, shares
from triptych.clusterers.silhouette_grid import best_of, mean_silhouettes
from triptych.core.extras import need
from triptych.core.models import Fit
from triptych.core.progress import track
from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import seed_from


@dataclass(frozen=True)
class MultiplexLeiden:
    """Communities of a graph with one layer for each view, whose qualities are summed with a weight each.

    The weight of one layer is tried, and the others share the rest evenly; the partition is kept that has
    the highest mean silhouette over the views (Mucha et al. 2010; by Leiden, Traag et al. 2019).

    Parameters
    ----------
    neighbours
        Nearest rows joined to each, itself excluded, in views that inherit no number; fewer when there are
        not so many.
    resolution
        Higher finds more and smaller communities; of views that inherit none.
    weights
        Of the edges. ``jaccard``: the share of neighbours that both ends have; ``one``: all alike.
    iterations
        Passes of the algorithm; 0, or -1 as leidenalg writes it, goes on until nothing changes.
    lead
        Role of the view whose weight is tried.
    try_weights
        Weights of the lead to try, from 0 to 1; a single one is taken without a search.
    least
        Fewest communities of a partition that may be chosen.
    """

    neighbours: int = 15
    resolution: float = 1.0
    weights: EdgeWeights = "jaccard"
    iterations: int = 2
    lead: str = "rna"
    try_weights: tuple[float, ...] = (
        0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99,
    )  # fmt: skip
    least: int = 5

    finds_k: ClassVar[bool] = True  # no criterion is needed
    takes_views: ClassVar[bool] = True
    extra: ClassVar[tuple[str, str]] = ("leidenalg", "multiplex")
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1126/science.1184819"

    def __post_init__(self) -> None:
        check_parameters(self)

    def cluster(self, views: Mapping[str, Matrix], rng: np.random.Generator) -> Codes:
        """Find the communities of the rows.

        Parameters
        ----------
        views
            Role → view, each of shape (n, d), two or more.
        rng
            Seeds the order in which nodes are visited.

        Returns
        -------
        Codes by falling size, shape (n,).

        Warns
        -----
        TriptychWarning
            When no weight tried gives ``least`` communities; that with the most is taken then.

        Raises
        ------
        DataError
            When there is one view, or none of the role ``lead``; views are sparse, not finite or not of the
            same rows; or there are fewer than two rows.
        MissingExtraError
            When leidenalg is not installed.
        """
        return self.fit(views, rng).value

    def fit(
        self, views: Mapping[str, Matrix], rng: np.random.Generator, *, tuned: Mapping[str, Any] | None = None
    ) -> Fit[Codes, FittedMultiplex]:
        """Find the communities of the rows, and keep the views in single precision.

        Parameters
        ----------
        views, rng
            As for `cluster`. One seed serves all weights, so that the weight chosen, given alone, finds the
            same communities.
        tuned
            Role → the model of a clusterer with ``neighbours`` and ``resolution``, e.g. `leiden` tuned by
            silhouette, which that view inherits.

        Raises
        ------
        DataError
            As in `cluster`, and when a model in ``tuned`` has no such settings or no view.
        MissingExtraError
            When leidenalg is not installed.
        """
        need(*self.extra)
        check_views(views, self.lead)
        check_tuned(tuned or {}, views)
        layers, seed = layers_of(self, views, tuned or {}), seed_from(rng)
        tried = [shares(list(layers), self.lead, weight) for weight in self.try_weights]
        passes = self.iterations or -1
        found = [communities(layers, each, passes, seed) for each in track(tried, "weights", len(tried))]
        best, chosen = self._best(views, tried, found, seed) if len(tried) > 1 else (0, {})
        model = FittedMultiplex(
            {role: np.array(views[role], np.float32) for role in layers},
            found[best],
            {role: layer.neighbours for role, layer in layers.items()},
            tried[best],
            chosen,
        )
        return Fit(found[best], model)

    def restore(self, folder: Path) -> FittedMultiplex:
        """Read the model that was saved in a folder."""
        return FittedMultiplex.load(folder)

    def _best(
        self, views: Mapping[str, Matrix], tried: list[dict[str, float]], found: list[Codes], seed: int
    ) -> tuple[int, dict[str, int | float]]:
        """Which of the partitions has the highest mean silhouette over the views, and what it is."""
        values = np.mean([mean_silhouettes(views[role], found, seed) for role in sorted(views)], axis=0)
        best = best_of(NAME, found, values, self.least)
        weights = {f"weight.{role}": share for role, share in tried[best].items()}
        clusters = int(found[best].max()) + 1
        return best, weights | {"silhouette": float(values[best]), "clusters": clusters}
