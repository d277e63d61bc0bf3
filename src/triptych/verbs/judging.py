"""Verbs that judge: score, analyse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from anndata import AnnData

from triptych.core import slots
from triptych.verbs.step import applied


def score(
    table: AnnData, use: str, *, guess: str, truth: str = slots.TRUTH, x: str | None = None, seed: int = 0
) -> pd.DataFrame:
    """Score labels against the truth or a space, or predicted cell types against those that are known.

    Parameters
    ----------
    table
        A study.
    use
        Name of a metric.
    guess
        Slot of the labels, or of the cell types.
    truth
        Slot of the known labels; of metrics of cell types, ``obsm:abundance`` unless another is named.
    x
        Slot of a space, for metrics of separation.
    seed
        Of the controls and the resampling.

    Returns
    -------
    Rows of the long table: each sample with its interval, the shuffled and the oracle control, and the mean.
    """
    against = {"x": x} if x else {"truth": truth}
    return applied(table, {"do": "score", "use": use, "guess": guess, **against}, seed).scores


def analyse(
    table: AnnData,
    use: str,
    *,
    labels: str | None = None,
    x: str | None = None,
    abundances: Mapping[str, str] | None = None,
    nuclei: str | None = None,
    seed: int = 0,
    **params: Any,
) -> pd.DataFrame:
    """Make a table of what tells groups apart, or of cell types.

    Parameters
    ----------
    table
        A study.
    use
        Name of an analysis; ``triptych list analyses`` shows them.
    labels
        Slot of the groups, for the analyses that look at groups.
    x
        Slot of a space, for the analyses that need one.
    abundances
        Role → slot of cell types, for the analyses of these.
    nuclei
        Slot of true and found nuclei, for the analyses of these.
    seed, params
        Of the analysis' draws; its parameters.

    Returns
    -------
    One row per result.
    """
    named = {"labels": labels, "x": x, "abundances": dict(abundances or {}), "nuclei": nuclei}
    step = {"do": "analyse", "use": use, "to": "found", "with": params}
    given = {key: value for key, value in named.items() if value}
    return applied(table, {**step, **given}, seed).tables["found"]
