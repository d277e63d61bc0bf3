"""What both graph transformers share: when to stop, several members, and intervals, from inner folds.

Each inner fold is predicted, epoch after epoch, by networks that learned from the others. For how many epochs
the networks of a fold are believed is read from the errors of the other folds, never from its own; for how
many those are trained that are kept, from the errors of all. So the residuals that make the intervals chose
nothing about the predictions they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from triptych.core.abundance import Abundance
from triptych.core.protocols import Codes, Indices, Matrix, Places, Vector
from triptych.predictors.inner import inner_folds, margins
from triptych.predictors.inputs import known, taken

Network: TypeAlias = dict[str, NDArray[np.float32]]


class Taught(NamedTuple):
    """One network.

    Attributes
    ----------
    guesses
        Of the rows that were held out, after each of the marks, in the target's units, shape (marks, h, t).
    network
        Weights by name.
    """

    guesses: Matrix
    network: Network


@dataclass(frozen=True, eq=False)
class Task:
    """What one network is to learn.

    Parameters
    ----------
    rows
        That are learned from.
    held
        That are predicted at each of the marks.
    stop
        Epochs to train.
    marks
        Epochs after which to predict.
    label
        Told to whoever listens to progress.
    """

    rows: Indices
    held: Indices
    stop: int
    marks: tuple[int, ...]
    label: str


class Learned(NamedTuple):
    """What inner folds and all rows gave.

    Attributes
    ----------
    networks
        Of each member: ``<member>.<name>`` → weights.
    epochs
        For which they were trained.
    margin
        Spreads on either side of a guess, shape (t,).
    floor
        Least spread, shape (t,).
    """

    networks: Network
    epochs: int
    margin: Vector
    floor: Vector


@dataclass(frozen=True)
class Crossing:
    """How to go about it.

    Parameters
    ----------
    epochs
        To train at most.
    looks
        Epochs at most after which the fold that is held out is predicted.
    members
        Networks that differ in what they draw.
    folds
        Inner folds at most.
    level
        Share of values that an interval should hold.
    """

    epochs: int
    looks: int
    members: int
    folds: int
    level: float

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("members", 1), ("folds", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")

    @property
    def marks(self) -> tuple[int, ...]:
        """Epochs among which the best is chosen."""
        even = np.linspace(self.epochs, 0, self.looks, endpoint=False)
        return tuple(np.unique(np.ceil(even).astype(int)).tolist())


def check_training(neighbours: int, batch: int, lr: float, dropout: float) -> None:
    """Refuse parameters that both graph transformers have.

    Raises
    ------
    ValueError
        When one is out of range.
    """
    for name, value in (("neighbours", neighbours), ("batch", batch)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if not lr > 0:
        raise ValueError(f"lr must be above 0, not {lr}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie from 0 to below 1, not {dropout}")


def learn(
    crossing: Crossing, target: Abundance, places: Places, groups: Codes, teach: Callable[[Task], Taught]
) -> Learned:
    """Train the members, and measure how wrong others like them are.

    Parameters
    ----------
    crossing
        How.
    target, places, groups
        As a predictor is given them; n rows.
    teach
        Trains one network.
    """
    rows = known(target)
    folds = inner_folds(groups[rows], taken({}, places, rows)[1], most=crossing.folds)
    truth, marks = target.values[rows], crossing.marks
    guesses = np.empty((crossing.members, len(marks), *truth.shape))
    for fold, member, name in _turns(folds, crossing.members):
        held = folds == fold
        task = Task(rows[~held], rows[held], crossing.epochs, marks, name)
        guesses[member][:, held] = teach(task).guesses
    chosen, best = _stops(guesses.mean(axis=0), truth, folds)
    at = np.arange(len(rows))
    believed = guesses[:, chosen[folds], at]  # (members, rows, t)
    floor = _floor(believed)
    margin = margins(truth - believed.mean(axis=0), spread(believed, floor), crossing.level)
    networks: Network = {}
    for member in range(crossing.members):
        task = Task(rows, rows[:0], marks[best], (), f"member {member + 1}")
        networks |= {f"{member}.{name}": weights for name, weights in teach(task).network.items()}
    return Learned(networks, marks[best], margin, floor)


def _turns(folds: Codes, members: int) -> Iterator[tuple[int, int, str]]:
    count = int(folds.max()) + 1
    for fold in range(count):
        for member in range(members):
            yield fold, member, f"inner fold {fold + 1} of {count}, member {member + 1}"


def _stops(guesses: Matrix, truth: Matrix, folds: Codes) -> tuple[Indices, int]:
    """Which mark to believe of each fold, (f,), and which is best on the whole, by the mean over types.

    Parameters
    ----------
    guesses
        Shape (marks, n, t).
    truth
        Shape (n, t).
    folds
        Of each row, shape (n,).
    """
    variance = truth.var(axis=0)
    weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0)
    error = ((guesses - truth) ** 2 @ weight).T  # (n, marks)
    sums = np.array([error[folds == fold].sum(axis=0) for fold in range(int(folds.max()) + 1)])
    total = sums.sum(axis=0)
    return np.argmin(total - sums, axis=1), int(np.argmin(total))


def _floor(guesses: Matrix) -> Vector:
    """The median disagreement of the members by type, 1 where they never disagree: (m, n, t) → (t,)."""
    typical = np.median(guesses.std(axis=0), axis=0)
    return np.where(typical > 0, typical, 1.0)


def spread(guesses: Matrix, floor: Vector) -> Matrix:
    """How uncertain each guess is next to others of its type: √(s² + floor²), s the members' deviation.

    Parameters
    ----------
    guesses
        Of each member, shape (m, n, t).
    floor
        The deviation that is typical, shape (t,). Few members may agree by chance; they are then not believed
        to be much more certain than usual.
    """
    return np.asarray(np.hypot(guesses.std(axis=0), floor))


def unstacked(networks: Network) -> list[Network]:
    """Weights of each member by name.

    Raises
    ------
    ValueError
        When they are not numbered from 0 on.
    """
    members: dict[str, Network] = {}
    for name, weights in networks.items():
        number, _, rest = name.partition(".")
        members.setdefault(number, {})[rest] = weights
    if sorted(members) != sorted(str(number) for number in range(len(members))) or not members:
        raise ValueError("its networks are not numbered from 0 on")
    return [members[str(number)] for number in range(len(members))]
