"""Auto-encoder of windows with a triplet loss per view (AESTETIK; Nonchev et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.checks import Faults
from triptych.core.models import Fit
from triptych.core.protocols import Array, Matrix, Places
from triptych.core.randomness import seed_from
from triptych.fusers.balance import check_views, check_weights
from triptych.fusers.grid_labels import view_labels
from triptych.maths.threads import one_thread
from triptych.maths.windows import point_gaps_at_fill, window_index, window_medians

if TYPE_CHECKING:
    import torch

    from triptych.fusers.grid_fitted import FittedGridTriplet
    from triptych.nets.grid import GridShape
    from triptych.nets.grid_training import Windows

SMALL = 1_000_000  # values of all windows below which a study is fitted in one thread
TOTAL = 3.0  # what the weights of the views add up to, as in the paper


@dataclass(frozen=True)
class GridTriplet:
    """Encode the window around each observation so that its code says what is there, and who is alike.

    Every dimension is brought to [0, 1] over the study. The window of w × w neighbours on the array is
    encoded by an ensemble of small convolutional networks and decoded again; each view adds

        weight_m · (reconstruction · L1_m + triplet · Σ max(0, ‖z_a − z_p‖ − ‖z_a − z_n‖ + margin) / N),

    where positives share the K-means cluster of the anchor in view m, and one negative comes from each other
    cluster. Positives and negatives are drawn among the batch, whose codes are known already: one pass of
    the encoder per batch, where the reference makes one per triplet. They therefore share the dropout
    masks of their roles as anchors. A view that falls in a single cluster has no triplets.

    Gaps in a window are filled with the median of its members, dimension by dimension. Cells, which have no
    array, are put on a square lattice whose side is the median distance to the nearest neighbour; where
    several fall on one point, the nearest to it stands for it in the others' windows, and each stands in
    the middle of its own.

    Embedding uses no dropout and the statistics of all windows: it is deterministic, and a code
    depends on its own window only. Reduce wide views first (tens of dimensions each).

    Parameters
    ----------
    window
        Side of the window in lattice steps, odd; 1 is no context.
    latent
        Dimensions of the code.
    hidden
        Channels of each member.
    members
        Networks in the ensemble; the code is their median.
    dropout
        Probability of dropping a channel while training.
    weights
        Of the views by role. Roles that are not named share what is left of a total of 3 equally.
    clusters
        Number of K-means clusters that define the triplets of each view.
    epochs
        Passes over the data.
    batch
        Observations per step, at most.
    lr
        Learning rate of Adam with AMSGrad.
    weight_decay
        Of Adam.
    margin
        Of the triplet loss.
    triplet
        Weight of the triplet losses.
    reconstruction
        Weight of the reconstruction losses.
    lattice
        ``array``: positions as they are, so that on Visium's staggered array half of each window is a gap,
        as in the reference; ``axial``: hexagonal coordinates, without gaps. The same on square arrays.
    pooling
        ``ceil``: the whole window is seen; ``floor``: as published, where a window of 7 is seen only in
        its first five rows and columns. The same for windows up to 5.
    monte_carlo
        Number of passes with dropout to average when embedding; 0 for one pass without.
    """

    window: int = 5
    latent: int = 16
    hidden: int = 64
    members: int = 3
    dropout: float = 0.3
    weights: dict[str, float] = field(default_factory=dict, hash=False)
    clusters: int = 8
    epochs: int = 100
    batch: int = 8192
    lr: float = 1e-3
    weight_decay: float = 1e-6
    margin: float = 1.0
    triplet: float = 1.0
    reconstruction: float = 1.0
    lattice: Literal["array", "axial"] = "array"
    pooling: Literal["ceil", "floor"] = "ceil"
    monte_carlo: int = 0

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1101/2024.06.04.24308256"

    def __post_init__(self) -> None:
        if self.window < 1 or self.window % 2 == 0:
            raise ValueError(f"window must be odd and at least 1, not {self.window}")
        for name in ("latent", "hidden", "members", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("clusters", "batch"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, not {self.lr}")
        for name in ("weight_decay", "margin", "triplet", "reconstruction", "monte_carlo"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.triplet + self.reconstruction == 0:
            raise ValueError("triplet and reconstruction are both 0: nothing is left to learn")
        check_weights(self.weights)

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Fit on the views and embed them.

        Parameters
        ----------
        views
            By role, each dense of shape (n, d).
        places
            Where the n observations lie.
        rng
            Draws clusters, weights, batches, triplets and dropout.

        Returns
        -------
            Codes, shape (n, latent).
        """
        return self.fit(views, places, rng).value

    def fit(
        self, views: Mapping[str, Array], places: Places, rng: np.random.Generator, *, device: str = "cpu"
    ) -> Fit[Matrix, FittedGridTriplet]:
        """Learn ranges, clusters and network, and embed the views.

        Parameters
        ----------
        views
            By role, each dense of shape (n, d).
        places
            Where the n observations lie.
        rng
            Draws clusters, weights, batches, triplets and dropout.
        device
            Of torch.

        Raises
        ------
        DataError
            When the views do not fit the places, or the places make no lattice.
        NumericsError
            When the loss is not finite.
        """
        import torch

        from triptych.fusers.grid_fitted import FittedGridTriplet, to_arrays
        from triptych.nets.grid_training import Settings, View, fit_encoder

        check(views, places, self.weights)
        generator = torch.Generator(device).manual_seed(seed_from(rng))
        roles = {role: views[role].shape[1] for role in sorted(views)}
        weights = shares(self.weights, list(roles))
        parts = []
        for role, columns in roles.items():
            labels, clusters = view_labels(np.asarray(views[role]), self.clusters, rng)
            parts.append(View(columns, weights[role], torch.as_tensor(labels, device=device), clusters))
        x = beside(views)
        ranges = np.stack([x.min(axis=0), x.max(axis=0)])
        windows = gather(scale(x, ranges), places, window=self.window, lattice=self.lattice, device=device)
        settings = Settings(**{name: getattr(self, name) for name in Settings.__dataclass_fields__})
        with threads_for(windows):
            encoder, statistics, losses = fit_encoder(
                windows, parts, self.shape(x.shape[1]), settings, generator
            )
        network = to_arrays(encoder, statistics)
        model = FittedGridTriplet(self, roles, ranges, network, tuple(losses), dropout_seed=seed_from(rng))
        return Fit(model.apply(views, places, device=device), model)

    def restore(self, folder: Path) -> FittedGridTriplet:
        """Read the model that was saved in a folder."""
        from triptych.fusers.grid_fitted import FittedGridTriplet

        return FittedGridTriplet.load(folder)

    def shape(self, channels: int) -> GridShape:
        """Sizes of the network for views of ``channels`` dimensions together."""
        from triptych.nets.grid import GridShape

        return GridShape(
            channels, self.window, self.hidden, self.latent, self.members, self.pooling == "ceil"
        )


def threads_for(windows: Windows) -> AbstractContextManager[None]:
    """One thread for small studies, whose steps are too short to share out; else as many as torch is given.

    Threads that wait for each other many times a millisecond cost a multiple of the work on a busy machine.
    """
    values = windows.index.numel() * windows.pile.shape[1]
    return one_thread() if values < SMALL else nullcontext()


def check(views: Mapping[str, Array], places: Places, weights: Mapping[str, float]) -> None:
    """Refuse views that cannot be put in windows.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults("grid-triplet")
    for role, view in views.items():
        faults.check(
            not sp.issparse(view), f"the view {role} is sparse. Reduce it first, e.g. encode with pca."
        )
    faults.check(len(places.um) > 1, f"there are {len(places.um)} observations; at least 2 are needed.")
    faults.raise_if_any()
    check_views("grid-triplet", views, len(places.um), weights)


def shares(weights: Mapping[str, float], roles: list[str]) -> dict[str, float]:
    """Weight of each role; those not named share what is left of the total."""
    unnamed = [role for role in roles if role not in weights]
    left = max(0.0, TOTAL - sum(weights.values()))
    return {role: weights.get(role, left / max(1, len(unnamed))) for role in roles}


def beside(views: Mapping[str, Array]) -> NDArray[np.float64]:
    """The views side by side in the order of their roles' names, shape (n, sum of d)."""
    return np.hstack([np.asarray(views[role], dtype=np.float64) for role in sorted(views)])


def scale(x: NDArray[np.float64], ranges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Bring each dimension from its range (2, d) to [0, 1]; a constant dimension to 0."""
    low, width = ranges[0], ranges[1] - ranges[0]
    scaled: NDArray[np.float32] = ((x - low) / np.where(width > 0, width, 1)).astype(np.float32)
    return scaled


def gather(x: NDArray[np.float32], places: Places, *, window: int, lattice: str, device: str) -> Windows:
    """Windows of scaled features on a device; nothing of size n·w²·d is made."""
    from triptych.nets.grid_training import Windows

    index = window_index(places, window, lattice)
    pile = np.concatenate([x, window_medians(x, index)])
    return Windows(_tensor(pile, device), _tensor(point_gaps_at_fill(index), device))


def _tensor(values: NDArray[np.generic], device: str) -> torch.Tensor:
    import torch

    return torch.from_numpy(values).to(device)
