"""Labelled tiles on disk, of which no more is read than is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from triptych.core.checks import Faults, listing, nearest
from triptych.core.errors import DataError
from triptych.core.nuclei import Tiles
from triptych.core.protocols import Indices
from triptych.tiles.label_format import ARRAYS, MANIFEST, TABLE, TEXTS, Manifest, columns, digest, shape_of
from triptych.tiles.label_writer import LabelStoreWriter

__all__ = ["LabelStore", "LabelStoreWriter"]
AGAIN: Final = "Make it again."


@dataclass(eq=False)  # not frozen, for a source of tiles has attributes that may be set
class LabelStore:
    """A `triptych.core.nuclei.TileSource` in a folder, or some of its tiles.

    Parameters
    ----------
    folder
        That `LabelStoreWriter` wrote.
    classes
        Names of the types.
    mpp
        µm per pixel.
    tile_px
        Side of the tiles.
    about
        A row for each tile: tile, shard and row (where it lies), sample, donor, organ, x_px, y_px, nuclei,
        ignored (share of its pixels), untyped (nuclei of no known class), and n_CLASS, nuclei of each class.
    shards
        Names of their folders.
    told
        The manifest: totals of the whole store, and what its maker gave.
    """

    folder: Path
    classes: tuple[str, ...]
    mpp: float
    tile_px: int
    about: pd.DataFrame
    shards: tuple[str, ...]
    told: dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, folder: Path, *, check: bool = False) -> Self:
        """Open a store; of the tiles only the heads of their files are read.

        Parameters
        ----------
        folder
            That `LabelStoreWriter` wrote.
        check
            Whether to read everything and compare its digests.

        Raises
        ------
        DataError
            When it is not whole, was changed, or is something else.
        """
        manifest = _manifest(folder)
        about = _about(folder, manifest)
        _check_shards(folder, manifest, check=check)
        names = tuple(shard.name for shard in manifest.shards)
        return cls(
            folder, manifest.classes, manifest.mpp, manifest.tile_px, about, names, manifest.model_dump()
        )

    def __len__(self) -> int:
        """How many tiles."""
        return len(self.about)

    def take(self, rows: Indices) -> Tiles:
        """Some tiles, in their order; a row that is named twice comes twice.

        Parameters
        ----------
        rows
            Of ``about``, shape (b,).

        Raises
        ------
        DataError
            When the files were removed or changed since the store was opened.
        """
        shard, row = (self.about[name].to_numpy()[rows] for name in ("shard", "row"))
        taken = {
            name: np.empty(shape_of(name, len(row), self.tile_px), kind) for name, kind in ARRAYS.items()
        }
        for one in np.unique(shard):
            mine = np.flatnonzero(shard == one)
            # Opened anew each time: files kept open would be four for each shard, and stores have thousands.
            for name, array in taken.items():
                array[mine] = _mapped(self.folder / self.shards[one] / f"{name}.npy")[row[mine]]
        return Tiles(
            taken["image"], taken["instances"].astype(np.int32), taken["types"], taken["ignore"].astype(bool)
        )

    def subset(self, rows: Indices) -> Self:
        """Some tiles as a store of their own, which reads the same files.

        Parameters
        ----------
        rows
            Of ``about``, shape (b,).
        """
        return replace(self, about=self.about.iloc[rows].reset_index(drop=True))

    def where(
        self, *, organ: Sequence[str] | None = None, donor: Sequence[str] | None = None,
        sample: Sequence[str] | None = None,
    ) -> Indices:  # fmt: skip
        """Rows of the tiles of some organs, donors and samples; None = of all.

        Raises
        ------
        DataError
            When a name is that of no tile.
        """
        kept = np.ones(len(self), bool)
        for column, names in (("organ", organ), ("donor", donor), ("sample", sample)):
            if names is None:
                continue
            names, there = [names] if isinstance(names, str) else list(names), set(self.about[column])
            if lacking := [name for name in names if name not in there]:
                raise DataError(
                    f"No tile has the {column} {listing(lacking)}.", nearest(lacking[0], sorted(there))
                )
            kept &= self.about[column].isin(names).to_numpy()
        return np.flatnonzero(kept)


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(
            f"{folder} holds no {MANIFEST}: it is no store of labelled tiles, or its writing was broken off.",
            AGAIN,
        )
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        told = f"{where}: {first['msg']}" if where else first["msg"]
        raise DataError(f"{path} is not that of labelled tiles ({told}).", AGAIN) from error


def _about(folder: Path, manifest: Manifest) -> pd.DataFrame:
    path, sizes = folder / TABLE, np.array([shard.tiles for shard in manifest.shards], np.int64)
    if not path.is_file() or digest(path) != manifest.tiles_sha256:
        raise DataError(f"{path} was changed, or is not there.", AGAIN)
    about = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False)
    shard = np.repeat(np.arange(len(sizes)), sizes)
    places = np.stack([shard, np.arange(len(shard)) - (np.cumsum(sizes) - sizes)[shard]], axis=1)
    listed = list(about) == columns(manifest.classes) and len(about) == len(places)
    if not listed or not np.array_equal(about[["shard", "row"]].to_numpy(), places):
        raise DataError(f"{path} does not list the tiles of {MANIFEST}.", AGAIN)
    return about


def _check_shards(folder: Path, manifest: Manifest, *, check: bool) -> None:
    faults = Faults(str(folder))
    for shard in manifest.shards:
        for name, kind in ARRAYS.items():
            path = folder / shard.name / f"{name}.npy"
            try:
                array = _mapped(path)
            except DataError as error:
                faults.add(error.message)
                continue
            wanted = shape_of(name, shard.tiles, manifest.tile_px)
            good = array.shape == wanted and array.dtype == kind
            faults.check(good, f"{path} holds {array.dtype} of shape {array.shape}, not {wanted}.")
            if check:
                same = digest(path) == shard.sha256.get(path.name)
                faults.check(same, f"{path} was changed.")
    faults.raise_if_any(hint=AGAIN)


def _mapped(path: Path) -> NDArray[Any]:
    """An array of numbers on disk; never an object, for none is unpickled."""
    try:
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is damaged or not there ({error}).", AGAIN) from error
    return array
