"""Alignment and fusion learned together: windows of unaligned views → codes that forget the section."""

from __future__ import annotations

from collections.abc import Mapping
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
from triptych.fusers.balance import check_views, check_weights, factors
from triptych.fusers.grid_joint_matching import Matching
from triptych.fusers.grid_triplet import beside, gather, scale, threads_for
from triptych.maths.graphs import averaging, sections

if TYPE_CHECKING:
    from triptych.fusers.grid_joint_fitted import FittedGridJoint
    from triptych.nets.grid import GridShape
    from triptych.nets.grid_joint import JointData
    from triptych.nets.grid_training import Windows

AROUND, SMOOTHING = 6, 2  # nearest places, and rounds, of the average in which pairs are first sought


@dataclass(frozen=True)
class GridJoint:
    """Encode the window around each observation so that its code says what is there, not in which section.

    Where `grid-triplet` needs views that are aligned already, this takes them as they are. The encoder is the
    same and never sees the section, so a fitted model embeds sections of batches it has never met. One loss
    does both,

        reconstruction · Σ_m w_m |x_m − x̂_m(z, s)| + triplet · T + pairing · P + mixing · E.

    The decoder is told the section s, by a one-hot code beside z and an affine map of its output, so that z
    need not carry it. T is the triplet loss over K-means clusters that all sections share, P one whose
    positives are mutual nearest neighbours in other sections, E the energy distance between sections within
    clusters. Clusters and pairs are found before training in the views averaged over nearby places, where the
    sections are moved onto each other by what their pairs say, and again from the codes after every
    ``refresh`` epochs. What one section has alone finds no pairs and is pulled to nothing; no section's
    mixture of domains is forced on another.

    A single section has no pairs: this is then an auto-encoder of windows with triplets of smoothed clusters.
    Gaps in windows, cells without an array, and the ensemble are those of `grid-triplet`. Embedding uses no
    dropout and the statistics of all windows: it is deterministic.

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
        Of the views by role, relative to each other. A role that is not named has weight 1.
    clusters
        Number of K-means clusters that define the triplets.
    neighbours
        Nearest observations of the other section among which a mutual one counts as a pair.
    anchors
        Observations of each section among which pairs are sought, at most; drawn anew for each refresh.
    epochs
        Passes over the data.
    refresh
        Epochs after which clusters and pairs are found anew from the codes; 0 keeps the first ones.
    batch
        Observations per step, at most, partners included.
    lr
        Learning rate of Adam with AMSGrad.
    weight_decay
        Of Adam.
    margin
        Of the triplet losses.
    reconstruction
        Weight of the reconstruction.
    triplet
        Weight of the triplet loss over clusters.
    pairing
        Weight of the triplet loss with pairs.
    mixing
        Weight of the energy distance; it mixes further, at a cost in domains.
    conditional
        Whether the decoder is told the section.
    centre
        Whether each section's views are centred before they are encoded, on fitting and on applying. It takes
        out shifts of batches never met, and with them what follows from another mixture of domains; the code
        then depends on the whole section.
    lattice
        ``array``: positions as they are, so that on Visium's staggered array half of each window is a gap;
        ``axial``: hexagonal coordinates, without gaps. The same on square arrays.

    Notes
    -----
    Conditioning a decoder on the batch follows scVI (Lopez et al. 2018, 10.1038/s41592-018-0229-2), the pairs
    follow Haghverdi et al. 2018 (10.1038/nbt.4091).
    """

    window: int = 5
    latent: int = 16
    hidden: int = 64
    members: int = 3
    dropout: float = 0.3
    weights: dict[str, float] = field(default_factory=dict, hash=False)
    clusters: int = 8
    neighbours: int = 20
    anchors: int = 4000
    epochs: int = 100
    refresh: int = 0
    batch: int = 8192
    lr: float = 1e-3
    weight_decay: float = 1e-6
    margin: float = 1.0
    reconstruction: float = 1.0
    triplet: float = 1.0
    pairing: float = 1.0
    mixing: float = 0.0
    conditional: bool = True
    centre: bool = True
    lattice: Literal["array", "axial"] = "array"

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.window < 1 or self.window % 2 == 0:
            raise ValueError(f"window must be odd and at least 1, not {self.window}")
        for name in ("latent", "hidden", "members", "neighbours", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("clusters", "anchors", "batch"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, not {self.lr}")
        losses = ("reconstruction", "triplet", "pairing", "mixing")
        for name in (*losses, "refresh", "weight_decay", "margin"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        if not sum(getattr(self, name) for name in losses[:3]) > 0:
            raise ValueError("reconstruction, triplet and pairing are all 0: nothing is left to learn")
        check_weights(self.weights)

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Fit on the views and embed them.

        Parameters
        ----------
        views
            By role, each dense of shape (n, d), aligned or not.
        places
            Where the n observations lie; their sections are what the codes should forget.
        rng
            Draws clusters, pairs, weights, batches, triplets and dropout.

        Returns
        -------
            Codes, shape (n, latent).
        """
        return self.fit(views, places, rng).value

    def fit(
        self, views: Mapping[str, Array], places: Places, rng: np.random.Generator, *, device: str = "cpu"
    ) -> Fit[Matrix, FittedGridJoint]:
        """Learn ranges and network.

        Parameters
        ----------
        views, places, rng
            As of `fuse`.
        device
            Of torch.

        Returns
        -------
            Codes of shape (n, latent), and the model.

        Raises
        ------
        DataError
            When the views do not fit the places, or the places make no lattice.
        NumericsError
            When the loss is not finite.
        """
        import torch

        from triptych.fusers.grid_fitted import to_arrays
        from triptych.fusers.grid_joint_fitted import FittedGridJoint
        from triptych.nets.grid_joint import JointSettings, fit_joint

        check(views, places, self.weights)
        generator = torch.Generator(device).manual_seed(seed_from(rng))
        roles = {role: views[role].shape[1] for role in sorted(views)}
        x = self.features(views, places)
        ranges = np.stack([x.min(axis=0), x.max(axis=0)])
        windows = gather(scale(x, ranges), places, window=self.window, lattice=self.lattice, device=device)
        matching = Matching(
            self._surroundings(views, places),
            places.sample,
            windows,
            self.clusters,
            self.neighbours,
            self.anchors,
            rng,
        )
        settings = JointSettings(**{name: getattr(self, name) for name in JointSettings.__dataclass_fields__})
        with threads_for(windows):
            encoder, statistics, losses = fit_joint(
                self._data(roles, places, windows), self.shape(x.shape[1]), settings, matching, generator
            )
        model = FittedGridJoint(self, roles, ranges, to_arrays(encoder, statistics), tuple(losses))
        return Fit(model.embed(windows), model)

    def restore(self, folder: Path) -> FittedGridJoint:
        """Read a model that was saved to a folder.

        Raises
        ------
        WeightsError
            When files are missing, or are not such a model.
        """
        from triptych.fusers.grid_joint_fitted import FittedGridJoint

        return FittedGridJoint.load(folder)

    def shape(self, channels: int) -> GridShape:
        """Sizes of the encoder for views of ``channels`` dimensions together."""
        from triptych.nets.grid import GridShape

        return GridShape(channels, self.window, self.hidden, self.latent, self.members)

    def features(self, views: Mapping[str, Array], places: Places) -> NDArray[np.float64]:
        """What is put in windows: the views side by side, each section centred if wanted."""
        x = beside(views)
        if self.centre:
            for rows in sections(places.sample):
                x[rows] -= x[rows].mean(axis=0)
        return x

    def _surroundings(self, views: Mapping[str, Array], places: Places) -> Matrix:
        """The views, equally strong but for their weights, averaged over nearby places."""
        factor = factors(views, self.weights, balance=True)
        x = np.hstack([np.asarray(views[role], np.float64) * factor[role] for role in sorted(views)])
        mean = averaging(places, AROUND)
        for _ in range(SMOOTHING):
            x = mean @ x
        return x

    def _data(self, roles: dict[str, int], places: Places, windows: Windows) -> JointData:
        import torch

        from triptych.nets.grid_joint import JointData

        names, codes = np.unique(places.sample, return_inverse=True)
        told = codes.astype(np.int64) if self.conditional else np.zeros(len(codes), np.int64)
        weights = {role: self.weights.get(role, 1.0) for role in roles}
        total = sum(weights.values()) or 1.0
        return JointData(
            windows,
            torch.as_tensor(codes.astype(np.int64), device=windows.index.device),
            len(names),
            torch.as_tensor(told, device=windows.index.device),
            tuple((columns, weights[role] / total) for role, columns in roles.items()),
        )


def check(views: Mapping[str, Array], places: Places, weights: Mapping[str, float]) -> None:
    """Refuse views that cannot be put in windows.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults("grid-joint")
    for role, view in views.items():
        faults.check(
            not sp.issparse(view), f"the view {role} is sparse. Reduce it first, e.g. encode with pca."
        )
    faults.check(len(places.um) > 1, f"there are {len(places.um)} observations; at least 2 are needed.")
    faults.raise_if_any()
    check_views("grid-joint", views, len(places.um), weights)
