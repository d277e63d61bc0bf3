"""Windows of pixels through a residual network and a graph transformer, trained from end to end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np

from triptych.core.abundance import Abundance, WindowSource
from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.core.models import Fit
from triptych.core.protocols import Codes, Places
from triptych.nets.graph_transformer_shape import Shape
from triptych.predictors.graph_transformer_cross import Crossing, Network, check_training, learn
from triptych.predictors.graph_transformer_fitted import GraphModel, Units
from triptych.predictors.graph_transformer_windows import (
    FEATURES,
    Lessons,
    features_of,
    fingerprint,
    kept,
    restored,
    threads_for,
)
from triptych.predictors.inputs import check, check_settings, known

if TYPE_CHECKING:
    from torch import Tensor

VIEW: Final = "windows"
LOOKS: Final = 4  # epochs among which the best is chosen, at most; each look costs a pass over a fold
SMALLEST_PX, LARGEST_PX = 40, 1024  # five halvings leave 2 × 2 px, so that a lone window has a variance


@dataclass(frozen=True, eq=False)
class FittedGraphTransformerPixels(GraphModel):
    """Residual networks and graph transformers, with the parameters of `GraphModel`.

    Parameters
    ----------
    tile_px
        Side of the windows.
    """

    tile_px: int

    def check_network(self, arrays: Network) -> None:
        """Refuse weights of other networks."""
        super().check_network(arrays)
        restored(arrays, "cpu")

    def apply(self, views: Mapping[str, WindowSource], places: Places) -> Abundance:
        """Predict new observations.

        Parameters
        ----------
        views
            ``windows``, of n observations.
        places
            Where they lie. What is predicted of one follows from it and its neighbours alone.

        Raises
        ------
        DataError
            When there are no windows, or not as many as places, or they have another size; all faults
            together.
        """
        source = _windows("graph-transformer-pixels", views, len(places.um), self.tile_px)

        def seen(arrays: Network) -> Tensor:
            return features_of(restored(arrays), source, np.arange(len(source)))

        with threads_for(len(source), self.tile_px):
            return self.predicted(places, seen)


@dataclass(frozen=True)
class GraphTransformerPixels:
    """Residual network of 18 layers, graph attention, transformer: one network from pixels to abundances.

    The architecture of Hist2Cell, with its loss, optimiser and schedule. But a spot attends to its own
    neighbourhood alone, edges know their length, how long to train is read from inner folds and never from
    what is tested, and windows are seen in their eight symmetric views.

    Parameters
    ----------
    window_um
        Side of the tissue seen.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    tile_px
        Side of the array received.
    weights
        File or folder of the published weights of microsoft/resnet-18 (safetensors) to begin with; empty
        begins at random.
    neighbours, radius_um
        Spots in a neighbourhood at most, and how far away.
    epochs
        To train at most; how many are best, inner folds tell.
    lr
        Learning rate of Adam at the start; it falls by a cosine to a tenth.
    batch
        Spots per step, about; they lie together. Their neighbours, seen with them, are as many again or more.
    members
        Networks whose mean is predicted.
    folds
        Inner folds at most, by which to stop and to measure the intervals. The training takes
        members · (folds + 1) times as long as that of one network.
    level
        Share of values that the interval should hold.
    """

    window_um: float = 112.0
    window_px: int = 0
    tile_px: int = 224
    weights: str = ""
    neighbours: int = 18
    radius_um: float = 500.0
    epochs: int = 20
    lr: float = 1e-4
    batch: int = 32
    members: int = 1
    folds: int = 2
    level: float = 0.9
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = (
        "Zhao et al. 2024, 10.1101/2024.02.17.580852 (Hist2Cell); He et al. 2016, arXiv:1512.03385; "
        "Brody et al. 2022, arXiv:2105.14491"
    )
    takes: ClassVar[Literal["views", "windows"]] = "windows"

    def __post_init__(self) -> None:
        check_settings(self.level)
        check_training(self.neighbours, self.batch, self.lr, 0.0)
        self.shape(1)
        self.crossing()
        if not (math.isfinite(self.window_um) and self.window_um > 0):
            raise ValueError(f"window_um must be positive, got {self.window_um}")
        if self.window_px < 0:
            raise ValueError(f"window_px must be at least 1, or 0 for window_um, got {self.window_px}")
        if not SMALLEST_PX <= self.tile_px <= LARGEST_PX:
            raise ValueError(f"tile_px must be from {SMALLEST_PX} to {LARGEST_PX}, got {self.tile_px}")

    def fingerprint(self) -> str:
        """sha256 of the weights to begin with, empty where there are none.

        Raises
        ------
        WeightsError
            When they are not there.
        """
        return fingerprint(self.weights) if self.weights else ""

    def shape(self, types: int) -> Shape:
        """Sizes of the graph transformer: those of Hist2Cell."""
        return Shape(FEATURES, types, heads=8, width=32, layers=3, reach_um=self.radius_um)

    def crossing(self) -> Crossing:
        """How networks are stopped and judged."""
        return Crossing(self.epochs, LOOKS, self.members, self.folds, self.level)

    def fit(
        self,
        views: Mapping[str, WindowSource],
        target: Abundance,
        places: Places,
        groups: Codes,
        rng: np.random.Generator,
    ) -> Fit[Abundance, FittedGraphTransformerPixels]:
        """Learn from observations whose abundance is known.

        Parameters
        ----------
        views
            ``windows``, of n observations.
        target
            Abundances; rows of NaN are not learned from, but are neighbours of others.
        places
            Where the observations lie.
        groups
            Code of what is held out as a whole inside the fit, shape (n,).
        rng
            Draws weights, batches, and the views of windows.

        Returns
        -------
        What the model says of the n observations, and the model.

        Raises
        ------
        DataError
            When nothing can be learned from these; all faults together.
        WeightsError
            When the weights to begin with are not there, or of another network.
        """
        source = _windows("graph-transformer-pixels", views, len(places.um), self.tile_px)
        check("graph-transformer-pixels", views, target, places, groups)
        source = kept(source, self.tile_px)
        lessons = Lessons(self, source, target, places, rng)
        with threads_for(len(source), self.tile_px):
            learned = learn(self.crossing(), target, places, groups, lessons.teach)
        units = Units.of(target.values[known(target)])
        model = FittedGraphTransformerPixels(
            types=target.types, shape=self.shape(len(target.types)), neighbours=self.neighbours,
            epochs=learned.epochs, centre=units.centre, unit=units.unit, margin=learned.margin,
            floor=learned.floor, networks=learned.networks, tile_px=self.tile_px,
        )  # fmt: skip
        return Fit(model.apply({VIEW: source}, places), model)

    def restore(self, folder: Path) -> FittedGraphTransformerPixels:
        """Read a model that was saved."""
        return FittedGraphTransformerPixels.load(folder)


def _windows(name: str, views: Mapping[str, Any], n: int, tile_px: int) -> WindowSource:
    """The only view that is wanted."""
    source, given = views.get(VIEW), ", ".join(views) or "none"
    if set(views) != {VIEW} or not isinstance(source, WindowSource):
        raise DataError(
            f"{name}: it takes one view, {VIEW}, a source of windows; it was given {given}.",
            "Name an image as its only view, or use graph-transformer for views.",
        )
    faults, side = Faults(name), f"{tile_px} × {tile_px} × 3"
    faults.check(len(source) == n, f"there are {len(source)} windows and {n} places.")
    shape = source.take(np.arange(min(1, len(source)))).shape[1:]
    faults.check(shape == (tile_px, tile_px, 3), f"windows have the shape {shape}, not {side}.")
    faults.raise_if_any(hint="Crop windows as the parameters of the fit say.")
    return source
