"""Training on windows, and seeing them: what lies between `GraphTransformerPixels` and its networks."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from triptych.core.abundance import Abundance, WindowSource
from triptych.core.protocols import Indices, Matrix, Pixels, Places
from triptych.core.randomness import seed_from
from triptych.core.settings import device
from triptych.maths.threads import one_thread
from triptych.nets.graph_transformer_shape import Shape
from triptych.predictors.graph_transformer_cross import Network, Task, Taught
from triptych.predictors.graph_transformer_fitted import GRAPH, Units

if TYPE_CHECKING:
    from torch import Tensor

    from triptych.nets.graph_transformer import GraphTransformer
    from triptych.nets.residual import Residual

BACKBONE: Final = "backbone."  # opens the names of the weights of the residual network
FEATURES: Final = 512  # that it gives
PART: Final = 32  # windows seen at once when nothing is learned
CUT: Final = 512  # windows cut at once: a source may open its images each time that it is asked
KEPT: Final = 2**32  # bytes of windows that are kept while they are learned from
FEW: Final = 2**22  # pixels below which one thread is used, so that the result never depends on them
DECAY: Final = 1e-4


class Parameters(Protocol):
    """What training asks of the component."""

    @property
    def weights(self) -> str: ...  # noqa: D102
    @property
    def neighbours(self) -> int: ...  # noqa: D102
    @property
    def radius_um(self) -> float: ...  # noqa: D102
    @property
    def epochs(self) -> int: ...  # noqa: D102
    @property
    def lr(self) -> float: ...  # noqa: D102
    @property
    def batch(self) -> int: ...  # noqa: D102
    def shape(self, types: int) -> Shape: ...  # noqa: D102


def threads_for(n: int, tile_px: int) -> AbstractContextManager[None]:
    """One thread for few pixels, else as many as given."""
    return one_thread() if n * tile_px**2 < FEW else nullcontext()


def fingerprint(weights: str) -> str:
    """sha256 of a file of weights, which a parameter names."""
    from triptych.nets.residual import weights_in

    with weights_in(weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def restored(arrays: Network, where: str | None = None) -> Residual:
    """The residual network among the weights of a member, for seeing only.

    Raises
    ------
    ValueError
        When there is none.
    """
    import torch

    from triptych.nets.graph_transformer import filled
    from triptych.nets.residual import Residual

    own = {name.removeprefix(BACKBONE): value for name, value in arrays.items() if name.startswith(BACKBONE)}
    return filled(Residual(torch.Generator().manual_seed(0)), own).to(where or device())


class Kept:
    """Windows that were cut once, for they are asked for in every epoch.

    Parameters
    ----------
    pixels
        Shape (n, px, px, 3).
    """

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: Indices) -> Pixels:
        """Windows of some rows, shape (b, px, px, 3)."""
        return self.pixels[rows]


def kept(source: WindowSource, tile_px: int) -> WindowSource:
    """All windows in memory, or the source itself where they would take more than `KEPT` bytes."""
    n = len(source)
    return Kept(source.take(np.arange(n))) if n * tile_px**2 * 3 <= KEPT else source


def features_of(backbone: Residual, source: WindowSource, rows: Indices) -> Tensor:
    """What the network sees in some windows, without chance and without gradient: shape (b, `FEATURES`).

    Running moments stand for those of the batch, so that a window is seen alike in any company.
    """
    import torch

    from triptych.nets.residual import normalised

    backbone.eval()
    where = next(backbone.parameters()).device
    parts = []
    with torch.no_grad():
        for start in range(0, len(rows), CUT):
            pixels = source.take(rows[start : start + CUT])
            parts += [
                backbone(normalised(pixels[one : one + PART], where)) for one in range(0, len(pixels), PART)
            ]
    return torch.cat(parts) if parts else torch.empty(0, FEATURES, device=where)


class Lessons:
    """Trains networks on some of the rows.

    Parameters
    ----------
    of
        How.
    source, target, places
        Of n observations.
    rng
        Seeds each network.
    """

    def __init__(
        self,
        of: Parameters,
        source: WindowSource,
        target: Abundance,
        places: Places,
        rng: np.random.Generator,
    ) -> None:
        from triptych.nets.graph_transformer_places import around

        self.of, self.source, self.target, self.places, self.rng = of, source, target, places, rng
        self.around = around(places, of.neighbours, of.radius_um)
        self.shape = of.shape(len(target.types))

    def teach(self, task: Task) -> Taught:
        """Train one network."""
        import torch

        from triptych.nets.graph_transformer import GraphTransformer, to_arrays
        from triptych.nets.graph_transformer_places import clumps
        from triptych.nets.graph_transformer_training import Lesson, Settings, train
        from triptych.nets.residual import Residual, fill, normalised, turned, weights_in

        generator = torch.Generator(device()).manual_seed(seed_from(self.rng))
        net, backbone = GraphTransformer(self.shape, generator), Residual(generator)
        if self.of.weights:
            fill(backbone, weights_in(self.of.weights))
        units = Units.of(self.target.values[task.rows])
        guesses: list[Matrix] = []

        def see(rows: Indices) -> Tensor:
            seen: Tensor = backbone.train()(
                turned(normalised(self.source.take(rows), generator.device), generator)
            )
            return seen

        def watch(epoch: int) -> None:
            if epoch in task.marks:
                guesses.append(units.outward(self._guess(net, backbone, task.held)))

        settings = Settings(self.of.epochs, self.of.batch, self.of.lr, self.of.lr / 10, DECAY, 0.0)
        told = torch.from_numpy(units.inward(self.target.values)).to(generator.device)
        near = clumps(self.places, task.rows, self.of.batch)
        lesson = Lesson(see, self.around, told, near, tuple(backbone.parameters()))
        train(net, lesson, settings, generator, stop=task.stop, watch=watch, label=task.label)
        network: Network = {GRAPH + name: array for name, array in to_arrays(net).items()}
        network |= {BACKBONE + name: array for name, array in to_arrays(backbone).items()}
        return Taught(np.array(guesses), network)

    def _guess(self, net: GraphTransformer, backbone: Residual, rows: Indices) -> Matrix:
        """Deviations of some rows, of which only the neighbourhoods are looked at."""
        import torch

        from triptych.nets.graph_transformer_training import predict

        nodes, _ = self.around.of(rows)
        seen = features_of(backbone, self.source, nodes)
        features = torch.zeros(len(self.source), seen.shape[1], device=seen.device)
        features[torch.from_numpy(nodes).to(seen.device)] = seen
        return predict(net, features, self.around, rows)
