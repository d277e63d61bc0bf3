"""Verbs that make cell types: deconvolve, predict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anndata import AnnData

from triptych.core import slots
from triptych.deconvolvers import registry
from triptych.verbs.step import applied


def deconvolve(
    table: AnnData,
    use: str,
    *,
    given: str,
    types: str = "",
    to: str = slots.ABUNDANCE,
    seed: int = 0,
    **params: Any,
) -> AnnData:
    """Estimate the cell types of spots, or read an estimate.

    Parameters
    ----------
    table
        A study.
    use
        Name of a deconvolver; ``triptych list deconvolvers`` shows them.
    given
        Path of the reference of single cells (h5ad), or of the table for ``precomputed``.
    types
        Column of the reference that holds the types; the first usual name by default.
    to
        Slot to write.
    seed, params
        Of the deconvolver's draws; its parameters.

    Returns
    -------
    The same table, with one column for each type in the slot.
    """
    takes = registry.find(use).takes  # type: ignore[attr-defined]
    step = {"do": "deconvolve", "use": use, takes: str(given), "types": types, "to": to, "with": params}
    applied(table, step, seed)
    return table


def predict(
    table: AnnData,
    use: str,
    *,
    views: Mapping[str, str],
    to: str,
    target: str = slots.ABUNDANCE,
    held_out: str = "donor",
    seed: int = 0,
    **params: Any,
) -> AnnData:
    """Predict cell types of every observation by what was learned without its donor.

    Parameters
    ----------
    table
        A study.
    use
        Name of a predictor; ``triptych list predictors`` shows them.
    views
        Role → slot; empty for a predictor of windows of pixels.
    to
        Slot to write, e.g. ``obsm:abundance.mlp``.
    target
        Slot of what is learned from.
    held_out
        ``donor``; or, weaker, ``sample`` or ``block``.
    seed, params
        Of the predictor's draws; its parameters.

    Returns
    -------
    The same table, with one column for each type in the slot, and the ends of intervals beside it.
    """
    step = {"do": "predict", "use": use, "target": target, "held_out": held_out, "to": to, "with": params}
    applied(table, {**step, "views": dict(views)}, seed)
    return table
