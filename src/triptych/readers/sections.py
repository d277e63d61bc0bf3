"""One section as a table: what readers build before sections are joined to a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from triptych.core.slots import UNS
from triptych.readers.layouts import SCHEMA

Lattice = Literal["square", "hex", ""]


@dataclass(frozen=True)
class About:
    """What is known of one section.

    Parameters
    ----------
    donor
        Unit of splitting; empty when only the sample is known.
    image
        Absolute path of the section's pixels, or ``STORE.zarr::images/NAME``, or empty.
    image_scale
        Pixels of that image per full-resolution pixel.
    mpp
        Micrometres per full-resolution pixel; NaN when unknown.
    spot_um
        Diameter of a spot; NaN for cells.
    pitch_um
        Distance of neighbouring spots; NaN for cells.
    lattice
        ``square``, ``hex`` or empty.
    stains
        JSON, name of a channel → the file of its grey values: an absolute path, or ``PATH::I`` for the page
        or channel I (from 0) of a file with several. Empty when there are none.
    stain_matrix
        JSON, the 2 × 3 matrix from µm (from full-resolution pixels where no µm are known) to pixels of the
        stains. Empty when there are none.
    transcripts, cell_boundaries, nucleus_boundaries
        Absolute paths of what an instrument wrote beside the counts, or empty: its molecules, and the
        outlines of cells and of nuclei.
    outline_matrix
        JSON, the 2 × 3 matrix from the numbers in ``nucleus_boundaries`` to full-resolution pixels; empty
        when they are such pixels.
    nuclei
        Absolute path of a picture of labels, as large as the image: 0 = background, else the number of a
        nucleus, which ``obs:instance`` holds. Beside it ``NAME.types.csv`` (instance, type) may tell types.
    organ
        Which organ the tissue is of; empty when unknown.
    """

    donor: str = ""
    image: str = ""
    image_scale: float = 1.0
    mpp: float = float("nan")
    spot_um: float = float("nan")
    pitch_um: float = float("nan")
    lattice: Lattice = ""
    stains: str = ""
    stain_matrix: str = ""
    transcripts: str = ""
    cell_boundaries: str = ""
    nucleus_boundaries: str = ""
    outline_matrix: str = ""
    nuclei: str = ""
    organ: str = ""


FILES: Final = (  # not in older tables
    "stains", "stain_matrix", "transcripts", "cell_boundaries", "nucleus_boundaries",
    "outline_matrix", "nuclei", "organ",
)  # fmt: skip
COLUMNS: Final = tuple(field.name for field in fields(About))


def about_frame(abouts: Mapping[str, About]) -> pd.DataFrame:
    """One row for each sample, one column for each field of `About`."""
    rows = [asdict(about) | {"donor": about.donor or sample} for sample, about in abouts.items()]
    return pd.DataFrame(rows, index=pd.Index([str(s) for s in abouts], name="sample"), columns=list(COLUMNS))


def with_files(samples: pd.DataFrame) -> pd.DataFrame:
    """The table of samples with all columns of `FILES`, empty where an older table has none."""
    files = samples.reindex(columns=list(FILES)).astype(object)
    whole: pd.DataFrame = samples.assign(**{name: files[name].fillna("") for name in FILES})
    return whole


def about_of(samples: pd.DataFrame, sample: str) -> About:
    """The row of one sample as a value."""
    numbers = ("image_scale", "mpp", "spot_um", "pitch_um")
    row: Any = with_files(samples).loc[sample]
    typed: dict[str, Any] = {
        name: float(row[name]) if name in numbers else str(row[name]) for name in COLUMNS
    }
    return About(**typed)


def section(
    sample: str,
    counts: sp.spmatrix,
    *,
    obs: pd.DataFrame,
    genes: pd.DataFrame,
    obsm: Mapping[str, Any],
    about: About,
) -> AnnData:
    """Put the parts of one section into a table; nothing is checked here.

    Parameters
    ----------
    sample
        Name of the section.
    counts
        Shape (n, g), of any numeric type: the door sees what was in the file.
    obs
        Indexed by the ids of the observations.
    genes
        Indexed by the names of the genes.
    obsm
        Arrays or frames of n rows; frames need not carry the ids.
    about
        What is known of the section.
    """
    obs = obs.copy()
    obs.index = obs.index.astype(str)
    obs["sample"] = sample
    if "donor" not in obs:
        obs["donor"] = about.donor or sample
    boxed = {
        key: value.set_axis(obs.index, axis=0) if isinstance(value, pd.DataFrame) else np.asarray(value)
        for key, value in obsm.items()
    }
    table = AnnData(obs=obs, var=genes, obsm=boxed, layers={"counts": sp.csr_matrix(counts)})
    table.uns[UNS] = {"schema": SCHEMA, "truth_column": "", "samples": about_frame({sample: about})}
    return table
