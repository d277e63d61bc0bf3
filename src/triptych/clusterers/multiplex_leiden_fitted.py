"""What multiplex Leiden learned: the rows of a fit, which elect a community for others view by view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from triptych.clusterers.communities import nearest_labels
from triptych.clusterers.multiplex_leiden_door import check_same
from triptych.core.models import Saved
from triptych.core.protocols import Codes, Matrix
from triptych.maths.threads import one_thread


@dataclass(frozen=True, eq=False)
class FittedMultiplex(Saved):
    """The rows of `MultiplexLeiden.fit` in each view, and the community of each.

    Parameters
    ----------
    views
        Role → view, each of shape (n, d).
    labels
        Codes, shape (n,).
    neighbours
        Role → nearest rows that vote in that view.
    weights
        Role → weight of that layer, one in all.
    chosen
        ``weight.ROLE`` of each role, the mean ``silhouette`` of the partition over the views, and how many
        ``clusters`` it has, where the data chose the weights; else empty.
    """

    views: dict[str, NDArray[np.float32]]
    labels: Codes
    neighbours: dict[str, int]
    weights: dict[str, float]
    chosen: dict[str, int | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, roles = len(self.labels), set(self.views)
        if self.labels.shape != (n,) or any(v.ndim != 2 or len(v) != n for v in self.views.values()):
            shapes = [view.shape for view in self.views.values()]
            raise ValueError(f"labels of shape {self.labels.shape} do not fit views of {shapes}")
        if roles != set(self.neighbours) or roles != set(self.weights):
            raise ValueError("views, neighbours and weights have not the same roles")
        if min(self.neighbours.values(), default=0) < 1 or self.labels.min(initial=0) < 0:
            raise ValueError("a number of neighbours is below 1, or a label below 0")

    def apply(self, views: Mapping[str, Matrix]) -> Codes:
        """Give each row to the community with the most votes.

        In each view the nearest rows of the fit vote for their communities; the share of a community there
        counts with the weight of the layer. On a tie the larger community wins. As in `leiden`, no new
        community is found, and a row of the fit may leave one that its neighbours are not in.

        Parameters
        ----------
        views
            Role → view, each of shape (m, d), the roles of the fit.

        Returns
        -------
        Codes of the fit, shape (m,).

        Raises
        ------
        DataError
            When a view is missing, strange or of other columns than in the fit, the views have not the same
            rows, or values are not finite.
        """
        check_same(views, {role: view.shape[1] for role, view in self.views.items()})
        votes: Matrix = np.zeros((len(next(iter(views.values()))), int(self.labels.max()) + 1))
        with one_thread():
            for role in sorted(self.views):
                votes += self.weights[role] * self._shares(role, views[role])
        return np.asarray(votes.argmax(axis=1))

    def _shares(self, role: str, x: Matrix) -> Matrix:
        """The share of each community among the nearest rows in one view, shape (m, communities)."""
        k = int(self.labels.max()) + 1
        blocks = []
        for labels in nearest_labels(self.views[role], self.labels, x, self.neighbours[role]):
            m, count = labels.shape
            flat = np.repeat(np.arange(m) * k, count) + labels.ravel()
            blocks.append(np.bincount(flat, minlength=m * k).reshape(m, k) / count)
        return np.concatenate(blocks)
