"""One verb per stage for notebooks: the same steps and the same binder as recipes, in place on the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from anndata import AnnData

from triptych.core import slots
from triptych.deconvolvers import registry
from triptych.pipeline.recipe import Recipe, validated
from triptych.pipeline.record import RunRecord
from triptych.pipeline.run import run


def _apply(table: AnnData, step: Mapping[str, Any], seed: int) -> RunRecord:
    recipe: Recipe = validated({"name": "verb", "seed": seed, "steps": [dict(step)]}, f"tp.{step['do']}")
    return run(recipe, table).record


def encode(table: AnnData, use: str, *, to: str, seed: int = 0, **params: Any) -> AnnData:
    """Make a view of counts, places or windows of pixels.

    Parameters
    ----------
    table
        As `triptych.read` returns it.
    use
        Name of an encoder; ``triptych list encoders`` shows them.
    to
        Slot to write, e.g. ``obsm:X_rna.pca``.
    seed, params
        Of the encoder's draws; its parameters.

    Returns
    -------
    The same table, with the view.

    Raises
    ------
    UnknownComponentError
        When there is no such encoder or parameter.
    MissingSlotError
        When the table lacks what the encoder reads.
    """
    _apply(table, {"do": "encode", "use": use, "to": to, "with": params}, seed)
    return table


def align(
    table: AnnData, use: str, *, x: str, to: str, batch: str = slots.BATCH, seed: int = 0, **params: Any
) -> AnnData:
    """Remove the nuisance of the batch from a view.

    Parameters
    ----------
    table
        A study.
    use
        Name of an aligner.
    x
        Slot of the view.
    to
        Slot to write.
    batch
        Slot of the batch.
    seed
        Of the aligner's draws.
    params
        Parameters of the aligner.

    Returns
    -------
    The same table, with the aligned view; a copy of the view where there is one batch.
    """
    _apply(table, {"do": "align", "use": use, "x": x, "batch": batch, "to": to, "with": params}, seed)
    return table


def fuse(
    table: AnnData, use: str, *, views: Mapping[str, str], to: str, seed: int = 0, **params: Any
) -> AnnData:
    """Fuse views into one space.

    Parameters
    ----------
    table
        A study.
    use
        Name of a fuser.
    views
        Role → slot, e.g. ``{"rna": "obsm:X_rna.pca"}``.
    to
        Slot to write.
    seed
        Of the fuser's draws.
    params
        Parameters of the fuser.

    Returns
    -------
    The same table, with the space.
    """
    _apply(table, {"do": "fuse", "use": use, "views": dict(views), "to": to, "with": params}, seed)
    return table


def cluster(
    table: AnnData,
    use: str,
    *,
    x: str | Mapping[str, str],
    to: str,
    space: str | None = None,
    seed: int = 0,
    **params: Any,
) -> AnnData:
    """Cluster a space, or several views at once.

    Parameters
    ----------
    table
        A study.
    use
        Name of a clusterer.
    x
        Slot of the space; role → slot for a clusterer that takes views, e.g. ``multiplex-leiden``.
    to
        Slot of the labels, e.g. ``obs:domain``.
    space
        Slot of the space that the clusterer learns, for those that learn one, e.g. ``dec``.
    seed, params
        Of the clusterer's draws; its parameters.

    Returns
    -------
    The same table, with the labels.
    """
    taken = {"x": x} if isinstance(x, str) else {"views": dict(x)}
    step = {"do": "cluster", "use": use, **taken, "to": to, "with": params}
    _apply(table, {**step, **({"space": space} if space else {})}, seed)
    return table


def refine(table: AnnData, use: str, *, labels: str, to: str, **params: Any) -> AnnData:
    """Refine labels by their neighbours in space, sample by sample.

    Parameters
    ----------
    table
        A study.
    use
        Name of a refiner.
    labels
        Slot of the labels.
    to
        Slot to write.
    params
        Parameters of the refiner.

    Returns
    -------
    The same table, with the refined labels.
    """
    _apply(table, {"do": "refine", "use": use, "labels": labels, "to": to, "with": params}, 0)
    return table


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
    _apply(table, step, seed)
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
    _apply(table, {**step, "views": dict(views)}, seed)
    return table


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
    return _apply(table, {"do": "score", "use": use, "guess": guess, **against}, seed).scores


def analyse(
    table: AnnData,
    use: str,
    *,
    labels: str | None = None,
    x: str | None = None,
    abundances: Mapping[str, str] | None = None,
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
    seed, params
        Of the analysis' draws; its parameters.

    Returns
    -------
    One row per result.
    """
    named = {"labels": labels, "x": x, "abundances": dict(abundances or {})}
    step = {"do": "analyse", "use": use, "to": "found", "with": params}
    given = {key: value for key, value in named.items() if value}
    return _apply(table, {**step, **given}, seed).tables["found"]
