"""A graph transformer over the views of a spot and of the spots around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from triptych.core.abundance import Abundance
from triptych.core.models import Fit
from triptych.core.protocols import Array, Codes, Indices, Places
from triptych.core.randomness import seed_from
from triptych.core.settings import device
from triptych.maths.threads import threads_for
from triptych.nets.graph_transformer_shape import Shape
from triptych.predictors.graph_transformer_cross import Crossing, Network, Task, Taught, check_training, learn
from triptych.predictors.graph_transformer_fitted import GRAPH, GraphModel, Units
from triptych.predictors.inputs import Scale, Scaled, Scales, check, check_settings, known, scaled, taken

CLUMP = 16  # spots that are learned together, for their neighbourhoods overlap
LOOKS = 20  # epochs among which the best is chosen, at most
LAST_LR, DECAY, CLIP = 1e-5, 1e-4, 10.0


@dataclass(frozen=True, eq=False)
class FittedGraphTransformer(GraphModel, Scales):
    """Networks and the scale of their views, with the parameters of `GraphModel` and `Scales`."""

    def __post_init__(self) -> None:
        Scales.__post_init__(self)
        if self.shape.columns != sum(self.widths):
            raise ValueError(f"its networks see {self.shape.columns} columns, its views have {self.widths}")
        GraphModel.__post_init__(self)

    def apply(self, views: Mapping[str, Array], places: Places) -> Abundance:
        """Predict new observations.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR.
        places
            Where they lie. What is predicted of one follows from it and its neighbours alone.

        Raises
        ------
        DataError
            When the views are not those of the fit; all faults together.
        """
        import torch

        x = torch.from_numpy(self.matrix(views, places)).to(device())
        with threads_for(len(x)):
            return self.predicted(places, lambda _: x)


@dataclass(frozen=True)
class GraphTransformer:
    """Graph attention (GATv2), then a transformer that asks the neighbours of each spot.

    The architecture of Hist2Cell on features that somebody else computed. But a spot attends to its own
    neighbourhood alone, so that a prediction does not depend on what else is predicted, and edges know their
    length.

    Parameters
    ----------
    neighbours
        Spots in a neighbourhood at most. 18 are two rings of a hexagonal array.
    radius_um
        None lies further away.
    heads, width, layers
        Heads of the attention, numbers in each, and layers after the graph attention. Hist2Cell has 8, 32 and
        3, which takes eight times as long.
    epochs
        To train at most; how many are best, inner folds tell.
    lr
        Learning rate of Adam at the start; it falls to 1e-5 by a cosine.
    batch
        Spots per step, about.
    dropout
        Probability.
    members
        Networks whose mean is predicted.
    folds
        Inner folds at most, by which to stop and to measure the intervals.
    scale
        ``fit``: views are standardised as in the fit; ``section``: each section by itself.
    level
        Share of values that the interval should hold.
    """

    neighbours: int = 18
    radius_um: float = 500.0
    heads: int = 4
    width: int = 16
    layers: int = 2
    epochs: int = 20
    lr: float = 1e-3
    batch: int = 64
    dropout: float = 0.2
    members: int = 3
    folds: int = 3
    scale: Scale = "fit"
    level: float = 0.9
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = (
        "Zhao et al. 2024, 10.1101/2024.02.17.580852 (Hist2Cell); Brody et al. 2022, arXiv:2105.14491"
    )
    takes: ClassVar[Literal["views", "windows"]] = "views"

    def __post_init__(self) -> None:
        check_settings(self.level)
        Shape(1, 1, self.heads, self.width, self.layers, self.radius_um)
        check_training(self.neighbours, self.batch, self.lr, self.dropout)
        self.crossing()

    def crossing(self) -> Crossing:
        """How networks are stopped and judged."""
        return Crossing(self.epochs, LOOKS, self.members, self.folds, self.level)

    def fit(
        self,
        views: Mapping[str, Array],
        target: Abundance,
        places: Places,
        groups: Codes,
        rng: np.random.Generator,
    ) -> Fit[Abundance, FittedGraphTransformer]:
        """Learn from observations whose abundance is known.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR.
        target
            Abundances; rows of NaN are not learned from, but are neighbours of others.
        places
            Where the observations lie.
        groups
            Code of what is held out as a whole inside the fit, shape (n,).
        rng
            Draws weights, batches and what is dropped.

        Returns
        -------
        What the model says of the n observations, and the model.

        Raises
        ------
        DataError
            When nothing can be learned from these; all faults together.
        """
        check("graph-transformer", views, target, places, groups)
        lessons = _Lessons(self, views, target, places, rng)
        with threads_for(len(places.um)):
            learned = learn(self.crossing(), target, places, groups, lessons.teach)
        rows = known(target)
        scale, units = lessons.scale(rows), Units.of(target.values[rows])
        model = FittedGraphTransformer(
            roles=scale.roles, widths=scale.widths, mean=scale.mean, std=scale.std, scale=scale.scale,
            clip=scale.clip, types=target.types, shape=lessons.shape, neighbours=self.neighbours,
            epochs=learned.epochs, centre=units.centre, unit=units.unit,
            margin=learned.margin, floor=learned.floor, networks=learned.networks,
        )  # fmt: skip
        return Fit(model.apply(views, places), model)

    def restore(self, folder: Path) -> FittedGraphTransformer:
        """Read a model that was saved."""
        return FittedGraphTransformer.load(folder)


class _Lessons:
    """Trains networks on some of the rows, as `GraphTransformer` says."""

    def __init__(
        self,
        of: GraphTransformer,
        views: Mapping[str, Array],
        target: Abundance,
        places: Places,
        rng: np.random.Generator,
    ) -> None:
        from triptych.nets.graph_transformer_places import around

        self.of, self.views, self.target, self.places, self.rng = of, views, target, places, rng
        self.around = around(places, of.neighbours, of.radius_um)
        columns = sum(view.shape[1] for view in views.values())
        self.shape = Shape(columns, len(target.types), of.heads, of.width, of.layers, of.radius_um)

    def scale(self, rows: Indices) -> Scaled:
        """The scale of the views in some rows; that of sections is of whole sections."""
        if self.of.scale == "section":
            return scaled(self.views, self.places, scale="section", clip=CLIP).model
        return scaled(*taken(self.views, self.places, rows), scale="fit", clip=CLIP).model

    def teach(self, task: Task) -> Taught:
        """Train one network."""
        import torch

        from triptych.nets.graph_transformer import GraphTransformer as Net
        from triptych.nets.graph_transformer import to_arrays
        from triptych.nets.graph_transformer_places import clumps
        from triptych.nets.graph_transformer_training import Lesson, Settings, predict, train

        generator = torch.Generator(device()).manual_seed(seed_from(self.rng))
        x = torch.from_numpy(self.scale(task.rows).apply(self.views, self.places)).to(device())
        units, net = Units.of(self.target.values[task.rows]), Net(self.shape, generator)
        told = torch.from_numpy(units.inward(self.target.values)).to(device())
        guesses: list[np.ndarray] = []

        def watch(epoch: int) -> None:
            if epoch in task.marks:
                guesses.append(units.outward(predict(net, x, self.around, task.held)))

        settings = Settings(self.of.epochs, self.of.batch, self.of.lr, LAST_LR, DECAY, self.of.dropout)
        lesson = Lesson(
            lambda rows: x[torch.from_numpy(rows).to(x.device)],
            self.around, told, clumps(self.places, task.rows, CLUMP),
        )  # fmt: skip
        train(
            net, lesson, settings, generator,
            stop=task.stop, watch=watch, label=task.label,
        )  # fmt: skip
        network: Network = {GRAPH + name: array for name, array in to_arrays(net).items()}
        return Taught(np.array(guesses), network)
