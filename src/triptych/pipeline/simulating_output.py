"""Simulated sections as files, in the layout of HEST-1k, with the truth beside."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from triptych.core.checks import listing
from triptych.core.errors import OutputError
from triptych.core.extras import need
from triptych.core.nuclei import Outlines
from triptych.core.protocols import Codes, Vector
from triptych.maths.polygons import wkb
from triptych.pipeline.simulating_files import Labelled, Section
from triptych.readers.molecules import has_prefix
from triptych.readers.xenium_counts import CONTROLS

STAGING: Final = ".triptych-simulation-"
NO_CELL: Final = "UNASSIGNED"
TILE_PX: Final = 256
ROWS: Final = 100_000  # of a row group
GEO: Final = {
    "version": "1.0.0", "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": None}},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Simulated:
    """What was simulated for one section.

    Parameters
    ----------
    types
        Class of each nucleus, by which its transcripts were drawn, shape (n,); empty = none.
    known
        Whether that is the truth, shape (n,); elsewhere it only stands in.
    lost
        Nuclei without an outline, missed or moved off the picture, shape (n,).
    outlines
        Where the other instrument sees nuclei, in pixels of the picture; row -1 = spurious.
    transcripts
        With the columns he_x, he_y, gene (code), cell (code of ``cell_ids``, -1 = none), qv and
        overlaps_nucleus.
    about
        Numbers, and the true displacement.
    """

    types: NDArray[np.str_]
    known: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    outlines: Outlines
    transcripts: pd.DataFrame
    about: dict[str, Any]

    @property
    def cell_ids(self) -> NDArray[np.str_]:
        """Names of the nuclei, 1 … n, then of the spurious outlines, s1 ….; shape (n + s,)."""
        spurious = int(np.sum(self.outlines.row < 0))
        names = [str(k + 1) for k in range(len(self.types))] + [f"s{k + 1}" for k in range(spurious)]
        return np.array(names, dtype=str)


@contextmanager
def filling(out: Path) -> Iterator[Path]:
    """A staging folder that becomes ``out`` when the block ends well.

    Raises
    ------
    OutputError
        When ``out`` holds files, or cannot be written.
    """
    if out.is_dir() and any(out.iterdir()):
        held = listing(sorted(item.name for item in out.iterdir()), 5)
        raise OutputError(f"{out} is not empty: it holds {held}.", "Choose another folder with -o.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=out.parent))
        inside = staging / out.name  # made by us, so that it has the usual rights
        inside.mkdir()
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written: {error.strerror}.", "Choose another folder with -o."
        ) from error
    try:
        yield inside
        if out.is_dir():
            out.rmdir()
        inside.rename(out)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error}.", "Free space, or choose another.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_section(
    folder: Path, section: Section, labelled: Labelled, made: Simulated, *, genes: Vector, mpp: float
) -> None:
    """Write all files of one section.

    Parameters
    ----------
    folder
        Of all sections.
    section
        Its name and organ.
    labelled
        Its picture, and its nuclei.
    made
        What was simulated.
    genes
        Names, to which the codes of ``made.transcripts`` point.
    mpp
        Micrometres per pixel.
    """
    for name in ("wsis", "xenium_seg", "transcripts", "metadata", "truth/instances", "truth/simulated"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    per_cm = (10_000 / mpp, 10_000 / mpp)
    tiled: dict[str, Any] = {"tile": (TILE_PX, TILE_PX), "compression": "zlib"}
    tifffile.imwrite(
        folder / "wsis" / f"{section.id}.tif", labelled.image, photometric="rgb", resolution=per_cm,
        resolutionunit="CENTIMETER", **tiled,
    )  # fmt: skip
    truth = folder / "truth" / "instances" / f"{section.id}.tif"
    tifffile.imwrite(truth, labelled.instances.astype(np.uint32), photometric="minisblack", **tiled)
    number = np.arange(1, len(made.types) + 1)
    types = pd.DataFrame({"instance": number, "type": made.types})
    types[made.known].to_csv(truth.with_suffix(".types.csv"), index=False)
    types.assign(known=made.known.astype(int), lost=made.lost.astype(int)).to_csv(
        folder / "truth" / "simulated" / f"{section.id}.csv", index=False
    )
    about = {
        "id": section.id, "organ": section.organ, "patient": section.id, "pixel_size_um_estimated": mpp,
        "panel": genes[~has_prefix(pd.Index(genes), CONTROLS)].tolist(),
    }  # fmt: skip
    (folder / "metadata" / f"{section.id}.json").write_text(json.dumps(about, indent=1), "utf-8")
    _write_outlines(folder / "xenium_seg" / f"{section.id}_xenium_nucleus_seg.parquet", made)
    _write_transcripts(folder / "transcripts" / f"{section.id}_transcripts.parquet", made, genes)


def _write_outlines(path: Path, made: Simulated) -> None:
    pa, parquet = need("pyarrow", "cells"), need("pyarrow.parquet", "cells")
    row = made.outlines.row
    spurious = np.cumsum(row < 0) + len(made.types) - 1
    ids = made.cell_ids[np.where(row < 0, spurious, row)]
    table = pa.table(
        {"cell_id": pa.array(ids, pa.string()), "geometry": pa.array(wkb(made.outlines), pa.binary())}
    )
    parquet.write_table(table.replace_schema_metadata({"geo": json.dumps(GEO)}), path)


def _write_transcripts(path: Path, made: Simulated, genes: Vector) -> None:
    pa, parquet = need("pyarrow", "cells"), need("pyarrow.parquet", "cells")
    frame = made.transcripts

    def named(codes: Codes, names: NDArray[np.str_]) -> Any:
        whole = pa.DictionaryArray.from_arrays(codes.astype(np.int32), pa.array(names, pa.string()))
        return whole.cast(pa.string())

    cell = frame["cell"].to_numpy()
    ids = np.append(made.cell_ids, NO_CELL)
    table = pa.table({
        "transcript_id": np.arange(len(frame), dtype=np.uint64),
        "cell_id": named(np.where(cell < 0, len(ids) - 1, cell), ids),
        "he_x": frame["he_x"].to_numpy(float), "he_y": frame["he_y"].to_numpy(float),
        "feature_name": named(frame["gene"].to_numpy(), np.asarray(genes)),
        "qv": frame["qv"].to_numpy(np.float32),
        "overlaps_nucleus": frame["overlaps_nucleus"].to_numpy(np.uint8),
    })  # fmt: skip
    parquet.write_table(table, path, row_group_size=ROWS)
