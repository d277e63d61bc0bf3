"""Deep embedded clustering (Xie et al. 2016), with a target that keeps rare clusters."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from triptych.clusterers.dec_fitted import FittedDec, Start
from triptych.clusterers.dec_start import check_encoder, initial_centres, tempered_centres
from triptych.clusterers.door import by_size, check_clusters, in_use
from triptych.core.errors import TriptychWarning
from triptych.core.models import Fit
from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import torch_generator
from triptych.maths.threads import one_thread, threads_for
from triptych.nets.autoencoder_inputs import Inputs, moments, scaled
from triptych.nets.autoencoder_saved import WithEncoder

if TYPE_CHECKING:
    import torch

    from triptych.nets.dec import Target

CLIP, PRETRAINING, EPOCHS, LR = 10.0, 5, 10, 1e-3  # of the encoder, where none is given, as in the fuser sdae


@dataclass(frozen=True)
class Dec:
    """Cluster the codes of an encoder while moving the encoder so that clusters come apart.

    Centres start from K-means of the codes. Each observation belongs to cluster j by Student's t kernel,
    q_ij ∝ (1 + ‖z_i − µ_j‖²/α)^(−(α+1)/2). Encoder and centres then minimise KL(P‖Q) for a sharper target
    p_ij ∝ q_ij² v_j, found anew from all observations every ``update_interval`` steps, until hardly any
    observation changes cluster between two targets.

    The target of the paper has v_j = 1 / Σ_i q_ij. That draws what lies between a big cluster and a small
    one to the small one, while the loss, a mean over observations, is mostly that of big clusters; and what
    K-means put together at the start is never parted: rare kinds end up mixed. ``class-balanced`` starts from
    K-means of many small clusters whose size counts little, chooses v so that every cluster keeps the share
    of observations that it had at the start, and weighs observations so that all clusters count the same.
    On digits with three classes made rare it found more of them; on the real cells of README.md it did not.

    A cluster that loses all its members is left out, with a warning: there are then fewer than k.

    Parameters
    ----------
    k
        Number of clusters.
    balance
        Of the target. ``none``: as in the paper; ``class-balanced``: shares of clusters are kept.
    alpha
        Degrees of freedom of the kernel.
    learning_rate
        Of SGD with momentum 0.9.
    batch
        Observations per step, at most.
    update_interval
        Steps between targets.
    tolerance
        Part of the observations; it ends when no more than these changed cluster since the last target.
    steps
        At most.
    n_init
        Number of starts of K-means.
    latent
        Dimension of the code, where no encoder is given.
    hidden
        Widths of the layers of the encoder, where none is given.
    standardise
        Whether to bring each column to variance 1 first, where no encoder is given.
    corruption
        Part of the values that are set to 0 while these layers are taught, where no encoder is given.
    least_steps
        Steps that each phase of teaching takes at least, where no encoder is given.
    """

    k: int = 8
    balance: Literal["none", "class-balanced"] = "none"
    alpha: float = 1.0
    learning_rate: float = 0.01
    batch: int = 256
    update_interval: int = 140
    tolerance: float = 0.001
    steps: int = 4000
    n_init: int = 20
    latent: int = 10
    hidden: tuple[int, ...] = (500, 500, 2000)
    standardise: bool = True
    corruption: float = 0.2
    least_steps: int = 500

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    learns_space: ClassVar[bool] = True
    cite: ClassVar[str] = "10.48550/arXiv.1511.06335"

    def __post_init__(self) -> None:
        sizes = ("k", "batch", "update_interval", "steps", "n_init", "latent")
        if min(*(getattr(self, name) for name in sizes), *self.hidden) < 1:
            raise ValueError(f"{', '.join(sizes)} and hidden must be at least 1")
        if not self.alpha > 0 or not self.learning_rate > 0:
            raise ValueError("alpha and learning_rate must be positive")
        if not 0 <= self.tolerance < 1 or not 0 <= self.corruption < 1:
            raise ValueError("tolerance and corruption must be in [0, 1)")
        if self.least_steps < 0:
            raise ValueError("least_steps must not be negative")

    def cluster(self, x: Matrix, rng: np.random.Generator) -> Codes:
        """Partition the rows.

        Parameters
        ----------
        x
            Shape (n, d).
        rng
            Draws the weights, the starts of K-means and the batches.

        Returns
        -------
        Codes 0 … k - 1 by falling size, shape (n,).

        Raises
        ------
        DataError
            When values are not finite or there are fewer than k distinct rows.
        NumericsError
            When the loss is not finite.
        """
        return self.fit(x, rng).value

    def fit(
        self, x: Matrix, rng: np.random.Generator, *, encoder: Any | None = None
    ) -> Fit[Codes, FittedDec]:
        """Partition the rows, and keep encoder and centres.

        Parameters
        ----------
        x, rng
            As for `cluster`.
        encoder
            Model of the fuser ``autoencoder`` or ``sdae``, fitted to x as its only view, from whose encoder
            to start; None teaches one here, as ``sdae`` does. It is not changed.

        Raises
        ------
        DataError
            When values are not finite, there are fewer than k distinct rows, or the encoder is not of x.
        NumericsError
            When the loss is not finite.
        """
        check_clusters("dec", x, self.k)
        if encoder is not None:
            check_encoder(encoder, x)
        with threads_for(len(x)):
            start = self._taught(x, rng) if encoder is None else encoder
            model = self._refined(start, x, rng)
            codes = model.apply(x)
        value = by_size(codes)
        kept = in_use(codes, value)
        if len(kept) < self.k:
            warnings.warn(
                f"dec: {self.k - len(kept)} of {self.k} clusters lost all their observations and are left "
                "out. Lower k or learning_rate, or set balance to class-balanced.",
                TriptychWarning,
                stacklevel=2,
            )
        return Fit(value, model.with_centres(kept))

    def restore(self, folder: Path) -> FittedDec:
        """Read the model that was saved in a folder."""
        return FittedDec.load(folder)

    def _taught(self, x: Matrix, rng: np.random.Generator) -> Start:
        """An encoder of the rows, taught as `sdae` does."""
        from triptych.nets.autoencoder import Settings, fit_autoencoder, to_arrays

        settings = Settings(
            hidden=self.hidden,
            latent=self.latent,
            corruption=self.corruption,
            pretraining=PRETRAINING,
            epochs=EPOCHS,
            least_steps=self.least_steps,
            batch=self.batch,
            optimiser="adam",
            lr=LR,
        )
        mean, deviation = moments((x,))
        inputs = scaled(
            (x,), mean, deviation, weight=np.ones_like(mean), standardise=self.standardise, clip=CLIP
        )
        encoder, _, _ = fit_autoencoder(inputs, settings, torch_generator(rng), label="sdae")
        return Start(mean, inputs.deviation, inputs.factor, inputs.clip, to_arrays(encoder))

    def _refined(self, start: WithEncoder, x: Matrix, rng: np.random.Generator) -> FittedDec:
        """Encoder and centres after they have followed the target."""
        import torch

        from triptych.nets.autoencoder import from_arrays, to_arrays
        from triptych.nets.dec import DecSettings, refine

        inputs = Inputs((x,), start.mean, start.deviation, start.factor, start.clip)
        settings = DecSettings(
            alpha=self.alpha,
            lr=self.learning_rate,
            batch=self.batch,
            update_interval=self.update_interval,
            tolerance=self.tolerance,
            steps=self.steps,
        )
        begin = initial_centres if self.balance == "none" else tempered_centres
        z = start.codes((x,))
        with one_thread():  # sums of K-means in several threads come in any order
            centres, codes = begin(z, self.k, self.n_init, rng)
        target, weight = self._target(codes, len(centres))
        network = from_arrays(start.network)
        moved, changes = refine(
            network, torch.from_numpy(centres), inputs, settings,
            target=target, weight=weight, generator=torch_generator(rng),
        )  # fmt: skip
        return FittedDec(
            mean=start.mean,
            deviation=start.deviation,
            factor=start.factor,
            clip=start.clip,
            network=to_arrays(network),
            centres=moved.numpy(),
            changes=tuple(changes),
        )

    def _target(self, codes: Codes, k: int) -> tuple[Target, torch.Tensor | None]:
        """The target, and the weight of each observation, from the clusters at the start."""
        import torch

        from triptych.nets.dec import balanced, sharpened

        if self.balance == "none":
            return sharpened, None
        share = np.bincount(codes, minlength=k) / len(codes)
        weight = torch.from_numpy((1 / (k * share[codes])).astype(np.float32))
        return partial(balanced, share=torch.from_numpy(share)), weight
