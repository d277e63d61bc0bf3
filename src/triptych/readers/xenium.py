"""The output folder of a Xenium run (a bundle), a folder of them, or the parts of one that were shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.core.slots import UNS
from triptych.readers.joining import choose, gather
from triptych.readers.layouts import ReadOptions
from triptych.readers.molecules import Tally
from triptych.readers.sections import section
from triptych.readers.xenium_bundle import MATRIX, Bundle, bundles
from triptych.readers.xenium_cells import cells_of_outlines, cells_of_table, labels
from triptych.readers.xenium_counts import QUALITY, Of, check_same, matrix_of, tally_of
from triptych.readers.xenium_points import read_points, tables_of_points
from triptych.readers.xenium_slide import frame_of, pixels

Value = TypeVar("Value")
Cells = tuple[sp.csr_matrix, pd.DataFrame, pd.DataFrame]  # counts, genes, cells


@dataclass(frozen=True)
class Xenium:
    """Cells of ``cell_feature_matrix`` at the centroids of ``cells``, with the stained image beside.

    Only genes are kept. Without a matrix, the transcripts are counted: those of a gene, in a cell, of at
    least ``quality``. The image is ``*he_image*.ome.tif``, placed by the matrix ``*he_imagealignment.csv`` of
    Xenium Explorer; without one the coordinates are pixels of the morphology image. Labels are read from
    ``cell_types.csv`` or ``*annotation*.csv`` in the folder; the clusters of the instrument are no truth.

    A pair of tables ``NAME_cells.csv`` (x, y in µm) and ``NAME_transcripts.csv`` (x, y, feature_name), which
    do not tell whose a transcript is, is read too: each transcript is counted for the cell whose centre is
    nearest, if that is within ``reach_um``, and a warning tells how many are left out.

    Parameters
    ----------
    quality
        Smallest quality value (qv) of a transcript that is counted.
    reach_um
        Farthest centre that a transcript without a cell is counted for.
    of
        ``nucleus`` counts only the transcripts that lie in the nucleus of a cell, as the column
        overlaps_nucleus or else the outlines say; it takes ``transcripts``, whatever else there is.
    """

    quality: float = QUALITY
    reach_um: float = 10.0
    of: Of = "cell"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not self.quality >= 0:  # nor what is no number
            raise ValueError(f"quality must not be negative, got {self.quality:g}")
        if not 0 < self.reach_um <= 100:
            raise ValueError(f"reach_um must be above 0 and at most 100, got {self.reach_um:g}")

    def recognises(self, path: Path) -> bool:
        """Whether the folder, its ``outs``, or one of its folders holds a bundle, or it holds such tables."""
        return path.is_dir() and bool(bundles(path) or tables_of_points(path))

    def samples(self, path: Path) -> list[str]:
        """Names of the regions, else of the runs or the folders; or of the pairs of tables."""
        return list(bundles(path) or tables_of_points(path))

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Read the samples asked for.

        Raises
        ------
        DataError
            With every fault of every sample.
        """
        folders, points = bundles(path), tables_of_points(path)
        names = choose(folders or points, options, str(path))
        if folders:
            return gather(
                names, lambda name, faults: self._section(folders[name], name, faults), options, str(path)
            )
        return gather(
            names, lambda name, faults: read_points(name, points[name], self.reach_um), options, str(path)
        )

    def _section(self, folder: Path, name: str, faults: Faults) -> AnnData:
        bundle = Bundle.of(folder)
        matrix, about = frame_of(bundle, name, faults)
        counts, genes, cells = self._cells(bundle, name, faults)
        notes, truth = labels(bundle, cells.index, faults)
        um = cells[["x", "y"]].to_numpy(float)
        cells.insert(0, "cell_id", cells.index)
        obs = cells.drop(columns=["x", "y"]).join(notes.drop(columns=list(set(cells) & set(notes))))
        if truth:
            obs["truth"] = obs[truth]
        places = {"spatial": pixels(matrix, um), "spatial_um": um}
        table = section(name, counts, obs=obs, genes=genes, obsm=places, about=about)
        table.uns[UNS]["truth_column"] = truth
        return table

    def _cells(self, bundle: Bundle, name: str, faults: Faults) -> Cells:
        """Counts, genes and cells in one order; all files are looked at before a fault is raised."""
        cells = _try(bundle.cells, lambda path: cells_of_table(path, faults), faults)
        matrix, tally = None, None
        if bundle.matrix is None or self.of == "nucleus":
            tally = self._tally(bundle, faults)
        else:
            matrix = _try(bundle.matrix, matrix_of, faults)
        if matrix is not None and bundle.cells is None:
            faults.add(
                "the file cells.parquet (or cells.csv.gz) is missing, which places the cells of the matrix"
            )
        if faults.found and (cells is None or (matrix is None and tally is None)):
            raise DataError(faults.found.pop())
        if matrix is not None and cells is not None:
            counts, ids, genes = matrix
            files = (_name(bundle.matrix), _name(bundle.cells))
            check_same(ids, cells.index, files)
            return counts, genes, cells.loc[ids]
        return _counted(bundle, cells, tally, name=name, faults=faults)

    def _tally(self, bundle: Bundle, faults: Faults) -> Tally | None:
        if bundle.transcripts is None:
            others = "" if self.of == "nucleus" else f"{MATRIX}.h5 (or the folder {MATRIX}, or "
            faults.add(f"the file {others}transcripts.parquet{')' if others else ''} is missing")
        return _try(
            bundle.transcripts,
            lambda path: tally_of(path, self.quality, self.of, bundle.nucleus_boundaries),
            faults,
        )


def _counted(bundle: Bundle, cells: pd.DataFrame | None, tally: Any, *, name: str, faults: Faults) -> Cells:
    """The same from transcripts."""
    genes = pd.DataFrame(index=tally.genes.astype(str))
    if cells is None:
        cells = cells_of_outlines(bundle, tally, name, faults)
        return tally.counts, genes, cells
    absent = tally.cells.difference(cells.index)
    if len(absent):
        faults.add(
            f"{len(absent)} of the {len(tally.cells)} cells of {_name(bundle.transcripts)} "
            f"are not in {_name(bundle.cells)}"
        )
    return tally.rows(cells.index), genes, cells


def _try(path: Path | None, read: Callable[[Path], Value], faults: Faults) -> Value | None:
    if path is None:
        return None
    try:
        return read(path)
    except DataError as error:
        faults.add(error.message)
        return None


def _name(path: Path | None) -> str:
    return "" if path is None else path.name
