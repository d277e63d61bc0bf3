"""A bundle as the output folder of a Xenium run, in the layout of version 2 of its analysis."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.io import mmwrite

from triptych.core.extras import need
from triptych.core.protocols import Matrix
from triptych.readers.toy.bundle import PIXEL_UM, Bundle, Molecules, feature_types
from triptych.readers.toy.gz import gzipped
from triptych.readers.toy.write_pyramid import write_grey, write_picture

FOV: Final = "A1"
GENOME: Final = "toy"


def write_xenium(folder: Path, bundle: Bundle, *, text: bool = True) -> None:
    """Write a bundle's files, and beside them its stained image, the matrix of it, and ``cell_types.csv``.

    Parameters
    ----------
    folder
        Made when it does not exist.
    bundle
        What to write.
    text
        Also write what an instrument gives twice as text: cells.csv.gz and the folder cell_feature_matrix.

    Raises
    ------
    MissingExtraError
        When there is no pyarrow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_h5(folder / "cell_feature_matrix.h5", bundle)
    cells = _cells(bundle)
    _parquet(folder / "cells.parquet", cells)
    for name, outlines in (("cell", bundle.cells), ("nucleus", bundle.nuclei)):
        _parquet(folder / f"{name}_boundaries.parquet", _vertices(bundle.ids, outlines))
    number = _write_transcripts(folder / "transcripts.parquet", bundle)
    if text:
        gzipped(folder / "cells.csv.gz", cells.to_csv(index=False, lineterminator="\n"))
        _write_mtx(folder / "cell_feature_matrix", bundle)
    labels = pd.DataFrame({"cell_id": bundle.ids, "cell_type": bundle.kind})
    labels.to_csv(folder / "cell_types.csv", index=False, lineterminator="\n")
    _write_images(folder, bundle)
    about = _experiment(bundle, number)
    (folder / "experiment.xenium").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _experiment(bundle: Bundle, transcripts: int) -> dict[str, Any]:
    return {
        "major_version": 5,
        "minor_version": 0,
        "run_name": "toy",
        "region_name": bundle.name,
        "preservation_method": "ffpe",
        "num_cells": len(bundle.um),
        "num_transcripts": transcripts,
        "panel_num_targets_predesigned": len(bundle.genes),
        "pixel_size": PIXEL_UM,
        "analysis_sw_version": "xenium-2.0.0.10",
        "images": {"morphology_filepath": "morphology.ome.tif"},
        "xenium_explorer_files": {},
    }


def _features(bundle: Bundle) -> tuple[list[str], list[str], list[str]]:
    """Ids, names and kinds of genes and controls."""
    names = [*map(str, bundle.genes), *map(str, bundle.controls)]
    ids = [f"TOYG{index:08d}" for index in range(len(bundle.genes))] + names[len(bundle.genes) :]
    return ids, names, ["Gene Expression"] * len(bundle.genes) + feature_types(bundle.controls)


def _write_h5(path: Path, bundle: Bundle) -> None:
    ids, names, kinds = _features(bundle)
    counts = bundle.counts
    with h5py.File(path, "w") as file:
        matrix = file.create_group("matrix")
        matrix["barcodes"] = bundle.ids.astype("S")
        matrix.create_dataset(
            "data", data=counts.data.astype(np.int32), compression="gzip", compression_opts=1
        )
        matrix.create_dataset(
            "indices", data=counts.indices.astype(np.int64), compression="gzip", compression_opts=1
        )
        matrix["indptr"] = counts.indptr.astype(np.int64)
        matrix["shape"] = np.array(counts.shape[::-1], dtype=np.int32)
        features = matrix.create_group("features")
        features["_all_tag_keys"] = np.array(["genome"], dtype="S6")
        columns = {"id": ids, "name": names, "feature_type": kinds, "genome": [GENOME] * len(ids)}
        for name, values in columns.items():
            features[name] = np.array(values, dtype="S")


def _write_mtx(folder: Path, bundle: Bundle) -> None:
    folder.mkdir(exist_ok=True)
    gzipped(folder / "barcodes.tsv.gz", "".join(f"{name}\n" for name in bundle.ids))
    lines = ("\t".join(row) + "\n" for row in zip(*_features(bundle), strict=True))
    gzipped(folder / "features.tsv.gz", "".join(lines))
    stream = io.BytesIO()
    mmwrite(stream, bundle.counts.T, field="integer")
    gzipped(folder / "matrix.mtx.gz", stream.getvalue().decode())


def _cells(bundle: Bundle) -> pd.DataFrame:
    genes = len(bundle.genes)
    total = np.asarray(bundle.counts[:, :genes].sum(axis=1)).ravel()
    controls = np.asarray(bundle.counts[:, genes:].sum(axis=1)).ravel()
    return pd.DataFrame(
        {
            "cell_id": bundle.ids,
            "x_centroid": bundle.um[:, 0],
            "y_centroid": bundle.um[:, 1],
            "transcript_counts": total.astype(np.int64),
            "control_probe_counts": controls.astype(np.int64),
            "total_counts": (total + controls).astype(np.int64),
            "cell_area": _areas(bundle.cells),
            "nucleus_area": _areas(bundle.nuclei),
            "nucleus_count": 1,
        }
    )


def _areas(outlines: Matrix) -> Matrix:
    """Area of each polygon, shape (n,)."""
    x, y = outlines[..., 0], outlines[..., 1]
    area: Matrix = np.abs((x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)) / 2
    return area


def _vertices(ids: NDArray[np.str_], outlines: Matrix) -> pd.DataFrame:
    """A row for each vertex; the first of an outline is repeated as its last."""
    closed = np.concatenate([outlines, outlines[:, :1]], axis=1).astype(np.float32)
    number = closed.shape[1]
    return pd.DataFrame(
        {
            "cell_id": pd.Categorical.from_codes(np.repeat(np.arange(len(ids)), number), pd.Index(ids)),
            "vertex_x": closed[..., 0].ravel(),
            "vertex_y": closed[..., 1].ravel(),
            "label_id": np.repeat(np.arange(1, len(ids) + 1, dtype=np.uint32), number),
        }
    )


def _parquet(path: Path, frame: pd.DataFrame) -> None:
    arrow, parquet = need("pyarrow", "cells"), need("pyarrow.parquet", "cells")
    parquet.write_table(_plain(arrow.Table.from_pandas(frame, preserve_index=False), arrow), path)


def _plain(table: Any, arrow: Any) -> Any:
    """Categories as text, and no words of pandas, as the instrument writes them."""
    fields = [
        arrow.field(f.name, arrow.string() if arrow.types.is_dictionary(f.type) else f.type)
        for f in table.schema
    ]
    return table.cast(arrow.schema(fields)).replace_schema_metadata(None)


def _write_transcripts(path: Path, bundle: Bundle) -> int:
    """Write the molecules, a row group for each piece; returns how many there are."""
    arrow, parquet = need("pyarrow", "cells"), need("pyarrow.parquet", "cells")
    cells = arrow.array([*bundle.ids, "UNASSIGNED"])
    features = arrow.array([*map(str, bundle.genes), *map(str, bundle.controls)])
    number, writer = 0, None
    for piece in bundle.molecules():
        table = _plain(_transcripts(piece, cells, features, number, arrow=arrow), arrow)
        if writer is None:
            writer = parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
        number += len(piece.cell)
    if writer is not None:
        writer.close()
    return number


def _transcripts(piece: Molecules, cells: Any, features: Any, first: int, *, arrow: Any) -> Any:
    number = len(piece.cell)
    outside = np.where(piece.cell < 0, len(cells) - 1, piece.cell).astype(np.int32)
    um = piece.um.astype(np.float32)
    return arrow.table(
        {
            "transcript_id": arrow.array(np.arange(first, first + number, dtype=np.uint64)),
            "cell_id": arrow.DictionaryArray.from_arrays(arrow.array(outside), cells),
            "overlaps_nucleus": arrow.array(piece.nuclear.astype(np.uint8)),
            "feature_name": arrow.DictionaryArray.from_arrays(
                arrow.array(piece.feature.astype(np.int32)), features
            ),
            "x_location": arrow.array(um[:, 0]),
            "y_location": arrow.array(um[:, 1]),
            "z_location": arrow.array(um[:, 2]),
            "qv": arrow.array(piece.qv.astype(np.float32)),
            "fov_name": arrow.DictionaryArray.from_arrays(
                arrow.array(np.zeros(number, np.int8)), arrow.array([FOV])
            ),
        }
    )


def _write_images(folder: Path, bundle: Bundle) -> None:
    if bundle.morphology is not None:
        (folder / "morphology_focus").mkdir(exist_ok=True)
        write_grey(folder / "morphology.ome.tif", bundle.morphology, PIXEL_UM)
        write_grey(folder / "morphology_focus/morphology_focus_0000.ome.tif", bundle.morphology, PIXEL_UM)
    if bundle.picture is not None:
        write_picture(folder / f"{bundle.name}_he_image.ome.tif", bundle.picture)
        rows = (",".join(f"{value:.17g}" for value in row) for row in bundle.picture.to_morphology)
        (folder / f"{bundle.name}_he_imagealignment.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
