"""Labelled tiles written as a stream, shard by shard."""

from __future__ import annotations

import csv
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, OutputError
from triptych.tiles.label_format import (
    ARRAYS,
    GIVEN,
    MANIFEST,
    MOST_CLASSES,
    SHARD,
    TABLE,
    TEMPORARY,
    TEXTS,
    Counted,
    check_tile,
    columns,
    counted,
    digest,
    shape_of,
    write_json,
)


class LabelStoreWriter:
    """Writes a `triptych.tiles.label_store.LabelStore`; no more than one shard is held in memory.

    Every shard is written under a temporary name and renamed; the manifest comes last. A folder that a killed
    writer left has none: the next writer empties it.

    Parameters
    ----------
    folder
        Made if need be; it must be empty or hold what a killed writer left.
    classes
        Names of the types.
    mpp
        µm per pixel.
    tile_px
        Side of the tiles.
    shard_tiles
        Tiles of each shard.

    Raises
    ------
    DataError
        When the store could not be read again.
    OutputError
        When the folder holds a finished store or something else, or cannot be written.
    """

    def __init__(
        self, folder: Path, classes: Sequence[str], mpp: float, tile_px: int, *, shard_tiles: int = 256
    ) -> None:  # fmt: skip
        self.folder = folder
        self.classes = tuple(classes)
        self.mpp, self.tile_px, self.shard_tiles = mpp, tile_px, shard_tiles
        _check(self.classes, mpp, tile_px, shard_tiles)
        self._shards: list[dict[str, Any]] = []
        self._held: dict[str, NDArray[Any]] = {}
        self._tiles = self._in_shard = 0
        self._ignored = 0.0
        self._totals: dict[str, dict[str, dict[str, int]]] = {kind: {} for kind in TEXTS}
        self._of_class = np.zeros(len(self.classes), np.int64)
        self._untyped = 0
        with _writing(folder):
            _emptied(folder)
            self._file = (folder / f"{TEMPORARY}{TABLE}").open("w", encoding="utf-8", newline="")
            self._rows = csv.writer(self._file, lineterminator="\n")
            self._rows.writerow(columns(self.classes))

    def add(
        self, image: NDArray[Any], instances: NDArray[Any], types: NDArray[Any], ignore: NDArray[Any],
        about: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Add a tile.

        Parameters
        ----------
        image
            RGB, shape (tile_px, tile_px, 3).
        instances
            0 = background, else the number of a nucleus, at most 65 535; shape (tile_px, tile_px).
        types
            0 = background, 1 + the code of the class, or `triptych.core.nuclei.UNKNOWN`.
        ignore
            Where nothing is known.
        about
            Sample, donor, organ, and x_px and y_px, left and top in pixels of the tile's own resolution.

        Raises
        ------
        DataError
            When the tile is not like this.
        OutputError
            When the shard that it fills cannot be written.
        """
        where = f"tile {self._tiles}"
        _check_about(where, about)
        tile = dict(zip(ARRAYS, map(np.asarray, (image, instances, types, ignore)), strict=True))
        check_tile(where, tile, self.tile_px, len(self.classes))
        held = self._held or {
            name: np.empty(shape_of(name, self.shard_tiles, self.tile_px), kind)
            for name, kind in ARRAYS.items()
        }
        self._held = held
        for name, array in tile.items():
            held[name][self._in_shard] = array
        with _writing(self.folder):
            self._tell(about, counted(tile, len(self.classes)))
            if self._in_shard == self.shard_tiles:
                self._keep()

    def close(self, extra: Mapping[str, Any]) -> None:
        """Write the last shard, the table of tiles, and the manifest.

        Parameters
        ----------
        extra
            What else the manifest shall tell, e.g. how good the labels of each sample are.

        Raises
        ------
        DataError
            When ``extra`` names what the manifest tells by itself.
        OutputError
            When something cannot be written.
        """
        with _writing(self.folder):
            if self._in_shard:
                self._keep()
            self._file.close()
            Path(self._file.name).replace(self.folder / TABLE)
            told = self._told()
            if clash := sorted(told.keys() & extra.keys()):
                raise DataError(
                    f"The manifest tells {listing(clash)} by itself.", "Give it under another name."
                )
            write_json(self.folder / MANIFEST, told | dict(extra))

    def _tell(self, about: Mapping[str, Any], found: Counted) -> None:
        """Add a tile to the table and to the totals."""
        place = (self._tiles, len(self._shards), self._in_shard)
        given = [about[name] for name in TEXTS] + [int(about[name]) for name in GIVEN[len(TEXTS) :]]
        counts = (found.nuclei, f"{found.ignored:.6g}", found.untyped, *found.of_class.tolist())
        self._rows.writerow([*place, *given, *counts])
        for kind in TEXTS:
            total = self._totals[kind].setdefault(str(about[kind]), defaultdict(int))
            total["tiles"] += 1
            total["nuclei"] += found.nuclei
        self._tiles, self._in_shard = self._tiles + 1, self._in_shard + 1
        self._ignored += found.ignored
        self._of_class += found.of_class
        self._untyped += found.untyped

    def _keep(self) -> None:
        """Write the tiles held as a shard."""
        name = f"shard-{len(self._shards):05d}"
        made = self.folder / f"{TEMPORARY}{name}"
        made.mkdir()
        for key, array in self._held.items():
            np.save(made / f"{key}.npy", array[: self._in_shard], allow_pickle=False)
        files = {f"{key}.npy": digest(made / f"{key}.npy") for key in self._held}
        made.rename(self.folder / name)
        self._file.flush()
        self._shards.append({"name": name, "tiles": self._in_shard, "sha256": files})
        self._in_shard = 0

    def _told(self) -> dict[str, Any]:
        nuclei = int(self._of_class.sum()) + self._untyped
        bytes_ = sum(np.dtype(kind).itemsize * int(np.prod(shape_of(name, 1, self.tile_px)))
                     for name, kind in ARRAYS.items())  # fmt: skip
        return {
            "kind": "labelled tiles", "format": 1,
            "classes": self.classes, "mpp": self.mpp, "tile_px": self.tile_px,
            "tiles": self._tiles, "nuclei": nuclei, "bytes_per_tile": bytes_, "totals": self._totals,
            "nuclei_of_class": dict(zip(self.classes, self._of_class.tolist(), strict=True)),
            "share_untyped": self._untyped / nuclei if nuclei else None,
            "share_ignored": self._ignored / self._tiles if self._tiles else None,
            "shards": self._shards, "tiles_sha256": digest(self.folder / TABLE),
        }  # fmt: skip


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"The labelled tiles cannot be written to {folder}: {error}.", "Give a folder with room."
        ) from error


def _emptied(folder: Path) -> None:
    """Make the folder, or remove what a killed writer left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / MANIFEST).exists():
        raise OutputError(f"{folder} holds a finished store.", "Use it, remove it, or give another folder.")
    found = sorted(folder.iterdir())
    other = [path.name for path in found if not _ours(path.name)]
    if other:
        raise OutputError(
            f"{folder} is no folder of labelled tiles; it holds {listing(other)}.", "Give another folder."
        )
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _ours(name: str) -> bool:
    bare = name.removeprefix(TEMPORARY)
    return bare in (TABLE, MANIFEST) or bool(re.fullmatch(SHARD, bare))


def _check(classes: tuple[str, ...], mpp: float, tile_px: int, shard_tiles: int) -> None:
    faults = Faults("labelled tiles")
    faults.check(
        len(classes) <= MOST_CLASSES, f"there are {len(classes)} classes; {MOST_CLASSES} are the most."
    )
    faults.check(len(set(classes)) == len(classes), "two classes have the same name.")
    faults.check(0 < mpp < float("inf"), f"mpp is {mpp}; it must be above 0.")
    faults.check(tile_px >= 1, f"tile_px is {tile_px}; it must be 1 or more.")
    faults.check(shard_tiles >= 1, f"shard_tiles is {shard_tiles}; it must be 1 or more.")
    faults.raise_if_any()


def _check_about(where: str, about: Mapping[str, Any]) -> None:
    faults = Faults(where)
    lacking = [name for name in GIVEN if name not in about]
    faults.check(not lacking, f"nothing is said of {listing(lacking)}.")
    strange = sorted(set(about) - set(GIVEN))
    faults.check(not strange, f"nobody keeps {listing(strange)}; told are {listing(GIVEN)}.")
    faults.raise_if_any()
