"""The number of clusters, chosen from the data without labels."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from triptych.clusterers.criteria import bic, distinct, stability
from triptych.clusterers.door import check_clusters
from triptych.core.errors import DataError, RecipeError, TriptychWarning, WeightsError
from triptych.core.models import Fit
from triptych.core.protocols import Codes, Matrix, Vector

CHOICE: Final = "choice.json"


@dataclass(frozen=True)
class Choice:
    """A number of clusters, and what spoke for it.

    Parameters
    ----------
    k
        The number chosen.
    ks
        The numbers tried.
    values
        The criterion of each; higher is better.
    criterion
        Its name.
    doubt
        Why the data do not single out this number; empty where they do.
    """

    k: int
    ks: tuple[int, ...]
    values: tuple[float, ...]
    criterion: str
    doubt: str = ""


@dataclass(frozen=True)
class Choosing:
    """A clusterer whose number of clusters the data choose.

    Each fit of the search has three starts at most, whatever the clusterer's own; the final one has all.

    Parameters
    ----------
    of
        A clusterer with ``k`` and ``fit``.
    criterion
        ``bic``: the number of highest information, corrected for dependent observations. ``stability``: the
        largest number whose clusters random halves of the data foretell for each other.
    k_min
        Fewest clusters.
    k_max
        Most clusters; fewer where the rows do not suffice.
    most
        Rows that decide: when there are more, so many drawn at random.
    repeats
        Pairs of halves, for ``stability``.
    threshold
        Least prediction strength, for ``stability``.
    """

    of: Any
    criterion: Literal["bic", "stability"] = "stability"
    k_min: int = 2
    k_max: int = 15
    most: int = 5_000
    repeats: int = 4
    threshold: float = 0.8

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (hasattr(self.of, "k") and hasattr(self.of, "fit")):
            name = type(self.of).__name__
            raise RecipeError(f"k cannot be chosen for {name}: it lacks k or fit.", "Leave k_from out.")
        if getattr(self.of, "finds_k", False):
            name = type(self.of).__name__
            raise RecipeError(
                f"k cannot be chosen for {name}: it finds the number of its communities itself.",
                "Leave k_from out.",
            )
        if not 1 <= self.k_min <= self.k_max:
            raise ValueError("k_min must be at least 1, and k_max at least k_min")
        if self.repeats < 1 or self.most < 2 * self.k_max:
            raise ValueError("repeats must be at least 1, and most at least twice k_max")
        if not 0 < self.threshold <= 1:
            raise ValueError("threshold must be above 0 and at most 1")

    @property
    def revision(self) -> int:
        """Rises with that of the clusterer too."""
        return 100 + int(self.of.revision)

    @property
    def cite(self) -> str:
        """The paper of the criterion."""
        return {"bic": "10.1007/s11222-011-9236-1", "stability": "10.1198/106186005X59243"}[self.criterion]

    def choose(self, x: Matrix, rng: np.random.Generator) -> Choice:
        """Try each number of clusters.

        Parameters
        ----------
        x
            Shape (n, d).
        rng
            Draws rows and seeds the fits.

        Raises
        ------
        DataError
            When there are fewer than 2 ``k_min`` rows or ``k_min`` distinct ones, or values are not finite.
        """
        check_clusters("choosing k", x, self.k_min)
        if len(x) < 2 * self.k_min:
            raise DataError(
                f"choosing k: {len(x)} observations are fewer than twice k_min = {self.k_min}.",
                "Lower k_min, or keep more observations.",
            )
        x = np.asarray(x, np.float64)
        if len(x) > self.most:
            x = x[np.sort(rng.choice(len(x), self.most, replace=False))]
            check_clusters("choosing k", x, self.k_min)
        ks = tuple(range(self.k_min, min(self.k_max, distinct(x)) + 1))
        if self.criterion == "bic":
            return self._informed(ks, bic(self.of, x, ks, rng))
        return self._stable(ks, *stability(self.of, x, ks, rng, repeats=self.repeats))

    def _informed(self, ks: tuple[int, ...], values: Vector) -> Choice:
        one, rest = values[0], values[1:]
        k, doubt = ks[int(rest.argmax())], ""
        if k > 1 and one >= rest.max():
            doubt = "a single cluster describes the data better"
        elif k == ks[-1] and len(ks) > 1:
            doubt = "it is the largest tried, and more may describe the data better"
        return Choice(k, ks, tuple(map(float, rest)), self.criterion, doubt)

    def _stable(self, ks: tuple[int, ...], values: Vector, error: Vector) -> Choice:
        """The largest number that reaches the threshold within its standard error, as its authors advise."""
        enough = [k for k, high in zip(ks, values + error, strict=True) if high >= self.threshold]
        k, doubt = max(enough, default=ks[0]), ""
        if not enough:
            doubt = (
                f"no number has a prediction strength of {self.threshold:g}; the best is {values.max():.2f}"
            )
        elif k == ks[-1] and len(ks) > 1:
            doubt = "it is the largest tried, and more may be stable too"
        return Choice(k, ks, tuple(map(float, values)), self.criterion, doubt)

    def cluster(self, x: Matrix, rng: np.random.Generator) -> Codes:
        """Choose k, and cluster with it; warn where the choice is in doubt.

        Parameters
        ----------
        x, rng
            As for `choose`.

        Returns
        -------
        Codes as the clusterer gives them, shape (n,).

        Raises
        ------
        DataError
            As in `choose`.
        """
        return self.fit(x, rng).value

    def fit(self, x: Matrix, rng: np.random.Generator) -> Fit[Codes, Chosen]:
        """Choose k, cluster with it, and keep the clusterer's model with the choice.

        Parameters
        ----------
        x, rng
            As for `choose`.

        Raises
        ------
        DataError
            As in `choose`.
        """
        choice = self.choose(x, rng)
        if choice.doubt:
            warnings.warn(
                f"k = {choice.k} by {self.criterion} is in doubt: {choice.doubt}.",
                TriptychWarning,
                stacklevel=3,
            )
        value, model = replace(self.of, k=choice.k).fit(x, rng)
        return Fit(value, Chosen(choice, model))

    def restore(self, folder: Path) -> Chosen:
        """Read the model and the choice that were saved in a folder.

        Raises
        ------
        WeightsError
            When files are missing or damaged.
        """
        if not (folder / CHOICE).is_file():
            raise WeightsError(f"{folder} holds no {CHOICE}.", "Give the folder that save wrote.")
        try:
            choice = TypeAdapter(Choice).validate_json((folder / CHOICE).read_bytes())
        except ValidationError as error:
            raise WeightsError(f"{folder / CHOICE} is damaged: {error}.", "Fit and save it again.") from error
        return Chosen(choice, replace(self.of, k=choice.k).restore(folder))


@dataclass(frozen=True, eq=False)
class Chosen:
    """What `Choosing.fit` learned.

    Parameters
    ----------
    choice
        The number of clusters.
    model
        Of the clusterer with that number.
    """

    choice: Choice
    model: Any

    def apply(self, x: Matrix) -> Codes:
        """Codes of the fit for rows never seen, shape (n,), as the clusterer's model gives them."""
        codes: Codes = self.model.apply(x)
        return codes

    def save(self, folder: Path) -> None:
        """Write the model, and beside it the choice, to a folder."""
        self.model.save(folder)
        (folder / CHOICE).write_text(json.dumps(asdict(self.choice), indent=1), "utf-8")
