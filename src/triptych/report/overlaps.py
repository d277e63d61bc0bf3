"""How well the clusters of each labelling cover the known types."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from triptych.core.protocols import Vector
from triptych.report.canvas import Canvas
from triptych.report.grids import MEAN, type_grid
from triptych.report.markup import Html, join, tag
from triptych.report.tables import View, cut, types_of

MULTIPLEX: Final = "multiplex."  # begins the name of labels that several views were clustered for
NOTE: Final = (
    "Compare the labellings down a column: a number is the Jaccard index of a known type and its one "
    "cluster, what both share as part of what either holds; (mean) is over the types, and 0 stands where "
    "no cluster is left for a type. A type that is cleanly split into several clusters scores low all the"
    " same."
)


def overlap_block(canvas: Canvas, found: list[View]) -> Html:
    """One heat map, views alone first and then those that were clustered together.

    Parameters
    ----------
    canvas
        Draws.
    found
        Tables of the Jaccard index, one for each labelling.
    """
    found, told = cut(sorted(found, key=lambda one: one.name.startswith(MULTIPLEX)))
    types, few = types_of([one.frame for one in found])
    rows = {one.name: _indices(one, types) for one in found}
    values = pd.DataFrame.from_dict(rows, orient="index", columns=[*types, MEAN])
    alone = sum(not name.startswith(MULTIPLEX) for name in rows)
    alt = f"Heat map of the Jaccard index of {len(types)} known types: {', '.join(rows)}"
    picture = type_grid(canvas, "jaccard", values, label="Jaccard index", alt=alt, apart=alone)
    figure = tag("figure", picture, class_="broad")
    notes = (tag("p", text, class_="note") for text in (NOTE, told, few) if text)
    return join([tag("h3", "Known types covered by each labelling"), *notes, figure])


def _indices(one: View, types: list[str]) -> Vector:
    """Index of each type that is drawn, and the mean over all of them, shape (k + 1,)."""
    rows = one.frame.drop_duplicates("group").set_index("group")["jaccard"]
    drawn = rows.reindex(types).to_numpy(float)
    mean = rows[MEAN] if MEAN in rows.index else rows.mean()
    return np.append(drawn, mean)
