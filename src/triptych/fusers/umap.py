"""Uniform manifold approximation: a space in which nearest neighbours stay together."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.core.models import Fit
from triptych.core.protocols import Array, Matrix, Places
from triptych.core.randomness import seed_from
from triptych.fusers.balance import check_views, check_weights
from triptych.fusers.beside import column_scales, side_by_side
from triptych.fusers.umap_fitted import FittedUmap
from triptych.maths.neighbours import nearest
from triptych.maths.pca import principal_components
from triptych.maths.threads import one_thread

EXPECTED: Final = (  # what umap-learn warns of here, and why it may be passed over
    r"precomputed_knn\[2\]",  # rows never seen are placed by our own rule
    "Graph is not fully connected",  # clusters far apart are no fault
    "Spectral initialisation failed",  # it begins from random places then
)


@dataclass(frozen=True)
class Umap:
    """UMAP of all columns together, each standardised, from exact nearest neighbours.

    Distances between clusters, and their sizes and densities, mean nothing in the result. Rows beyond
    ``most``, and rows never seen, are placed at the mean of their nearest rows of the fit, weighted by the
    inverse of the squared distance; umap-learn would move them on from there.

    Parameters
    ----------
    components
        Dimension of the result; 2 for a picture.
    neighbours
        Nearest rows joined to each, itself counted.
    min_dist
        How close rows may come in the result, which has a scale of about 1. Published systems often leave
        it unstated; 0.1 is umap-learn's own, 0 packs clusters more tightly.
    principal
        Principal components taken first where there are more columns; 0 takes all columns as they are.
    most
        Rows fitted: when there are more, so many drawn at random.
    standardise
        Whether to bring each column to variance 1 first; a space that was fused before needs none.
    balance
        Whether views count equally whatever their dimensions. A single view is left as it is.
    weights
        By role; multiplies the view. A role that is not named has weight 1.
    """

    components: int = 32
    neighbours: int = 15
    min_dist: float = 0.1
    principal: int = 50
    most: int = 20_000
    standardise: bool = True
    balance: bool = True
    weights: dict[str, float] = field(default_factory=dict)

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.48550/arXiv.1802.03426"

    def __post_init__(self) -> None:
        if self.components < 1 or self.neighbours < 2:
            raise ValueError("components must be at least 1 and neighbours at least 2")
        if not 0 <= self.min_dist <= 1:
            raise ValueError("min_dist must be from 0 to 1")
        if self.principal < 0 or self.most < self.components + 2:
            raise ValueError("principal must not be negative, and most at least components + 2")
        check_weights(self.weights)

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Lay the views side by side and embed them.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their number matters.
        rng
            Draws the rows of the fit, and seeds it; the same seed gives the same bits on one machine.

        Returns
        -------
        Shape (n, components).

        Raises
        ------
        DataError
            When views do not fit together, or there are too few observations for so many components.
        MissingExtraError
            When umap-learn is not installed.
        """
        return self.fit(views, places, rng).value

    def fit(
        self, views: Mapping[str, Array], places: Places, rng: np.random.Generator
    ) -> Fit[Matrix, FittedUmap]:
        """Embed the views, and keep the rows of the fit with their places in the result.

        Parameters
        ----------
        views, places, rng
            As for `fuse`.

        Raises
        ------
        DataError
            When views do not fit together, or there are too few observations for so many components.
        MissingExtraError
            When umap-learn is not installed.
        """
        n = len(places.um)
        check_views("umap", views, n, self.weights)
        if n < self.components + 2:
            raise DataError(
                f"umap: {n} observations are too few for {self.components} components.",
                f"Ask for at most {max(n - 2, 1)}, or keep more observations.",
            )
        scale = column_scales(views, self.weights, standardise=self.standardise, balance=self.balance)
        roles = {role: views[role].shape[1] for role in scale}
        x, mean, loadings = self._reduced(side_by_side(views, scale), rng)
        chosen = np.arange(n) if n <= self.most else np.sort(rng.choice(n, self.most, replace=False))
        space = np.ascontiguousarray(x[chosen])
        model = FittedUmap(
            neighbours=self.neighbours, roles=roles, scale=scale, mean=mean, loadings=loadings, space=space,
            embedding=self._embedded(space, seed_from(rng)),
        )  # fmt: skip
        if n <= self.most:
            return Fit(model.embedding, model)
        value = model.placed(x)
        value[chosen] = model.embedding
        return Fit(value, model)

    def restore(self, folder: Path) -> FittedUmap:
        """Read the model that was saved in a folder."""
        return FittedUmap.load(folder)

    def _reduced(self, joint: Array, rng: np.random.Generator) -> tuple[Matrix, Matrix | None, Matrix | None]:
        """The columns, or their principal components with the means and loadings."""
        n, d = joint.shape
        if not self.principal or d <= self.principal:
            return (joint if isinstance(joint, np.ndarray) else joint.toarray()), None, None
        found = principal_components(joint, min(self.principal, n - 1), rng)
        return found.scores, found.mean, np.ascontiguousarray(found.loadings)

    def _embedded(self, space: Matrix, seed: int) -> Matrix:
        """The result for the rows of the fit, shape (m, components)."""
        umap: Any = need("umap", "umap")
        near = nearest(space, min(self.neighbours, len(space)))
        settings = {
            "n_components": self.components, "n_neighbors": near.k, "min_dist": self.min_dist,
            "random_state": seed, "n_jobs": 1,
            "precomputed_knn": (near.indices.copy(), near.distances.astype(np.float32)),
        }  # fmt: skip
        with one_thread(), warnings.catch_warnings():
            for text in EXPECTED:
                warnings.filterwarnings("ignore", message=text)
            return np.asarray(umap.UMAP(**settings).fit_transform(space), np.float64)
