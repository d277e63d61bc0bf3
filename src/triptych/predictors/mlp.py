"""An ensemble of multi-layer perceptrons on the views, after the predictor of pfm-mlp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np

from triptych.core.abundance import Abundance
from triptych.core.models import Fit
from triptych.core.protocols import Array, Codes, Matrix, Places
from triptych.core.randomness import seed_from
from triptych.core.settings import device
from triptych.maths.threads import threads_for
from triptych.predictors.door import check, check_settings, known
from triptych.predictors.inner import inner_folds, margins
from triptych.predictors.inputs import Scaled, scaled, taken
from triptych.predictors.mlp_fitted import FittedMlp, by_member, error_line, spread

if TYPE_CHECKING:
    from triptych.nets.regressor_training import Settings, Trained


class Unseen(NamedTuple):
    """Rows held out from a member, m of them.

    Attributes
    ----------
    guess
        Mean over the members that did not learn from a row, shape (m, t).
    variance
        Over all members, shape (m, t).
    truth
        Shape (m, t).
    """

    guess: Matrix
    variance: Matrix
    truth: Matrix


@dataclass(frozen=True)
class Mlp:
    """Seven linear layers with SiLU between them, several times over, each stopped early on an inner fold.

    Parameters
    ----------
    hidden
        Widths of the layers between the views and the types.
    dropout
        Probability of dropping a value after each SiLU.
    mae, pearson
        Weights λ₁ and λ₂ of the loss.
    epsilon
        Addend of the correlation's denominator.
    learning_rate, weight_decay
        Of AdamW.
    batch
        Observations per step, at most.
    epochs
        Passes over the observations, at most.
    patience
        Epochs without a better one after which a member stops.
    members
        How many perceptrons.
    scale
        ``fit``: columns by mean and deviation of the fit; ``section``: each section by its own.
    clip
        Largest size of a standardised value.
    level
        Share of values that the interval should hold.

    Notes
    -----
    Loss = MSE + λ₁ MAE + λ₂ L_P, with L_P = -Σ(ŷ - ŷ̄)(y - ȳ) / (√Σ(ŷ - ŷ̄)² √Σ(y - ȳ)² + ε) by type over the
    batch, of which the mean is taken over types that vary there; targets are standardised. The paper gives
    neither widths nor λ₁, λ₂, dropout, rate or stopping; the defaults here were chosen on four sections of
    her2st, each held out in turn.

    Member m learns from all inner folds but fold m mod f, and keeps the weights of the epoch that was best
    on that one; its inputs and targets are brought to the scale of its own rows. The guess is the mean over
    the members. Interval: ŷ ± q_t √((a_t + b_t ŷ)² + s²), with s² the variance over members, a_t + b_t ŷ the
    error that grows with the guess, and q_t the conformal quantile of what members said of the fold held
    out from them. That fold chose their epoch, which makes q_t a little small.
    """

    hidden: tuple[int, ...] = (128, 128, 64, 64, 32, 32)
    dropout: float = 0.1
    mae: float = 0.5
    pearson: float = 1.0
    epsilon: float = 1e-6
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    batch: int = 128
    epochs: int = 200
    patience: int = 15
    members: int = 5
    scale: Literal["fit", "section"] = "fit"
    clip: float = 10.0
    level: float = 0.9

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    takes: ClassVar[Literal["views", "windows"]] = "views"
    cite: ClassVar[str] = "10.48550/arXiv.2507.07013"

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must name widths of at least 1, not {self.hidden}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        if not all(0 <= one < np.inf for one in (self.mae, self.pearson, self.epsilon, self.weight_decay)):
            raise ValueError("mae, pearson, epsilon and weight_decay must not be negative or infinite")
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate must be positive, not {self.learning_rate}")
        if min(self.epochs, self.patience, self.members) < 1 or self.batch < 2:
            raise ValueError("epochs, patience and members must be at least 1, batch at least 2")
        check_settings(self.level, self.clip)

    def fit(
        self,
        views: Mapping[str, Array],
        target: Abundance,
        places: Places,
        groups: Codes,
        rng: np.random.Generator,
    ) -> Fit[Abundance, FittedMlp]:
        """Train the members.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR.
        target
            Of the n observations; rows of NaN are not learned from.
        places
            Where they lie.
        groups
            Code of what is held out together inside the fit, shape (n,).
        rng
            Of weights, batches and dropout.

        Raises
        ------
        DataError
            When the inputs do not fit together, or cannot be divided.
        NumericsError
            When the loss is not finite.
        """
        check("mlp", views, target, places, groups)
        rows = known(target)
        y = np.asarray(target.values[rows], np.float64)
        folds = inner_folds(groups[rows], taken({}, places, rows)[1], most=min(5, max(2, self.members)))
        with threads_for(len(rows)):
            scale = scaled(*taken(views, places, rows), scale=self.scale, clip=self.clip).model
            x = scale.apply(views, places)
            trained, unseen = self._trained(x[rows], y, folds, seed_from(rng))
            model = self._model(scale, trained, unseen, target.types)
            return Fit(model.guess(x), model)

    def restore(self, folder: Path) -> FittedMlp:
        """Read a model that was saved."""
        return FittedMlp.load(folder)

    def settings(self) -> Settings:
        """How to build and train the network."""
        from triptych.nets.regressor_training import Settings

        return Settings(
            hidden=self.hidden, dropout=self.dropout, mae=self.mae, pearson=self.pearson,
            epsilon=self.epsilon, lr=self.learning_rate, weight_decay=self.weight_decay,
            batch=self.batch, epochs=self.epochs, patience=self.patience, clip=self.clip,
        )  # fmt: skip

    def _trained(self, x: Matrix, y: Matrix, folds: Codes, seed: int) -> tuple[Trained, Unseen]:
        """The members, and what they say of rows held out from them."""
        import torch

        from triptych.nets.regressor_training import Member, fit_regressors

        where = device()
        inputs, targets = (torch.from_numpy(part.astype(np.float32)).to(where) for part in (x, y))
        turn = np.arange(self.members) % (int(folds.max()) + 1)
        held = folds == turn[:, None]
        members = [
            Member(*(torch.from_numpy(np.flatnonzero(part)).to(where) for part in (~out, out)))
            for out in held
        ]
        trained = fit_regressors(
            inputs, targets, members, self.settings(), torch.Generator(where).manual_seed(seed), label="mlp"
        )
        said = by_member(trained, inputs)
        seen = held.any(axis=0)  # one member alone leaves out one fold only
        weights = (held / np.maximum(held.sum(axis=0), 1))[:, :, None]
        return trained, Unseen(*(part[seen] for part in ((said * weights).sum(axis=0), said.var(axis=0), y)))

    def _model(self, scale: Scaled, trained: Trained, unseen: Unseen, types: tuple[str, ...]) -> FittedMlp:
        """Keep the members, and measure the interval on what they had not learned from."""
        from triptych.nets.regressor import to_arrays

        guess = np.clip(unseen.guess, 0.0, None)
        residual = unseen.truth - guess
        floor, slope = error_line(guess, residual)
        inputs, targets = trained.inputs, trained.targets
        scales = [part[:, 0].cpu().numpy() for one in (inputs, targets) for part in (one.mean, one.deviation)]
        return FittedMlp(
            **vars(scale), inputs_mean=scales[0], inputs_std=scales[1],
            targets_mean=scales[2], targets_std=scales[3], network=to_arrays(trained.network),
            floor=floor, slope=slope,
            margin=margins(residual, spread(guess, unseen.variance, floor, slope), self.level),
            types=types, epochs=tuple(trained.epochs.tolist()), losses=trained.losses,
        )  # fmt: skip
