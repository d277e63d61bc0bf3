"""Types of cells between the table and the annotators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triptych.core import slots
from triptych.core.abundance import Abundance
from triptych.core.errors import DataError
from triptych.core.nuclei import Annotation
from triptych.core.slots import Slot
from triptych.pipeline.study import Study


def gathered(study: Study, step: Any, component: Any, unit: str) -> dict[str, Any]:
    """Counts, sections, and the types that are given where the annotator takes such.

    Raises
    ------
    DataError
        When it takes a table and none is named.
    """
    given = None
    if component.takes == "table":
        if not step.given:
            raise DataError(
                f"{step.use} reads types that somebody made before.",
                "Name their column: --set annotate.given=obs:COLUMN.",
            )
        column = study.table.obs[Slot.parse(step.given).key].iloc[study.rows(unit)]
        given = column.astype(object).where(column.notna(), None).to_numpy()
    return {"counts": study.counts(unit), "sample": study.codes(slots.SAMPLE, unit)[0], "given": given}


def annotated(component: Any, given: Mapping[str, Any], rng: np.random.Generator) -> Abundance:
    """Probabilities of the types, as the cache keeps values by type."""
    made: Annotation = component.annotate(given["counts"], given["sample"], given["given"], rng)
    return Abundance(made.probabilities, made.classes)
