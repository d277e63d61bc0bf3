"""What multiplex Leiden refuses on the way in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from triptych.core.checks import Faults, listing
from triptych.core.protocols import Matrix

NAME: Final = "multiplex-leiden"


def check_parameters(component: Any) -> None:
    """Refuse parameters out of range.

    Parameters
    ----------
    component
        `MultiplexLeiden`.

    Raises
    ------
    ValueError
        With the first at fault.
    """
    if component.neighbours < 1 or component.least < 1:
        raise ValueError("neighbours and least must be at least 1")
    if not component.resolution > 0:
        raise ValueError("resolution must be above 0")
    if component.iterations < -1:
        raise ValueError("iterations must not be below 0; 0, or -1, goes on until nothing changes")
    if not component.lead:
        raise ValueError("lead must name the role whose weight is tried")
    if not component.try_weights or not all(0 <= weight <= 1 for weight in component.try_weights):
        raise ValueError("try_weights needs numbers from 0 to 1")


def check_views(views: Mapping[str, Matrix], lead: str) -> None:
    """Refuse views that make no layers of one graph.

    Parameters
    ----------
    views
        Role → view.
    lead
        The role whose weight is tried.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(NAME)
    there = listing(sorted(views))
    faults.check(len(views) > 1, f"it needs two views or more. There is {there}; leiden clusters one.")
    faults.check(
        lead in views, f"there is no view {lead}, whose weight is tried. There is {there}; set lead."
    )
    faults.found += faults_of(views)
    rows = max((view.shape[0] for view in views.values()), default=2)
    faults.check(rows > 1, "one observation has no neighbours. Keep more observations.")
    faults.raise_if_any()


def faults_of(views: Mapping[str, Any], columns: Mapping[str, int] | None = None) -> list[str]:
    """What is wrong with views as matrices of the same rows.

    Parameters
    ----------
    views
        Role → view.
    columns
        Role → how many it must have; None for any.
    """
    faults = Faults(NAME)
    for role in sorted(views):
        view = views[role]
        if sp.issparse(view):
            faults.add(f"the view {role} is sparse. Reduce it first, e.g. encode with pca.")
        elif faults.check(
            view.ndim == 2 and view.size > 0, f"the view {role} has shape {view.shape}; it needs (n, d)."
        ):
            wrong = int((~np.isfinite(view).all(axis=1)).sum())
            text = f"{wrong} of {len(view)} rows of the view {role} have values that are not finite."
            faults.check(wrong == 0, f"{text} Remove them.")
        if columns is not None and view.ndim == 2:
            has = view.shape[1]
            faults.check(
                has == columns[role], f"the view {role} has {has} columns; the fit had {columns[role]}."
            )
    rows = {role: views[role].shape[0] for role in sorted(views) if views[role].ndim == 2}
    if len(set(rows.values())) > 1:
        faults.add(f"the views have {listing(f'{n} rows ({role})' for role, n in rows.items())}.")
    return faults.found


def check_tuned(tuned: Mapping[str, Any], roles: Collection[str]) -> None:
    """Refuse models from which a view can inherit no settings.

    Parameters
    ----------
    tuned
        Role → model.
    roles
        Of the views.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(NAME)
    for role, model in sorted(tuned.items()):
        source = getattr(model, "component", None)
        if not faults.check(
            role in roles,
            f"settings of {role} are given, which is no view. There is {listing(sorted(roles))}.",
        ):
            continue
        if faults.check(
            hasattr(source, "neighbours") and hasattr(source, "resolution"),
            f"the clusterer of {role} ({type(model).__name__}) has no neighbours and resolution to inherit. "
            "Name labels that leiden made.",
        ):
            faults.check(
                not getattr(source, "k", 0),
                f"the clusterer of {role} sought {getattr(source, 'k', 0)} clusters and keeps no resolution. "
                "Leave its k at 0, e.g. with tune: silhouette.",
            )
    faults.raise_if_any()


def check_same(views: Mapping[str, Matrix], columns: Mapping[str, int]) -> None:
    """Refuse views that cannot be compared with those of a fit.

    Parameters
    ----------
    views
        Role → view.
    columns
        Role → columns of the fit.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(NAME)
    faults.check(
        set(views) == set(columns),
        f"the views are {listing(sorted(views))}; those of the fit were {listing(sorted(columns))}.",
    )
    faults.found += faults_of({role: views[role] for role in views if role in columns}, columns)
    faults.raise_if_any(hint="Give the views that the model was fitted on.")
