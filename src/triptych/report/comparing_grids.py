"""The tables of a comparison, before they become HTML or Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from triptych.report.comparison import Comparison
from triptych.report.wording import DASH, count, duration, heading, metric_name, number, title

DIGITS: Final = 3  # the differences between arms are often smaller than a hundredth
SIMPLE, NETWORK = "PCA", "grid-"  # what names of simple baselines begin with, and what they have not
VERDICTS: Final = {"better": "▲ better", "worse": "▼ worse"}


@dataclass(frozen=True)
class Cell:
    """What stands in a cell.

    Parameters
    ----------
    text
        Its value.
    small
        What follows in small letters.
    best
        Whether it is the best of its column or matrix.
    shade
        How good it is, 0 … 1; None for no colour.
    """

    text: str
    small: str = ""
    best: bool = False
    shade: float | None = None


@dataclass(frozen=True)
class Grid:
    """A table; the first cell of a row names it."""

    caption: str
    head: list[str]
    rows: list[list[Cell]]


def is_simple(arm: str) -> bool:
    """Whether an arm is a simple baseline: principal components, and no network."""
    return arm.startswith(SIMPLE) and NETWORK not in arm


def ways(rows: pd.DataFrame) -> list[str]:
    """How the number of clusters was found, in the order of the rows."""
    return list(dict.fromkeys(worded(value) for value in rows["k_from"]))


def way(k_from: str) -> str:
    """The same in words; empty when there is no such thing."""
    return f"K from {k_from}" if k_from else ""


def ranked(result: Comparison, metric: str) -> list[str]:
    """Arms with the best first by the first way of finding K; those without a value come last."""
    rows = result.of(metric)
    rows = rows[rows["k_from"].map(worded) == ways(rows)[0]]
    values = rows["value"].to_numpy(float) * (-1 if result.greater(metric) else 1)
    order = np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable")
    first = rows["arm"].astype(str).to_numpy()[order]
    return list(dict.fromkeys([*first, *result.of(metric)["arm"].astype(str)]))


def ranking(result: Comparison, metric: str) -> Grid:
    """Arms down, the ways of finding K across."""
    rows, arms = result.of(metric), ranked(result, metric)
    columns = ways(rows)
    found = {(str(row.arm), worded(row.k_from)): row for row in rows.itertuples()}
    best = {
        k: _best(_values(found, ((arm, k) for arm in arms)), greater=result.greater(metric)) for k in columns
    }
    times = _times(result, metric)
    lines = []
    for arm in arms:
        values = [_value(found.get((arm, k)), best[k]) for k in columns]
        sizes = [
            _sizes(rows[rows["arm"].astype(str) == arm], name) for name in ("samples", "donors", "seeds")
        ]
        time = [Cell(times.get(arm, DASH))] if times else []
        lines.append([_arm(arm), *values, *map(Cell, sizes), *time])
    head = ["Arm", *(way(k) or heading(metric) for k in columns), "Sections", "Donors", "Seeds"]
    return Grid(_caption(result, metric), [*head, "Time of a run"] if times else head, lines)


def matrices(result: Comparison, metric: str) -> list[Grid]:
    """For two factors, one level down and the other across, a matrix for each way of finding K.

    Arms that lack a level, such as a simple baseline, have no place in it.
    """
    arms = result.arms.dropna()
    if arms.shape[1] != 2 or len(arms) < 2 or arms.duplicated().any():
        return []
    levels = {str(arm): (worded(one), worded(two)) for arm, one, two in arms.itertuples()}
    grids = []
    rows, greater = result.of(metric), result.greater(metric)
    for k in ways(rows):
        some = rows[rows["k_from"].map(worded) == k]
        found = {levels[str(row.arm)]: row for row in some.itertuples() if str(row.arm) in levels}
        title = " · ".join(
            filter(None, [f"{heading(metric)} by {arms.columns[0]} and {arms.columns[1]}", way(k)])
        )
        grids.append(
            _matrix(found, list(levels.values()), title=title, greater=greater, corner=str(arms.columns[0]))
        )
    return grids


def _matrix(
    found: dict[Any, Any], levels: list[tuple[str, str]], *, title: str, greater: bool, corner: str
) -> Grid:
    downs, acrosses = (list(dict.fromkeys(names)) for names in zip(*levels, strict=True))
    values = _values(found, found)
    best = _best(values, greater=greater)
    lines = []
    for down in downs:
        cells = [_value(found.get((down, across)), best) for across in acrosses]
        shades = [shade_of(found.get((down, across)), values, greater=greater) for across in acrosses]
        shaded = [Cell(c.text, c.small, c.best, s) for c, s in zip(cells, shades, strict=True)]
        lines.append([Cell(down or DASH), *shaded])
    return Grid(title, [corner, *(name or DASH for name in acrosses)], lines)


def paired(result: Comparison, metric: str) -> Grid | None:
    """Differences from the reference, in the order of the ranking; None when there are none."""
    rows = result.pairs[result.pairs["metric"].astype(str) == metric] if len(result.pairs) else result.pairs
    if not len(rows):
        return None
    columns = ways(rows)
    found = {(str(row.arm), str(row.reference), worded(row.k_from)): row for row in rows.itertuples()}
    place = {arm: number for number, arm in enumerate(ranked(result, metric))}
    couples = sorted({key[:2]: None for key in found}, key=lambda couple: place.get(couple[0], len(place)))
    lines = [
        [
            _arm(arm),
            Cell(reference),
            *(cell for k in columns for cell in _pair(found.get((arm, reference, k)))),
        ]
        for arm, reference in couples
    ]
    heads = [part for k in columns for part in (way(k) or "Difference", "Verdict")]
    caption = f"Paired differences of {metric_name(metric)}, arm − reference, with interval"
    return Grid(caption, ["Arm", "Reference", *heads], lines)


def _pair(row: Any) -> list[Cell]:
    """A difference with its interval, and what it means with how often it was for the better."""
    if row is None:
        return [Cell(DASH), Cell(DASH)]
    wins = f"{_whole(row.wins)} of {_whole(row.of)} wins"
    return [
        Cell(number_of(row.difference), _bounds(row)),
        Cell(VERDICTS.get(str(row.better), str(row.better)), wins),
    ]


def nested(result: Comparison) -> Grid | None:
    """What each fold chose without seeing its test part; None when nothing was chosen."""
    if not len(result.folds):
        return None
    lines = [
        [
            Cell(worded(row.fold) or DASH), Cell(worded(row.test)), Cell(worded(row.chosen)),
            Cell(number_of(row.tuning_score)), Cell(number_of(row.value)),
        ]
        for row in result.folds.itertuples()
    ]  # fmt: skip
    head = ["Fold", "Test", "Chosen", "Score while choosing", "Score of the test"]
    return Grid("Chosen in each fold without its test part", head, lines)


def worded(value: object) -> str:
    """A value as text; empty for none."""
    missing = value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))
    return "" if missing else str(value)


def _whole(value: Any) -> str:
    return DASH if pd.isna(value) else str(int(value))


def _arm(arm: str) -> Cell:
    return Cell(arm, "simple baseline" if is_simple(arm) else "")


def _values(found: dict[Any, Any], keys: Iterable[Any]) -> list[float]:
    return [float(found[key].value) for key in keys if key in found and pd.notna(found[key].value)]


def _best(values: list[float], *, greater: bool) -> float:
    """The best of several; NaN, which equals nothing, when there is no choice."""
    if len(values) < 2:
        return float("nan")
    return max(values) if greater else min(values)


def _value(row: Any, best: float) -> Cell:
    if row is None:
        return Cell(DASH)
    seeds = "" if pd.isna(row.sd_seeds) else f"seeds ±{number_of(row.sd_seeds)}"
    small = "; ".join(filter(None, [_bounds(row), seeds]))
    return Cell(number_of(row.value), small, best=bool(row.value == best))


def _bounds(row: Any) -> str:
    """The interval with as many digits as its value; a dash when there is none."""
    if pd.isna(row.low) or pd.isna(row.high):
        return DASH
    return f"{number_of(row.low)}{' to ' if row.low < 0 else DASH}{number_of(row.high)}"


def number_of(value: Any) -> str:
    """A value with the digits of a comparison; a dash when there is none."""
    return DASH if pd.isna(value) else number(float(value), DIGITS)


def shade_of(row: Any, values: list[float], *, greater: bool) -> float | None:
    """How good a row's value is among others, 0 … 1; None when there is no choice."""
    if row is None or pd.isna(row.value) or max(values) == min(values):
        return None
    share = (float(row.value) - min(values)) / (max(values) - min(values))
    return share if greater else 1 - share


def _sizes(rows: pd.DataFrame, name: str) -> str:
    return " / ".join(dict.fromkeys(_whole(value) for value in rows[name])) or DASH


def _times(result: Comparison, metric: str) -> dict[str, str]:
    """Median wall time of an arm; empty when none was measured."""
    if not len(result.runs):
        return {}
    runs = result.runs[(result.runs["metric"].astype(str) == metric) & result.runs["seconds"].notna()]
    medians = runs.groupby(runs["arm"].astype(str))["seconds"].median()
    return {str(arm): duration(float(seconds)) for arm, seconds in medians.items()}


def _caption(result: Comparison, metric: str) -> str:
    protocols = dict.fromkeys(filter(None, (worded(value) for value in result.of(metric)["protocol"])))
    better = "more is better" if result.greater(metric) else "less is better"
    arms = count(result.of(metric)["arm"].nunique(), "arm")
    return "; ".join([f"{title(metric)} of {arms} with interval", better, *protocols])
