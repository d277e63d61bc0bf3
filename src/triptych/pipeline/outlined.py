"""Outlines of nuclei of a study's sections, and their known labels."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from triptych.core import slots
from triptych.core.errors import DataError
from triptych.core.nuclei import Instances, Outlines
from triptych.pipeline.study import Study
from triptych.readers.outlines import outlines_of
from triptych.readers.sections import about_of

TYPES: Final = ".types.csv"  # beside a picture of labels


def outlines_in(study: Study, sample: str) -> Outlines:
    """The outlines of one section, with the rows of its observations.

    Raises
    ------
    DataError
        When there is no file of outlines, or a damaged one.
    """
    about = about_of(study.about, sample)
    if not about.nucleus_boundaries:
        raise DataError(
            f"{sample} has no outlines of nuclei.",
            "Bring a section with them (Xenium, HEST), or learn from known labels: segment.learn_from=known.",
        )
    rows = study.table.obs.iloc[study.rows(sample)]
    ids = rows["cell_id"] if "cell_id" in rows else pd.Series(rows.index)
    return outlines_of(about, ids.to_numpy().astype(np.str_))


def known_labels(study: Study, sample: str) -> tuple[Instances, dict[int, str]]:
    """The picture of labels of one section, shape (h, w), and the type of each nucleus whose type is known.

    The types stand in the file beside the picture where there is one, else in obs:truth.

    Raises
    ------
    DataError
        When the section has no such picture, or it is damaged.
    """
    from triptych.readers.label_pictures import label_picture, types_beside

    about = about_of(study.about, sample)
    if not about.nuclei:
        raise DataError(
            f"{sample} has no picture of known nuclei.", "Learn from outlines: segment.learn_from=outlines."
        )
    labels = label_picture(Path(about.nuclei))
    beside = Path(about.nuclei).with_suffix(TYPES)
    if beside.is_file():
        return labels, types_beside(beside)
    rows = study.table.obs.iloc[study.rows(sample)]
    if not {"instance", "truth"} <= set(rows) or not study.has(slots.TRUTH):
        return labels, {}
    known = rows[rows["truth"].notna() & rows["instance"].notna()]
    numbers = known["instance"].to_numpy(np.int64)
    return labels, dict(zip(numbers.tolist(), known["truth"].astype(str), strict=True))


def has_known(study: Study, sample: str) -> bool:
    """Whether a section has a picture of known nuclei."""
    return bool(about_of(study.about, sample).nuclei)
