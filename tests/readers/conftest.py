"""Small studies in each layout, written with plain pandas, h5py and PIL."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from PIL import Image

SIDE, GENES = 6, 60


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def st(tmp_path, rng):
    """Write one section of the spatial-transcriptomics layout; returns the folder."""
    root = tmp_path / "st"

    def write(name="A1", *, genes=None, labels=True, image=True, px=40.0):
        for folder in ("counts", "spots", "labels", "images", "proportions/major"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        x, y = (grid.ravel() + 2 for grid in np.meshgrid(np.arange(SIDE), np.arange(SIDE)))
        ids = [f"{a}x{b}" for a, b in zip(x, y, strict=True)]
        genes = genes if genes is not None else [f"G{i}" for i in range(GENES)]
        counts = pd.DataFrame(rng.poisson(1.0, (len(ids), len(genes))), index=ids, columns=genes)
        counts.to_csv(root / "counts" / f"{name}.tsv.gz", sep="\t")
        spots = pd.DataFrame({"x": x, "y": y, "new_x": x * 1.0, "new_y": y * 1.0})
        spots["pixel_x"], spots["pixel_y"] = x * px, y * px
        spots["selected"] = 1
        spots.loc[0, "selected"] = 0
        spots.to_csv(root / "spots" / f"{name}_selection.tsv", sep="\t", index=False)
        if labels:
            frame = pd.DataFrame({"x": x + 0.02, "y": y - 0.03, "label": np.where(x > 4, "tumour", "stroma")})
            frame.loc[1, "label"] = " undetermined "
            frame.loc[len(frame)] = [np.nan, np.nan, "tumour"]
            frame.to_csv(root / "labels" / f"{name}_labeled_coordinates.tsv", sep="\t", index=False)
        if image:
            Image.new("RGB", (400, 400), "white").save(root / "images" / f"{name}.jpg")
        shares = pd.DataFrame(0.5, index=ids[:-1], columns=["T", "B"])
        shares.to_csv(root / "proportions" / "major" / f"{name}.tsv.gz", sep="\t")
        return root

    return write


@pytest.fixture
def visium(tmp_path, rng):
    """Write one Space Ranger folder; returns it."""

    def write(name="V1", *, mtx=False, header=True, mpp=0.5, image_px=200):
        folder = tmp_path / "study" / name
        (folder / "spatial").mkdir(parents=True)
        row, col = (grid.ravel() for grid in np.meshgrid(np.arange(8), np.arange(16)))
        row, col = row[(row + col) % 2 == 0], col[(row + col) % 2 == 0]
        n = len(row)
        barcodes = [f"BC{i:03d}-1" for i in range(n)]
        turned = [row * 100 * np.sqrt(3) / 2 / mpp + 10, 2000 - col * 50 / mpp]  # rotated and reflected
        frame = pd.DataFrame({"barcode": barcodes, "in_tissue": 1, "array_row": row, "array_col": col})
        frame["pxl_row_in_fullres"], frame["pxl_col_in_fullres"] = turned[1], turned[0]
        frame.loc[:1, "in_tissue"] = 0
        file = "tissue_positions.csv" if header else "tissue_positions_list.csv"
        frame.to_csv(folder / "spatial" / file, index=False, header=header)
        scales = {"tissue_hires_scalef": 0.1, "spot_diameter_fullres": 110.0}
        (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps(scales))
        Image.new("RGB", (image_px, image_px)).save(folder / "spatial" / "tissue_hires_image.png")
        keep = slice(1, n)  # one barcode of the matrix is beside the tissue
        counts = sp.csc_matrix(rng.poisson(1.0, (52, n - 1)))
        names = np.array([f"g{i}" for i in range(50)] + ["g0", "AB"])
        kinds = np.array(["Gene Expression"] * 51 + ["Antibody Capture"])
        ids = np.array([f"ENS{i}" for i in range(52)])
        (write_mtx if mtx else write_h5)(folder, counts, barcodes[keep], ids, names, kinds)
        return folder

    return write


def write_h5(folder: Path, counts, barcodes, ids, names, kinds):
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "w") as file:
        group = file.create_group("matrix")
        for key in ("data", "indices", "indptr"):
            group[key] = getattr(counts, key)
        group["shape"], group["barcodes"] = counts.shape, np.array(barcodes, "S")
        features = group.create_group("features")
        for key, value in {"id": ids, "name": names, "feature_type": kinds}.items():
            features[key] = value.astype("S")


def write_mtx(folder: Path, counts, barcodes, ids, names, kinds):
    import gzip

    from scipy.io import mmwrite

    inner = folder / "filtered_feature_bc_matrix"
    inner.mkdir()
    with gzip.open(inner / "matrix.mtx.gz", "wb") as file:
        mmwrite(file, counts)
    pd.DataFrame([ids, names, kinds]).T.to_csv(inner / "features.tsv.gz", sep="\t", header=False, index=False)
    pd.Series(barcodes).to_csv(inner / "barcodes.tsv.gz", sep="\t", header=False, index=False)


@pytest.fixture
def tables(tmp_path, rng):
    """Write a folder of plain tables; returns it."""
    folder = tmp_path / "ileum"
    folder.mkdir()
    ids = pd.Index([f"c{i}" for i in range(20)], name="cell")
    genes = [f"G{i}" for i in range(GENES)]
    pd.DataFrame(rng.poisson(1.0, (20, GENES)), index=ids, columns=genes).to_csv(folder / "counts.csv.gz")
    cells = pd.DataFrame({"x": rng.random(20), "y": rng.random(20), "area": np.arange(20)}, index=ids)
    cells.to_csv(folder / "cells.csv.gz")
    kinds = pd.Series(["Removed", *["a"] * 9, *["b"] * 9], index=ids[:19], name="leiden_final")
    kinds.to_csv(folder / "types.csv.gz")
    pd.DataFrame(rng.random((20, 3)), index=ids[::-1]).to_csv(folder / "latent_stain.csv.gz")
    return folder
