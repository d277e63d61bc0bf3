"""Verbs that make views: encode, align, fuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anndata import AnnData

from triptych.core import slots
from triptych.verbs.step import applied


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
    applied(table, {"do": "encode", "use": use, "to": to, "with": params}, seed)
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
    applied(table, {"do": "align", "use": use, "x": x, "batch": batch, "to": to, "with": params}, seed)
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
    applied(table, {"do": "fuse", "use": use, "views": dict(views), "to": to, "with": params}, seed)
    return table
