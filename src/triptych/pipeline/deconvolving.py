"""What a deconvolver is given beside the counts: annotated cells, or a table that somebody computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from triptych.core.abundance import Abundance, Reference
from triptych.pipeline.study import Study
from triptych.readers.abundances import read_abundances
from triptych.readers.reference import read_reference


def given_to(study: Study, step: Any, component: Any, unit: str) -> Reference | Abundance:
    """Read what a deconvolve step names.

    Returns
    -------
    The cells of a reference; or, of a table, a row for each observation of the unit, in their order.

    Raises
    ------
    DataError
        With every fault of the file.
    """
    if component.takes == "reference":
        return read_reference(Path(step.reference), types=step.types, batch=step.batch)
    names = study.table.obs_names.to_numpy().astype(str)
    read = read_abundances(Path(step.table), {name: names[study.rows(name)] for name in study.samples})
    values = np.empty_like(read.values)  # it comes section after section, which is not the table's order
    values[np.concatenate([study.rows(name) for name in study.samples])] = read.values
    return Abundance(values[study.rows(unit)], read.types)
