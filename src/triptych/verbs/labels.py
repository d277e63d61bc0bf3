"""Verbs that make labels: cluster, refine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anndata import AnnData

from triptych.verbs.step import applied


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
    applied(table, {**step, **({"space": space} if space else {})}, seed)
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
    applied(table, {"do": "refine", "use": use, "labels": labels, "to": to, "with": params}, 0)
    return table
