"""The toy study as files: the layouts of her2st (Andersson 2021) and of Space Ranger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from triptych.readers.toy.gz import gzipped
from triptych.readers.toy.lattice import PITCH_UM
from triptych.readers.toy.study import ToySection, ToyStudy
from triptych.readers.toy.write_visium import write_space_ranger

__all__ = ["write_space_ranger", "write_spatial_transcriptomics"]

JPEG_QUALITY = 92
UNDETERMINED = "undetermined"


def write_spatial_transcriptomics(study: ToyStudy, folder: Path) -> None:
    """Write counts/, spots/, labels/, proportions/major/ and images/ of a study on the square array.

    Parameters
    ----------
    study
        Every section becomes one file in each folder.
    folder
        Made when it does not exist.

    Raises
    ------
    ValueError
        When the study lies on a hexagonal array.
    """
    if study.array.kind != "square":
        raise ValueError(f"the layout needs a square array, this study has a {study.array.kind} one")
    for name in ("counts", "spots", "labels", "proportions/major", "images"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for section in study.sections:
        _write_section(study, section, folder)


def _write_section(study: ToyStudy, section: ToySection, folder: Path) -> None:
    name, spots = section.name, _spots(study, section)
    rows = [f"{x}x{y}" for x, y in zip(spots["x"], spots["y"], strict=True)]
    counts = pd.DataFrame(section.counts.toarray(), index=rows, columns=study.genes)
    gzipped(folder / f"counts/{name}.tsv.gz", counts.to_csv(sep="\t", lineterminator="\n"))
    shares = pd.DataFrame(section.abundance, index=rows, columns=list(study.types))
    text = shares.to_csv(sep="\t", float_format="%.8g", lineterminator="\n")
    gzipped(folder / f"proportions/major/{name}.tsv.gz", text)
    spots.to_csv(folder / f"spots/{name}_selection.tsv", sep="\t", index=False, lineterminator="\n")
    labels = _labels(study, section, spots)
    labels.to_csv(
        folder / f"labels/{name}_labeled_coordinates.tsv", sep="\t", index=False, lineterminator="\n"
    )
    Image.fromarray(section.image).save(folder / f"images/{name}.jpg", quality=JPEG_QUALITY, subsampling=0)


def _spots(study: ToyStudy, section: ToySection) -> pd.DataFrame:
    """Array positions counted from 1, the same adjusted to where the spot was printed, and pixels."""
    pitch_px = PITCH_UM[study.array.kind] / study.mpp
    first = study.array.um[0] / study.mpp
    printed = 1 + (section.spatial_px - first) / pitch_px
    return pd.DataFrame(
        {
            "x": section.grid[:, 0] + 1,
            "y": section.grid[:, 1] + 1,
            "new_x": printed[:, 0].round(3),
            "new_y": printed[:, 1].round(3),
            "pixel_x": section.spatial_px[:, 0].round(2),
            "pixel_y": section.spatial_px[:, 1].round(2),
            "selected": 1,
        }
    )


def _labels(study: ToyStudy, section: ToySection, spots: pd.DataFrame) -> pd.DataFrame:
    """A pathologist's labels; rows are named by pixels, as in the published files."""
    pixels = np.rint(section.spatial_px).astype(int)
    return pd.DataFrame(
        {
            "Row.names": [f"{x}x{y}" for x, y in pixels],
            "x": spots["new_x"],
            "y": spots["new_y"],
            "pixel_x": spots["pixel_x"],
            "pixel_y": spots["pixel_y"],
            "label": np.where(section.labelled, np.take(study.domains, section.domain), UNDETERMINED),
        }
    )
