"""A fitted mlp: an ensemble of perceptrons, and how wrong its members were of what they had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.abundance import Abundance
from triptych.core.protocols import Array, Matrix, Places, Vector
from triptych.core.settings import device
from triptych.maths.threads import threads_for
from triptych.predictors.inner import bounded
from triptych.predictors.inputs import Scales

if TYPE_CHECKING:
    from torch import Tensor

    from triptych.nets.regressor_training import Trained

FLOOR: Final = 0.1  # share of the mean error that the error of the smallest guess has at least
TINY: Final = 1e-12  # spread of a type that was guessed without error


@dataclass(frozen=True, eq=False)
class FittedMlp(Scales):
    """The perceptrons that `triptych.predictors.mlp.Mlp` learned, after the parameters of `Scales`.

    Parameters
    ----------
    inputs_mean, inputs_std
        Of each member's own rows, once on the scale of `Scales`, shape (members, d).
    targets_mean, targets_std
        Of the targets of each member's rows, shape (members, t).
    network
        Weights and biases by name, each with the members first.
    floor, slope
        The error expected of a guess of 0, and how it grows with the guess, shape (t,).
    margin
        Of each type, shape (t,).
    types
        Their names.
    epochs
        The best epoch of each member, counted from 1.
    losses
        By epoch, means over the members: ``mse``, ``mae`` and ``pearson`` as they stand in the loss,
        ``total``, and ``held out``, the total on the rows that stop a member.
    """

    inputs_mean: NDArray[np.float32]
    inputs_std: NDArray[np.float32]
    targets_mean: NDArray[np.float32]
    targets_std: NDArray[np.float32]
    network: dict[str, NDArray[np.float32]]
    floor: Vector
    slope: Vector
    margin: Vector
    types: tuple[str, ...]
    epochs: tuple[int, ...]
    losses: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from triptych.nets.regressor import from_arrays

        super().__post_init__()
        widths, members = from_arrays(self.network).widths, len(self.epochs)
        d, t = len(self.mean), len(self.types)
        inputs, targets = {(members, d)}, {(members, t)}
        if (
            (widths[0], widths[-1]) != (d, t)
            or {self.inputs_mean.shape, self.inputs_std.shape} != inputs
            or {self.targets_mean.shape, self.targets_std.shape} != targets
            or {self.floor.shape, self.slope.shape, self.margin.shape} != {(t,)}
        ):
            raise ValueError(f"its arrays do not fit {d} columns, {t} types and {members} members")

    def apply(self, views: Mapping[str, Array], places: Places) -> Abundance:
        """Guess the abundances of other observations.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their sections matter, where each is scaled by itself.

        Returns
        -------
        Shape (n, t), with low and high. What is said of a row, once it is scaled, does not depend on the
        others.

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        with threads_for(len(places.um)):
            return self.guess(self.matrix(views, places))

    def guess(self, x: Matrix) -> Abundance:
        """As `apply`, of rows that were scaled, shape (n, d)."""
        import torch

        from triptych.nets.regressor import Scale, from_arrays
        from triptych.nets.regressor_training import Trained

        parts = (self.inputs_mean, self.inputs_std, self.targets_mean, self.targets_std)
        mean, std, offset, size = (torch.from_numpy(part.copy())[:, None].to(device()) for part in parts)
        inputs, targets = Scale(mean, std, self.clip), Scale(offset, size)
        network = from_arrays(self.network, device())
        trained = Trained(network, inputs, targets, np.array(self.epochs), {})
        said = by_member(trained, torch.from_numpy(x).to(device()))
        values = said.mean(axis=0)
        return bounded(
            values, spread(values, said.var(axis=0), self.floor, self.slope), self.margin, self.types
        )


def by_member(trained: Trained, x: Tensor) -> Matrix:
    """What each member says of each row, in the units of the targets, shape (members, n, t)."""
    import torch

    from triptych.nets.regressor import guesses

    rows = torch.arange(len(x), device=x.device).expand(trained.network.members, -1)
    said = guesses(trained.network, trained.inputs, x, rows)
    return np.asarray(trained.targets.undo(said).cpu().numpy(), np.float64)


def error_line(values: Matrix, residual: Matrix) -> tuple[Vector, Vector]:
    r"""The error expected of a guess, a + b v: least squares of \|r\| with a and b not negative, by type.

    Parameters
    ----------
    values
        Guesses v that did not learn from what they guess, not negative, shape (n, t).
    residual
        Truth less guess r, shape (n, t).

    Returns
    -------
    a and b, each of shape (t,); a is at least `FLOOR` of the mean error, for a guess near 0 may be very
    wrong.
    """
    error = np.abs(residual)
    mean, centre = error.mean(axis=0), values.mean(axis=0)
    spreads = ((values - centre) ** 2).sum(axis=0)
    b = ((values - centre) * error).sum(axis=0) / np.maximum(spreads, TINY)
    through = (values * error).sum(axis=0) / np.maximum((values**2).sum(axis=0), TINY)
    b = np.where(mean - b * centre < 0, through, np.clip(b, 0.0, None))
    return np.maximum(mean - b * centre, np.maximum(FLOOR * mean, TINY)), b


def spread(values: Matrix, variance: Matrix, floor: Vector, slope: Vector) -> Matrix:
    """√((a + b v)² + s²) for guesses v and the variance s² over the members, shape (n, t)."""
    return np.asarray(np.sqrt((floor + slope * np.clip(values, 0.0, None)) ** 2 + variance))
