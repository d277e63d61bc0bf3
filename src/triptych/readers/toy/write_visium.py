"""The toy study as output folders of Space Ranger, one per section."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from PIL import Image

from triptych.core.protocols import Indices
from triptych.readers.toy.gz import gzipped
from triptych.readers.toy.lattice import SPOT_UM
from triptych.readers.toy.study import ToySection, ToyStudy

HIRES: Final = 0.25  # the image that is written, relative to the full resolution that is not
LOWRES: Final = 0.075
POSITIONS: Final = (
    "barcode",
    "in_tissue",
    "array_row",
    "array_col",
    "pxl_row_in_fullres",
    "pxl_col_in_fullres",
)
GENOME: Final = "toy"


def write_space_ranger(study: ToyStudy, folder: Path, *, mtx: bool = False, header: bool = True) -> None:
    """Write folder/NAME/ with the matrix, spatial/ and the truth in metadata.csv.

    Parameters
    ----------
    study
        On a hexagonal array.
    folder
        Made when it does not exist.
    mtx
        Also write the folder filtered_feature_bc_matrix.
    header
        Write tissue_positions.csv (Space Ranger 2), else tissue_positions_list.csv without a header.

    Raises
    ------
    ValueError
        When the study lies on a square array.
    """
    if study.array.kind != "hex":
        raise ValueError(f"the layout needs a hex array, this study has a {study.array.kind} one")
    for section in study.sections:
        out = folder / section.name
        (out / "spatial").mkdir(parents=True, exist_ok=True)
        names = barcodes(section.grid)
        _write_h5(out / "filtered_feature_bc_matrix.h5", section.counts, names, study.genes)
        if mtx:
            _write_mtx(out / "filtered_feature_bc_matrix", section.counts, names, study.genes)
        _write_positions(study, section, out / "spatial", header=header)
        _write_images(study, section, out / "spatial")
        truth = np.where(section.labelled, np.take(study.domains, section.domain), "")
        table = pd.DataFrame({"barcode": names, "domain": truth})
        table.to_csv(out / "metadata.csv", index=False, lineterminator="\n")


def barcodes(grid: Indices) -> list[str]:
    """Sixteen letters and ``-1``; a position of the array has the same barcode on every slide.

    Multiplying by an odd number permutes the integers below 2³², so that no two barcodes are equal.
    """
    code = (grid[:, 1].astype(np.uint64) * 4096 + grid[:, 0].astype(np.uint64) + 1) * 2654435761 % 2**32
    letters = np.array(list("ACGT"))[(code[:, None] >> (2 * np.arange(16, dtype=np.uint64))) & 3]
    return ["".join(row) + "-1" for row in letters]


def _ids(genes: NDArray[np.str_]) -> list[str]:
    return [f"TOYG{index:08d}" for index in range(len(genes))]


def _write_h5(path: Path, counts: sp.csr_matrix, names: list[str], genes: NDArray[np.str_]) -> None:
    """10x's third HDF5 layout: features × barcodes by columns, which is spots × genes by rows."""
    with h5py.File(path, "w") as file:
        matrix = file.create_group("matrix")
        matrix["barcodes"] = np.array(names, dtype="S18")
        matrix["data"] = counts.data.astype(np.int32)
        matrix["indices"] = counts.indices.astype(np.int64)
        matrix["indptr"] = counts.indptr.astype(np.int64)
        matrix["shape"] = np.array(counts.shape[::-1], dtype=np.int32)
        features = matrix.create_group("features")
        features["_all_tag_keys"] = np.array(["genome"], dtype="S6")
        features["id"] = np.array(_ids(genes), dtype="S")
        features["name"] = np.array(genes, dtype="S")
        features["feature_type"] = np.array(["Gene Expression"] * len(genes), dtype="S")
        features["genome"] = np.array([GENOME] * len(genes), dtype="S")


def _write_mtx(folder: Path, counts: sp.csr_matrix, names: list[str], genes: NDArray[np.str_]) -> None:
    """The same as Matrix Market text, counted from 1."""
    folder.mkdir(exist_ok=True)
    gzipped(folder / "barcodes.tsv.gz", "".join(f"{name}\n" for name in names))
    rows = zip(_ids(genes), genes, strict=True)
    gzipped(folder / "features.tsv.gz", "".join(f"{gene}\t{name}\tGene Expression\n" for gene, name in rows))
    entries = counts.tocoo()
    head = f"%%MatrixMarket matrix coordinate integer general\n{len(genes)} {len(names)} {counts.nnz}\n"
    triples = np.column_stack([entries.col + 1, entries.row + 1, entries.data]).tolist()
    gzipped(folder / "matrix.mtx.gz", head + "".join(f"{g} {n} {value}\n" for g, n, value in triples))


def _write_positions(study: ToyStudy, section: ToySection, folder: Path, *, header: bool) -> None:
    """Every position of the array, those off the tissue too."""
    array = study.array
    pixels = np.rint(array.um / study.mpp / HIRES).astype(int)
    names = barcodes(array.grid)
    on_tissue = np.isin(names, barcodes(section.grid)).astype(int)
    columns = (names, on_tissue, array.grid[:, 1], array.grid[:, 0], pixels[:, 1], pixels[:, 0])
    table = pd.DataFrame(dict(zip(POSITIONS, columns, strict=True)))
    name = "tissue_positions.csv" if header else "tissue_positions_list.csv"
    table.to_csv(folder / name, index=False, header=header, lineterminator="\n")


def _write_images(study: ToyStudy, section: ToySection, folder: Path) -> None:
    mpp_full = study.mpp * HIRES
    factors = {
        "tissue_hires_scalef": HIRES,
        "tissue_lowres_scalef": LOWRES,
        "spot_diameter_fullres": SPOT_UM["hex"] / mpp_full,
        "fiducial_diameter_fullres": 90 / mpp_full,
    }
    (folder / "scalefactors_json.json").write_text(json.dumps(factors))
    image = Image.fromarray(section.image)
    image.save(folder / "tissue_hires_image.png")
    small = [round(side * LOWRES / HIRES) for side in image.size]
    image.resize((small[0], small[1]), Image.Resampling.BOX).save(folder / "tissue_lowres_image.png")
