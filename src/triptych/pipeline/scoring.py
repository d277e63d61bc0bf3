"""Scores with what makes them readable: an interval, a floor (shuffled) and a ceiling (oracle)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Codes, Indices, Matrix, Places, Vector
from triptych.maths.bootstrap import block_interval, group_interval, spatial_blocks
from triptych.maths.neighbours import Neighbours
from triptych.maths.overlaps import of_truth
from triptych.metrics.controls import oracle, shuffled
from triptych.pipeline.record import SCORE_COLUMNS

MEAN: Final = "(mean)"
LEAST_IMAGES: Final = 3  # pictures below which no interval is given
DRAWS: Final = 200
FIELDS: Final = ("value", "low", "high", "n", "shuffled", "oracle")


def score(metric: Any, *, against: Any, guess: Any, places: Places, rng: np.random.Generator) -> Vector:
    """Score one unit.

    Parameters
    ----------
    metric
        Of the room of metrics.
    against
        Codes of the truth, shape (n,), -1 = unlabelled and left out; or a space, shape (n, d), or the
        neighbours found in it.
    guess
        Codes, shape (n,); for a space, rows of -1 are left out.
    places
        Where the observations lie, for blocks of neighbours.
    rng
        Of the controls and the resampling.

    Returns
    -------
    Shape (6,): value, low, high, n, value of the shuffled guess, value of the oracle.
    The interval is NaN for a metric of a space, whose observations cannot be repeated.
    """
    if metric.against == "nuclei":
        return _of_nuclei(metric, against, guess, rng)
    if metric.against in {"abundance", "interval"}:
        return _of_types(metric, against, guess, places, rng)
    if metric.against == "space":
        return _in_space(metric, against, guess, rng)
    known = np.flatnonzero(against >= 0)
    truth, guess = against[known], guess[known]

    def statistic(rows: Indices) -> float:
        return float(metric.score(truth[rows], guess[rows]))

    low, high = block_interval(statistic, _blocks(places, known), rng)
    return np.array([
        metric.score(truth, guess), low, high, len(known),
        metric.score(truth, shuffled(guess, rng)), metric.score(truth, oracle(truth)),
    ])  # fmt: skip


def _of_types(metric: Any, truth: Matrix, guess: Matrix, places: Places, rng: np.random.Generator) -> Vector:
    """Abundance against another; the shuffled guess is that of other observations of the same section.

    Parameters
    ----------
    metric
        Against an abundance or an interval.
    truth
        Shape (n, t); rows of NaN are left out, here and where the guess has them.
    guess
        Shape (n, t), or (2, n, t), the ends of an interval.
    places
        Where the observations lie.
    rng
        Of the shuffling and the resampling.
    """
    several = guess if guess.ndim == 3 else guess[None]
    known = np.flatnonzero(np.isfinite(truth).all(axis=1) & np.isfinite(several).all(axis=(0, 2)))
    if not len(known):
        return np.array([np.nan, np.nan, np.nan, 0, np.nan, np.nan])
    truth, guess = truth[known], guess[..., known, :]

    def statistic(rows: Indices) -> float:
        return float(metric.score(truth[rows], guess[..., rows, :]))

    low, high = block_interval(statistic, _blocks(places, known), rng)
    order = np.arange(len(known))
    for section in np.unique(places.sample[known]):
        mine = np.flatnonzero(places.sample[known] == section)
        order[mine] = rng.permutation(mine)
    oracle_value = metric.score(truth, truth) if metric.against == "abundance" else np.nan
    shuffled_value = metric.score(truth, guess[..., order, :])
    return np.array([metric.score(truth, guess), low, high, len(known), shuffled_value, oracle_value])


def _of_nuclei(metric: Any, images: Indices, found: Overlaps, rng: np.random.Generator) -> Vector:
    """Nuclei in some pictures; intervals draw pictures, the shuffled guess has the types of other nuclei."""
    if not len(images):
        return np.array([np.nan, np.nan, np.nan, 0, np.nan, np.nan])
    low, high = np.nan, np.nan
    if len(images) >= LEAST_IMAGES:
        drawn = [metric.score(rng.choice(images, len(images)), found) for _ in range(DRAWS)]
        if np.isfinite(drawn).all():
            low, high = np.quantile(drawn, [0.025, 0.975])
    floor = np.nan
    if metric.of_types:
        order = rng.permutation(len(found.guess["type"]))
        floor = metric.score(
            images, replace(found, guess={**found.guess, "type": found.guess["type"][order]})
        )
    perfect = metric.score(images, of_truth(found))
    return np.array([metric.score(images, found), low, high, len(images), floor, perfect])


def _in_space(metric: Any, space: Any, guess: Codes, rng: np.random.Generator) -> Vector:
    """Separation or mixing of codes; NaN in a section that has one code, or one for each observation."""
    known = np.flatnonzero(guess >= 0)
    if not 2 <= len(np.unique(guess[known])) < len(known):
        return np.array([np.nan, np.nan, np.nan, len(known), np.nan, np.nan])
    if isinstance(space, Neighbours):
        value = partial(metric.score_neighbours, space)
    else:
        space, guess = (space, guess) if len(known) == len(guess) else (space[known], guess[known])
        value = partial(metric.score, space)
    floor = value(shuffled(guess, rng))
    return np.array([value(guess), np.nan, np.nan, len(known), floor, np.nan])


def _blocks(places: Places, rows: Indices) -> Codes:
    """Blocks within each sample."""
    blocks = np.zeros(len(rows), dtype=np.int64)
    start = 0
    for sample in np.unique(places.sample[rows]):
        mine = places.sample[rows] == sample
        blocks[mine] = spatial_blocks(places.um[rows][mine]) + start
        start = int(blocks[mine].max()) + 1
    return blocks


def rows_of(
    values: dict[str, Vector], common: dict[str, Any], donors: dict[str, str], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Rows of the long table: one per unit, controls, and the mean over units.

    Parameters
    ----------
    values
        Unit → what `score` gave.
    common
        metric, slot, seed, protocol.
    donors
        Unit → donor.
    rng
        Of the interval of the mean.
    """
    rows = []
    for unit, numbers in values.items():
        named = dict(zip(FIELDS, (float(x) for x in numbers), strict=True))
        own = {**common, "sample": unit, "donor": donors.get(unit, ""), "fold": "", "n": int(named["n"])}
        rows.append({**own, "value": named["value"], "low": named["low"], "high": named["high"]})
        rows += [
            {**own, "slot": f"control:{control}", "value": named[control]}
            for control in ("shuffled", "oracle")
            if np.isfinite(named[control])
        ]
    if len(values) > 1:
        rows.append({**common, "sample": MEAN, "donor": "", "fold": "", **_mean(values, donors, rng)})
    return rows


def _mean(values: dict[str, Vector], donors: dict[str, str], rng: np.random.Generator) -> dict[str, Any]:
    """Mean over units; the interval resamples donors."""
    known = {unit: float(numbers[0]) for unit, numbers in values.items() if np.isfinite(numbers[0])}
    if not known:
        return {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
    each = np.array(list(known.values()))
    groups = np.unique([donors.get(unit, unit) for unit in known], return_inverse=True)[1]
    low, high = group_interval(each, groups, rng)
    return {"value": float(each.mean()), "low": low, "high": high, "n": len(each)}


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The long table; a control that several slots share stands once."""
    frame = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    space = frame["protocol"].astype(str).str.extract(r", in (\S+)$")[0].fillna("")
    once = frame.assign(space=space).drop_duplicates(["metric", "slot", "sample", "seed", "space"])
    return once.drop(columns="space").reset_index(drop=True)
