"""Verbs of nuclei: register, annotate, segment."""

from __future__ import annotations

from typing import Any

from anndata import AnnData

from triptych.core import slots
from triptych.verbs.step import applied


def register(
    table: AnnData, use: str = "stain-correlation", *, to: str = slots.REGISTERED, **params: Any
) -> AnnData:
    """Find where the picture of each section shows the nuclei that the instrument outlined.

    Parameters
    ----------
    table
        A study with pictures and outlines of nuclei.
    use
        Name of a registrar; ``triptych list registrars`` shows them.
    to
        Slot to write, in obsm: pixels, NaN in sections that are refused.
    params
        Of the registrar.

    Returns
    -------
    The same table.
    """
    applied(table, {"do": "register", "use": use, "to": to, "with": params}, 0)
    return table


def annotate(
    table: AnnData,
    use: str = "hierarchical",
    *,
    given: str | None = None,
    least_confidence: float = 0.5,
    to: str = slots.NUCLEUS_TYPE,
    seed: int = 0,
    **params: Any,
) -> AnnData:
    """Tell the type of each cell by its transcripts.

    Parameters
    ----------
    table
        A study of single cells.
    use
        Name of an annotator; ``triptych list annotators`` shows them.
    given
        Slot of types that somebody made before, for the annotator ``precomputed``.
    least_confidence
        A cell whose likeliest type is less probable gets none.
    to
        Slot to write, in obs; its confidence stands in ``TO.confidence``, the probabilities in obsm.
    seed, params
        Of the annotator's draws; its parameters.

    Returns
    -------
    The same table.
    """
    step = {"do": "annotate", "use": use, "least_confidence": least_confidence, "to": to, "with": params}
    applied(table, {**step, **({"given": given} if given else {})}, seed)
    return table


def segment(
    table: AnnData,
    use: str = "unet-hv",
    *,
    to: str,
    learn_from: str = "outlines",
    held_out: str = "organ",
    seed: int = 0,
    **params: Any,
) -> AnnData:
    """Learn from labelled tiles to find nuclei, and judge each organ by what never saw it.

    Parameters
    ----------
    table
        A study with pictures, and outlines or known labels of nuclei.
    use
        Name of a segmenter; ``triptych list segmenters`` shows them.
    to
        Slot to write, e.g. ``nuclei:unet-hv``.
    learn_from
        ``outlines`` of the instrument with the types that `annotate` wrote, where `register` put them; or
        labels that are ``known``.
    held_out
        ``organ``; or, weaker, ``donor`` or ``sample``; ``none`` judges nothing.
    seed, params
        Of the segmenter's draws; its parameters.

    Returns
    -------
    The same table; `score` and `analyse` read the slot.
    """
    step = {"do": "segment", "use": use, "learn_from": learn_from, "held_out": held_out, "to": to}
    made = {"types": slots.NUCLEUS_TYPE, "places": slots.REGISTERED} if learn_from == "outlines" else {}
    applied(table, {**step, **made, "with": params}, seed)
    return table
