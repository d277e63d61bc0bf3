"""How well a random forest knows the types from a space, in cells far from those it learned from and near."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from triptych.core.analysis import Material
from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Array, Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.maths.folds import block_folds, blocks_of, by_place, random_folds, tell_rare
from triptych.maths.neighbours import threads

MEAN: Final = "(mean)"  # of all types: balanced accuracy
FEWEST: Final = 2  # members of a type: one to learn from, one to test
SHUFFLED: Final = 100  # trees at most of a forest that has nothing to learn


class Known(NamedTuple):
    """The observations of known type, in the order of their places."""

    x: Array
    codes: Codes
    names: tuple[str, ...]
    blocks: Codes
    workers: int  # each tree has a seed of its own, so the number of threads changes nothing


@dataclass(frozen=True)
class Forest:
    """Recall of each known type by a random forest, every observation tested once and in two ways.

    ``random`` folds draw observations one by one within each type; neighbours of a tested cell are then
    among those that were learned. ``blocks`` hold out whole blocks of neighbours. Types weigh alike in
    training, whatever their number. Columns are taken as they are, for a forest sees only their order.

    Parameters
    ----------
    trees
        Of each forest.
    folds
        Parts that are held out in turn.
    min_leaf
        Observations of a leaf at least. Leaves of one let the types with the most members win.
    blocks
        Blocks of neighbours along the longer side of a section.
    """

    trees: int = 300
    folds: int = 5
    min_leaf: int = 5
    blocks: int = 5

    takes: ClassVar[frozenset[str]] = frozenset({"x", "truth"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1023/A:1010933404324"

    def __post_init__(self) -> None:
        if self.trees < 1 or self.min_leaf < 1:
            raise ValueError("trees and min_leaf must be at least 1")
        if self.folds < 2 or self.blocks < 2:
            raise ValueError("folds and blocks must be at least 2")

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Train and test.

        Parameters
        ----------
        material
            A space, known labels and places; unlabelled observations take part in nothing.
        rng
            Of folds, forests and permutations.

        Returns
        -------
        For each of ``folds`` (``random``, ``blocks``) one row per known type and one that is called
        ``(mean)``: ``group``, ``n``, ``recall`` (of a type: mean over the folds that both learned and tested
        it; ``(mean)``: of the types, thus balanced accuracy, mean over folds), ``deviation`` (over these
        folds), ``shuffled`` (recall where labels were permuted among what was learned, with at most 100
        trees). Missing where there are too few folds. ``attrs["note"]`` says what random folds overstate.

        Warns
        -----
        TriptychWarning
            When types are too rare for so many folds.

        Raises
        ------
        DataError
            When known labels or the space are missing or do not fit, there are no two types, or fewer
            blocks than folds.
        """
        known = self._known(material)
        ways = {
            "random": random_folds(known.codes, self.folds, rng),
            "blocks": block_folds(known.codes, known.blocks, self.folds, rng),
        }
        tell_rare("forest", known.codes, known.names, ways)
        parts = [self._table(kind, known, fold, rng) for kind, fold in ways.items()]
        table = pd.concat(parts, ignore_index=True)
        table.attrs["note"] = note(parts[0].iloc[-1], parts[1].iloc[-1], self.folds)
        return table

    def _known(self, material: Material) -> Known:
        """What has a known type that occurs twice."""
        x, truth = _checked(material)
        sizes = np.bincount(truth[truth >= 0], minlength=len(material.truth_names))
        kept = np.flatnonzero(sizes >= FEWEST)
        single = [material.truth_names[code] for code in np.flatnonzero((sizes > 0) & (sizes < FEWEST))]
        names = tuple(material.truth_names[code] for code in kept)
        if len(names) < 2:
            raise DataError(
                f"forest: there must be two known types of at least {FEWEST} members; "
                f"there is: {listing(names)}.",
                "Label more observations.",
            )
        if single:
            said = f"forest: types of fewer than {FEWEST} members are left out: {listing(single)}."
            warnings.warn(said, TriptychWarning, stacklevel=3)
        order = by_place(material.places)
        rows = order[np.isin(truth[order], kept)]
        blocks = np.unique(blocks_of(material.places, self.blocks)[rows], return_inverse=True)[1]
        return Known(x[rows], np.searchsorted(kept, truth[rows]), names, blocks, threads())

    def _table(self, kind: str, known: Known, fold: Codes, rng: np.random.Generator) -> pd.DataFrame:
        """The rows of one way to divide."""
        found, chance = (self._recall(known, fold, rng, shuffled=shuffled) for shuffled in (False, True))
        sizes = np.bincount(known.codes)
        return pd.DataFrame(
            {
                "folds": kind,
                "group": np.array([*known.names, MEAN], dtype=object),
                "n": np.append(sizes, sizes.sum()),
                "recall": found.mean(),
                "deviation": found.std(),
                "shuffled": chance.mean(),
            }
        )

    def _recall(self, known: Known, fold: Codes, rng: np.random.Generator, *, shuffled: bool) -> pd.DataFrame:
        """Recall in each fold, (folds, k), and of the types on average; missing where none can be had."""
        recall = np.full((self.folds, len(known.names)), np.nan)
        for held in range(self.folds):
            learned, tested = known.codes[fold != held], known.codes[fold == held]
            given = rng.permutation(learned) if shuffled else learned
            forest = self._forest(rng, known.workers, shuffled=shuffled).fit(known.x[fold != held], given)
            forest.n_jobs = 1  # votes are then summed in the order of the trees, to the same bits
            guess = forest.predict(known.x[fold == held])
            recall[held] = _per_type(tested, guess, learned, len(known.names))
        table = pd.DataFrame(recall)
        return table.assign(**{MEAN: table.mean(axis=1)})

    def _forest(self, rng: np.random.Generator, workers: int, *, shuffled: bool) -> RandomForestClassifier:
        """A forest with a seed of its own."""
        return RandomForestClassifier(
            n_estimators=min(self.trees, SHUFFLED) if shuffled else self.trees,
            min_samples_leaf=self.min_leaf,
            class_weight="balanced",
            n_jobs=workers,
            random_state=seed_from(rng),
        )


def note(drawn: pd.Series, blocks: pd.Series, folds: int) -> str:
    """What the two ways to divide say together.

    Parameters
    ----------
    drawn, blocks
        The row of balanced accuracy of each.
    folds
        How many each is a mean of.
    """
    lent = round(float(drawn["recall"] - blocks["recall"]), 2) + 0.0  # no −0.00
    error = float(np.hypot(drawn["deviation"], blocks["deviation"]) / np.sqrt(folds))
    worth = (
        f"the difference of {lent:.2f} is what neighbouring cells lend, as random folds learn from the "
        "neighbours of those they test"
        if lent > 2 * error
        else f"the difference of {lent:.2f} is within twice its standard error over folds ({error:.2f}), so "
        "neighbouring cells lend nothing that can be seen"
    )
    return (
        f"Balanced accuracy: random folds {drawn['recall']:.2f}, folds of whole blocks "
        f"{blocks['recall']:.2f}: {worth}. With the labels permuted in training it is "
        f"{drawn['shuffled']:.2f} and {blocks['shuffled']:.2f}."
    )


def _checked(material: Material) -> tuple[Array, Codes]:
    """Space and codes of the known labels, or a refusal of material that does not fit together."""
    faults, x, truth = Faults("forest"), material.x, material.truth
    faults.check(x is not None, "no space was given. In a recipe, name it with x.")
    faults.check(truth is not None, "no known labels were given. In a recipe, read a study with obs:truth.")
    faults.raise_if_any()
    if x is None or truth is None:  # as the type checker cannot know
        raise DataError("forest: nothing was given.")
    n, most = len(truth), int(truth.max(initial=-1))
    names = len(material.truth_names)
    faults.check(x.shape[0] == n, f"there is a space of {x.shape[0]} rows and known labels of {n}.")
    sections = len(material.places.sample)
    faults.check(sections == n, f"there are places of {sections} observations and known labels of {n}.")
    faults.check(most < names, f"code {most} has no name; there are {names}.")
    values = x if isinstance(x, np.ndarray) else x.data
    faults.check(bool(np.isfinite(values).all()), "some values of the space are not finite.")
    faults.raise_if_any()
    return x, truth


def _per_type(truth: Codes, guess: Codes, learned: Codes, k: int) -> Matrix:
    """Share of the tested of each type that were found, shape (k,); missing where none was learned."""
    tested = np.bincount(truth, minlength=k).astype(np.float64)
    hits = np.bincount(truth[truth == guess], minlength=k)
    able = (tested > 0) & (np.bincount(learned, minlength=k) > 0)
    return np.asarray(np.divide(hits, tested, out=np.full(k, np.nan), where=able))
