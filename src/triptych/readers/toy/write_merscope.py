"""A region as the output folder of a MERSCOPE, with the labels of its cells among their metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from triptych.core.protocols import Matrix
from triptych.readers.affine import transform
from triptych.readers.toy.crops import MPP, ORIGIN_UM, TYPES, Region

FIRST: Final = 1_100_000_000_000_000_001  # as long as Vizgen's
TO_PX: Final = np.array(
    [[1 / MPP, 0, -ORIGIN_UM[0] / MPP], [0, 1 / MPP, -ORIGIN_UM[1] / MPP], [0, 0, 1]], dtype=float
)


def write_merscope(folder: Path, region: Region) -> None:
    """Write cell_by_gene.csv, cell_metadata.csv, detected_transcripts.csv and images/ of a region.

    Parameters
    ----------
    folder
        Made when it does not exist.
    region
        What to write.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    ids = cell_ids(len(region.kind))
    counts = pd.DataFrame(region.counts.toarray(), index=pd.Index(ids, name="cell"), columns=region.genes)
    _csv(folder / "cell_by_gene.csv", counts)
    _csv(folder / "cell_metadata.csv", _metadata(region, ids))
    _csv(folder / "detected_transcripts.csv", _transcripts(region, ids))
    rows = (" ".join(f"{value:.17g}" for value in row) for row in TO_PX)
    (images / "micron_to_mosaic_pixel_transform.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for name, pixels in region.stains.items():
        tifffile.imwrite(images / f"mosaic_{name}_z0.tif", pixels, metadata=None, software=False)


def cell_ids(number: int) -> NDArray[np.int64]:
    """Ids of the cells, shape (number,)."""
    return FIRST + np.arange(number, dtype=np.int64)


def _csv(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, lineterminator="\n", float_format="%.9g")


def _um(px: Matrix) -> Matrix:
    return transform(np.linalg.inv(TO_PX), px)


def _metadata(region: Region, ids: NDArray[np.int64]) -> pd.DataFrame:
    centre = _um(region.shapes.centre_px)
    reach = region.shapes.radius_px * np.sqrt(region.shapes.aspect) * MPP
    corners = {
        f"{word}_{axis}": centre[:, number] + sign * reach
        for word, sign in (("min", -1), ("max", 1))
        for number, axis in enumerate("xy")
    }
    return pd.DataFrame(
        {
            "fov": 0,
            "volume": np.pi * (region.shapes.radius_px * MPP) ** 2 * 10,
            "center_x": centre[:, 0],
            "center_y": centre[:, 1],
            **corners,
            "transcript_count": np.asarray(region.counts.sum(axis=1)).ravel(),
            "cell_type": np.array(TYPES)[region.kind],
        },
        index=pd.Index(ids, name="EntityID"),
    )


def _transcripts(region: Region, ids: NDArray[np.int64]) -> pd.DataFrame:
    um = _um(region.px)
    return pd.DataFrame(
        {
            "barcode_id": region.gene,
            "global_x": um[:, 0],
            "global_y": um[:, 1],
            "global_z": 0.0,
            "x": region.px[:, 0],
            "y": region.px[:, 1],
            "fov": 0,
            "gene": region.genes[region.gene],
            "cell_id": np.where(region.cell < 0, -1, ids[region.cell]),
        }
    )
