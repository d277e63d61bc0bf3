"""What the analyses of cell types share: the rows that every role knows, and the maps of how types lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp

from triptych.core.abundance import Abundance
from triptych.core.analysis import Material
from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.core.protocols import Matrix, Places
from triptych.maths.autocorrelation import pitch_um, sections, weights
from triptych.maths.folds import by_place

TRUTH: Final = "truth"
CONTROL: Final = "control-"
FEWEST: Final = 3  # observations that a correlation needs


@dataclass(frozen=True, eq=False)
class Known:
    """Abundances of the observations that no role lacks.

    Parameters
    ----------
    values
        Role → shape (m, t), by section and place.
    types
        Role → names of its types.
    places
        Of the m observations.
    samples
        Name of each code of the sections.
    left_out
        Observations that some role lacks.
    """

    values: Mapping[str, Matrix]
    types: Mapping[str, tuple[str, ...]]
    places: Places
    samples: tuple[str, ...]
    left_out: int

    @property
    def note(self) -> str:
        """How many observations take part."""
        n = len(self.places.sample)
        told = f"{n} observations take part"
        if self.left_out:
            told += f"; {self.left_out} are left out, for some role does not know them"
        few = [self.samples[self.places.sample[rows[0]]] for rows in sections(self.places.sample)
               if len(rows) < FEWEST]  # fmt: skip
        return f"{told}. Too few lie in {listing(few)}." if few else f"{told}."


class Section(NamedTuple):
    """One section.

    Attributes
    ----------
    name
        As the study calls it.
    values
        Role → shape (m, t).
    places
        Of its m observations.
    """

    name: str
    values: Mapping[str, Matrix]
    places: Places


def known(analysis: str, material: Material, *, compared: bool) -> Known:
    """The rows known to all roles, or a refusal of abundances that do not fit together.

    Parameters
    ----------
    analysis
        Its name, to open the message.
    material
        Abundances by role.
    compared
        Whether roles are compared, and so there must be a truth and another role, of the same types.

    Raises
    ------
    DataError
        With every fault found.
    """
    given = material.abundances
    if not given:
        raise DataError(f"{analysis}: no abundances were given.", "In a recipe, name them with abundances.")
    faults, n = Faults(analysis), len(material.places.sample)
    for role, one in given.items():
        _check(faults, role, one, n)
    if compared and faults.check(
        TRUTH in given,
        f"no role is called {TRUTH}; there is: {listing(given)}. Name the known abundances so.",
    ):
        faults.check(len(given) > 1, f"there is no role beside {TRUTH}. Name a guess.")
        for role, one in given.items():
            same = one.types == given[TRUTH].types
            faults.check(same, f"{role} has other types than {TRUTH}: {_difference(one, given[TRUTH])}.")
    faults.raise_if_any()
    order = by_place(material.places)
    rows = order[np.all([~np.isnan(one.values).any(axis=1) for one in given.values()], axis=0)[order]]
    if np.bincount(material.places.sample[rows], minlength=1).max() < FEWEST:
        raise DataError(
            f"{analysis}: {len(rows)} of {n} observations are known to every role; there must be {FEWEST} "
            "in a section.",
            "Leave out a role that knows few.",
        )
    values = {role: np.asarray(one.values[rows], np.float64) for role, one in given.items()}
    types = {role: one.types for role, one in given.items()}
    return Known(values, types, at(material.places, rows), _names(material), n - len(rows))


def at(places: Places, rows: np.ndarray) -> Places:
    """Where some of the observations lie.

    Parameters
    ----------
    places
        Of n observations.
    rows
        Which of them.
    """
    grid = None if places.grid is None else places.grid[rows]
    return Places(places.um[rows], places.sample[rows], grid, places.lattice)


def each_section(given: Known) -> Iterator[Section]:
    """The sections that have enough observations, one by one.

    Parameters
    ----------
    given
        Of all sections.
    """
    for rows in sections(given.places.sample):
        if len(rows) >= FEWEST:
            values = {role: x[rows] for role, x in given.values.items()}
            yield Section(given.samples[given.places.sample[rows[0]]], values, at(given.places, rows))


@dataclass(frozen=True)
class Neighbourhood:
    """What counts as near.

    Parameters
    ----------
    length_um
        Length l of the weights exp(-d² / 2l²), in µm; 0 is the median distance to the nearest observation, on
        a regular array its pitch.
    cutoff
        Radius in multiples of the length, beyond which weights are 0.
    with_itself
        Whether an observation counts as its own neighbour, as in an equation without i ≠ j; types in the same
        observation then weigh most.
    """

    length_um: float = 0.0
    cutoff: float = 3.0
    with_itself: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.length_um) and self.length_um >= 0):
            raise ValueError("length_um must be a length in µm, or 0 for the pitch of the observations")
        if not (np.isfinite(self.cutoff) and self.cutoff > 0):
            raise ValueError("cutoff must be above 0; 3 is usual")

    def length(self, analysis: str, places: Places) -> float:
        """The length, in µm.

        Parameters
        ----------
        analysis
            Its name, to open the message.
        places
            Of the observations.

        Raises
        ------
        DataError
            When most observations have no neighbour, or their places tell no length.
        """
        pitch = pitch_um(places)
        length = self.length_um or pitch
        if not length > 0:
            raise DataError(
                f"{analysis}: the median distance to the nearest observation is {pitch} µm: no length.",
                "Give length_um.",
            )
        if self.cutoff * length < pitch:
            raise DataError(
                f"{analysis}: neighbours are looked for within {self.cutoff * length:g} µm, and the median "
                f"distance to the nearest observation is {pitch:g} µm.",
                "Give a larger length_um, or 0.",
            )
        return length

    def weights(self, section: Section, length: float) -> sp.csr_matrix:
        """Weights of neighbours within a section, CSR of shape (m, m)."""
        return weights(section.places, length, cutoff=self.cutoff, with_itself=self.with_itself)

    def told(self, length: float) -> str:
        """The length in a sentence."""
        whence = "" if self.length_um else ", the median distance to the nearest observation"
        itself = "counts" if self.with_itself else "does not count"
        return (
            f"Neighbours weigh exp(-d²/2l²) with l = {length:g} µm{whence}, up to {self.cutoff:g} l; an "
            f"observation {itself} as its own neighbour."
        )


def _check(faults: Faults, role: str, one: Abundance, n: int) -> None:
    rows, columns = one.values.shape
    faults.check(rows == n, f"{role} has {rows} rows and the places {n}.")
    faults.check(
        columns == len(one.types), f"{role} has {columns} columns and names of {len(one.types)} types."
    )
    faults.check(len(set(one.types)) == len(one.types), f"{role} names a type twice.")
    infinite = int(np.isinf(one.values).sum())
    faults.check(infinite == 0, f"{infinite} values of {role} are infinite.")


def _difference(one: Abundance, truth: Abundance) -> str:
    more, fewer = set(one.types) - set(truth.types), set(truth.types) - set(one.types)
    if not more and not fewer:
        return "their order differs"
    return f"it adds {listing(sorted(more))} and lacks {listing(sorted(fewer))}"


def _names(material: Material) -> tuple[str, ...]:
    count = int(material.places.sample.max()) + 1
    return material.samples or tuple(str(code) for code in range(count))
