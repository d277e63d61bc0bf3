"""A slide by itself: a picture without molecules, as a grid of patches over its tissue."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.slots import UNS
from triptych.readers.door import admit
from triptych.readers.joining import choose
from triptych.readers.layouts import SCHEMA, ReadOptions
from triptych.readers.pictures import SUFFIXES, image_size
from triptych.readers.sections import About, about_frame
from triptych.readers.slide_grid import Grid
from triptych.readers.slide_scale import slide_mpp

PITCH_UM: Final = 100.0
OME: Final = ".ome"


@dataclass(frozen=True)
class Slide:
    """A picture of stained tissue: one section, named as the file, with a row for each patch of tissue.

    Patches are squares that touch each other, 100 µm wide unless the options say otherwise; those that the
    border of the picture would cut are left out. A patch is tissue unless the mean of its red, green and blue
    is above a limit. There are no genes and no counts.

    Parameters
    ----------
    background_above
        That limit, from 0 to 255.
    """

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""
    measured: ClassVar[bool] = True

    background_above: float = 200.0

    def __post_init__(self) -> None:
        if not 0 <= self.background_above <= 255:
            raise ValueError(f"background_above must be from 0 to 255, got {self.background_above}")

    def recognises(self, path: Path) -> bool:
        """Whether it is a file with the suffix of an image."""
        return path.is_file() and path.suffix.lower() in SUFFIXES

    def samples(self, path: Path) -> list[str]:
        """The name of the file without its suffix."""
        return [path.stem.removesuffix(OME)]

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Lay the grid and keep the patches of tissue.

        Raises
        ------
        DataError
            When the file is damaged, smaller than a patch, of unknown resolution, or shows no tissue.
        MissingExtraError
            When openslide is not installed and the file is of a scanner's format.
        """
        if not self.recognises(path):
            kind = "a folder" if path.is_dir() else f"of type «{path.suffix or 'none'}»"
            raise DataError(
                f"{path} is no slide: it is {kind}.", f"Name a file that ends in {', '.join(SUFFIXES)}."
            )
        sample = choose(self.samples(path), options, str(path))[0]
        pitch = options.pitch_um or PITCH_UM
        try:
            width, height = image_size(str(path))
            mpp = slide_mpp(path, options.mpp)
            grid = Grid.over(width, height, pitch / mpp)
        except DataError as error:
            raise DataError(f"{path}: {error.message}", error.hint) from error
        keep = self._tissue(path, grid)
        _tell(sample, keep, pitch, self.background_above)
        about = About(donor=sample, image=str(path.resolve()), mpp=mpp, pitch_um=pitch, lattice="square")
        return admit(_table(sample, grid, keep, about), options, str(path))

    def _tissue(self, path: Path, grid: Grid) -> np.ndarray:
        from triptych.tiles.tissue import tissue_mask

        return tissue_mask(str(path), grid.x_edges, grid.y_edges, background_above=self.background_above)


def _tell(sample: str, keep: np.ndarray, pitch_um: float, limit: float) -> None:
    """Say how many patches are left out."""
    if not keep.all():
        warnings.warn(
            f"{sample}: {int((~keep).sum())} of {keep.size} patches of {pitch_um:g} µm are background (mean "
            f"of red, green and blue above {limit:g}) and are left out.",
            TriptychWarning,
            stacklevel=2,
        )


def _table(sample: str, grid: Grid, keep: np.ndarray, about: About) -> AnnData:
    """The patches that are kept, named by column and row as spots of an array are."""
    row, column, px = grid.places(keep)
    ids = pd.Index(column.astype(str)) + "x" + pd.Index(row.astype(str))
    obs = pd.DataFrame(
        {"sample": sample, "donor": about.donor, "array_row": row, "array_col": column}, index=ids
    )
    table = AnnData(obs=obs, obsm={"spatial": px, "spatial_um": px * about.mpp})
    table.uns[UNS] = {"schema": SCHEMA, "truth_column": "", "samples": about_frame({sample: about})}
    return table
