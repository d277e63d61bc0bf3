"""What steps make, put into the table."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
from anndata import AnnData

from triptych.core.abundance import Abundance
from triptych.core.nuclei import Annotation, Overlaps
from triptych.core.slots import Slot
from triptych.maths.overlaps import as_arrays

NUCLEI: Final = "nuclei"  # container of true and found nuclei, and the key in uns under which it lies


def put(table: AnnData, slot: str, value: Any) -> None:
    """Put a value into a slot.

    Parameters
    ----------
    table
        A study.
    slot
        Where to.
    value
        A matrix; codes, shape (n,); cell types with their intervals; or true and found nuclei.
    """
    parsed = Slot.parse(slot)
    if isinstance(value, Overlaps):
        table.uns.setdefault(NUCLEI, {})[parsed.key] = as_arrays(value)
    elif isinstance(value, Abundance):
        _put_types(table, parsed.key, value)
    elif parsed.container == "obs":
        names = [str(code) for code in range(int(value.max()) + 1)]
        table.obs[parsed.key] = pd.Categorical.from_codes(value, categories=pd.Index(names))
    else:
        getattr(table, parsed.container)[parsed.key] = value


def put_annotation(table: AnnData, slot: str, value: Abundance, least: float) -> None:
    """Put types of cells into the table: the likeliest, how sure it is, and all probabilities.

    Parameters
    ----------
    table
        A study.
    slot
        Of obs.
    value
        Probabilities by type.
    least
        Probability below which a cell gets no type.
    """
    key = Slot.parse(slot).key
    code, sure = Annotation(value.values, value.types).best(least)
    table.obs[key] = pd.Categorical.from_codes(code, categories=pd.Index(value.types))
    table.obs[f"{key}.confidence"] = sure
    _put_types(table, key, value)


def _put_types(table: AnnData, key: str, value: Abundance) -> None:
    """Columns named after the types; the ends of the intervals beside them."""
    for name, part in ((key, value.values), (f"{key}.low", value.low), (f"{key}.high", value.high)):
        table.obsm.pop(name, None)
        if part is not None:
            table.obsm[name] = pd.DataFrame(part, index=table.obs_names, columns=list(value.types))
