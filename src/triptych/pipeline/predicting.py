"""Abundance between the table and the predictors: what is given to them, what is held out, what is judged."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from triptych.core.abundance import Abundance
from triptych.core.checks import listing
from triptych.core.errors import DataError, NumericsError, TriptychWarning
from triptych.core.protocols import Codes, Indices, Places
from triptych.pipeline.folding import folds_of, groups_of, spread_over
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.window_source import SlideWindows


class Held(NamedTuple):
    """The rows of the study that a fit sees, and those that it is then asked about.

    Attributes
    ----------
    fit, test
        Rows, without background.
    out
        Rows of the fold, background among them; the predictions are theirs.
    """

    fit: Indices
    test: Indices
    out: Indices


def gathered(study: Study, step: Any, component: Any, reads: Mapping[str, str], unit: str) -> dict[str, Any]:
    """Everything that one fold of a predict step needs.

    Parameters
    ----------
    study
        The data.
    step
        Of the recipe.
    component
        A predictor.
    reads
        Role → slot.
    unit
        Name of a fold; or `STUDY`, for the fit on all.
    """
    n = len(study.rows(STUDY))
    out = np.arange(n) if unit == STUDY else folds_of(study, step.held_out)[unit]
    seen = np.ones(n, bool)
    if unit != STUDY:
        seen[out] = False
    tissue = _tissue(study, step, STUDY)
    held = Held(np.flatnonzero(seen & tissue), out[tissue[out]], out)
    target = study.abundance(reads["target"], STUDY)
    _check_target(target, held, unit, reads["target"])
    return {
        "views": _views(study, component, reads, STUDY),
        "target": target, "places": study.places(STUDY), "groups": groups_of(study, step.held_out),
        "held": held,
    }  # fmt: skip


def _check_target(target: Abundance, held: Held, unit: str, slot: str) -> None:
    """Refuse a fit that has nothing to learn from.

    Raises
    ------
    DataError
        Saying what is held out.
    """
    known = np.isfinite(target.values[held.fit]).all(axis=1)
    if not known.any():
        without = "" if unit == STUDY else f" once {unit} is held out"
        raise DataError(
            f"No observation has a known {slot}{without}.",
            "Bring sections whose cell types are known, or make them with a deconvolve step.",
        )


def new(study: Study, step: Any, component: Any, reads: Mapping[str, str]) -> dict[str, Any]:
    """What a fitted predictor needs of new sections: views, places, and the rows that are tissue."""
    return {
        "views": _views(study, component, reads, STUDY),
        "places": study.places(STUDY),
        "rows": np.flatnonzero(_tissue(study, step, STUDY)),
    }


def applied(model: Any, given: Mapping[str, Any]) -> Abundance:
    """What a fitted predictor says of new sections; NaN for background."""
    rows, places = given["rows"], given["places"]
    part = model.apply(_some(given["views"], rows), _placed(places, rows))
    return spread_over(len(places.sample), rows, part)


def predicted(component: Any, given: Mapping[str, Any], rng: np.random.Generator) -> tuple[Abundance, Any]:
    """Fit without what is held out, then predict that; and what was learned.

    Raises
    ------
    NumericsError
        When a prediction is not finite.
    """
    held, views, places, target = given["held"], given["views"], given["places"], given["target"]
    fit = component.fit(
        _some(views, held.fit), _of_rows(target, held.fit), _placed(places, held.fit),
        given["groups"][held.fit], rng,
    )  # fmt: skip
    if np.array_equal(held.fit, held.test):
        part = fit.value
    else:
        part = fit.model.apply(_some(views, held.test), _placed(places, held.test))
    if not np.isfinite(part.values).all():
        raise NumericsError(f"predict ({type(component).__name__}) gave values that are not finite.")
    where = np.searchsorted(held.out, held.test)
    return spread_over(len(held.out), where, part), fit.model


def by_role(study: Study, reads: Mapping[str, str], unit: str) -> dict[str, Abundance]:
    """The abundances that an analysis looks at, of the types that all of them have."""
    named = {role.partition(".")[2]: slot for role, slot in reads.items() if role.startswith("abundances.")}
    found = {role: study.abundance(slot, unit) for role, slot in named.items()}
    shared = _shared(list(found.values())) if found else ()
    return {role: _of_types(one, shared) for role, one in found.items()}


def judged(study: Study, component: Any, reads: Mapping[str, str], unit: str) -> dict[str, Any]:
    """A prediction and what it is held against, of the types that both have.

    Raises
    ------
    DataError
        When they share no type, or the prediction has no interval where one is judged.
    """
    truth, guess = (study.abundance(reads[role], unit) for role in ("truth", "guess"))
    shared = _shared([truth, guess])
    truth, guess = _of_types(truth, shared), _of_types(guess, shared)
    values: NDArray[Any] | None = guess.values
    if component.against == "interval":
        values = None if guess.low is None else np.stack([guess.low, guess.high])  # type: ignore[list-item]
    if values is None:
        raise DataError(f"{reads['guess']} has no interval to judge.", "Leave that score out.")
    return {"against": truth.values, "guess": values, "places": study.places(unit)}


def _shared(parts: list[Abundance]) -> tuple[str, ...]:
    """The types that all have, in the order of the first; those that some lack are named in a warning.

    Raises
    ------
    DataError
        When there is none.
    """
    shared = tuple(name for name in parts[0].types if all(name in one.types for one in parts))
    if not shared:
        raise DataError(
            f"No cell type is in all: {'; '.join(listing(one.types, 5) for one in parts)}.",
            "Name the types alike.",
        )
    left = sorted({name for one in parts for name in one.types} - set(shared))
    if left:
        warnings.warn(
            f"{len(shared)} cell types are in all that is compared; left out: {listing(left)}.",
            TriptychWarning,
            stacklevel=2,
        )
    return shared


def _of_types(one: Abundance, types: tuple[str, ...]) -> Abundance:
    """Some columns."""
    if one.types == types:
        return one
    at = [one.types.index(name) for name in types]
    low, high = (None if part is None else part[:, at] for part in (one.low, one.high))
    return Abundance(one.values[:, at], types, low, high)


def _of_rows(one: Abundance, rows: Indices) -> Abundance:
    return Abundance(one.values[rows], one.types)


def _views(study: Study, component: Any, reads: Mapping[str, str], unit: str) -> dict[str, Any]:
    if component.takes == "windows":
        sections = study.pixels(unit, scaled=not getattr(component, "window_px", 0))
        return {"windows": SlideWindows.of(component, sections)}
    named = {role.partition(".")[2]: slot for role, slot in reads.items() if role.startswith("views.")}
    return {role: study.array(slot, unit) for role, slot in named.items()}


def _some(views: Mapping[str, Any], rows: Indices) -> dict[str, Any]:
    return {
        role: view.some(rows) if isinstance(view, SlideWindows) else view[rows]
        for role, view in views.items()
    }


def _placed(places: Places, rows: Indices) -> Places:
    sample: Codes = np.unique(places.sample[rows], return_inverse=True)[1]
    grid = None if places.grid is None else places.grid[rows]
    return Places(places.um[rows], sample, grid, places.lattice)


def _tissue(study: Study, step: Any, unit: str) -> NDArray[np.bool_]:
    """Which observations are no background: mean colours of the view are, on average, not too bright."""
    if not step.background:
        return np.ones(len(study.rows(unit)), bool)
    colours = np.asarray(study.array(step.background, unit), np.float64)
    bright: NDArray[np.bool_] = colours.mean(axis=1) > step.background_above
    return ~bright
