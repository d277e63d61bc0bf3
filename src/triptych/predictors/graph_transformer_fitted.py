"""What a fitted graph transformer keeps, whatever it looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from triptych.core.abundance import Abundance
from triptych.core.models import Saved
from triptych.core.protocols import Matrix, Places, Vector
from triptych.core.settings import device
from triptych.nets.graph_transformer_shape import Shape
from triptych.predictors.graph_transformer_cross import Network, spread, unstacked
from triptych.predictors.inner import bounded

if TYPE_CHECKING:
    from torch import Tensor

    from triptych.nets.graph_transformer import GraphTransformer

GRAPH = "graph."  # opens the names of the weights of the graph transformer


@dataclass(frozen=True, eq=False)
class Units:
    """Each type in deviations from its mean, as the networks know it.

    Parameters
    ----------
    centre, unit
        Mean and deviation, shape (t,); 1 for a type that never varies.
    """

    centre: Vector
    unit: Vector

    @classmethod
    def of(cls, values: Matrix) -> Self:
        """Those of abundances, shape (n, t)."""
        unit = values.std(axis=0)
        return cls(values.mean(axis=0), np.where(unit > 0, unit, 1.0))

    def inward(self, values: Matrix) -> NDArray[np.float32]:
        """Abundances (n, t) in deviations."""
        return np.asarray((values - self.centre) / self.unit, np.float32)

    def outward(self, values: Matrix) -> Matrix:
        """Deviations (…, t) as abundances."""
        return np.asarray(values * self.unit + self.centre)


@dataclass(frozen=True, eq=False)
class GraphModel(Saved):
    """Networks, and what turns their numbers into abundances.

    Parameters
    ----------
    types
        Names of the cell types.
    shape
        Sizes of the networks.
    neighbours
        Spots in a neighbourhood at most, the one in its middle not counted.
    epochs
        For which the networks were trained.
    centre, unit
        Mean and deviation of each type in the fit, shape (t,).
    margin, floor
        Of the intervals, shape (t,).
    networks
        Of each member: ``<member>.<name>`` → weights.
    """

    types: tuple[str, ...]
    shape: Shape
    neighbours: int
    epochs: int
    centre: Vector
    unit: Vector
    margin: Vector
    floor: Vector
    networks: dict[str, NDArray[np.float32]]

    def __post_init__(self) -> None:
        for part in (self.centre, self.unit, self.margin, self.floor):
            if part.shape != (len(self.types),) or self.shape.types != len(self.types):
                raise ValueError(f"its values do not fit {len(self.types)} types")
        for arrays in unstacked(self.networks):
            self.check_network(arrays)

    def check_network(self, arrays: Network) -> None:
        """Refuse weights that are not those of a network of this shape.

        Raises
        ------
        ValueError
            When they are not.
        """
        _restored(self.shape, arrays, "cpu")

    def predicted(self, places: Places, features: Callable[[Network], Tensor]) -> Abundance:
        """Abundances of n observations.

        Parameters
        ----------
        places
            Where they lie.
        features
            Weights of a member → features that it sees, shape (n, columns).
        """
        from triptych.nets.graph_transformer_places import around
        from triptych.nets.graph_transformer_training import predict

        near, rows = around(places, self.neighbours, self.shape.reach_um), np.arange(len(places.um))
        guesses = np.stack(
            [
                predict(_restored(self.shape, arrays, device()), features(arrays), near, rows)
                for arrays in unstacked(self.networks)
            ]
        )
        values = Units(self.centre, self.unit).outward(guesses)
        return bounded(values.mean(axis=0), spread(values, self.floor), self.margin, self.types)


def _restored(shape: Shape, arrays: Network, where: str) -> GraphTransformer:
    import torch

    from triptych.nets.graph_transformer import GraphTransformer, filled

    own = {name.removeprefix(GRAPH): value for name, value in arrays.items() if name.startswith(GRAPH)}
    return filled(GraphTransformer(shape, torch.Generator().manual_seed(0)), own).to(where)
