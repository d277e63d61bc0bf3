"""How labelled tiles lie on disk: shards of plain arrays, a table of the tiles, and a manifest.

A pixel takes 7 bytes: 3 of colour, 2 for the number of its nucleus, 1 for its type, 1 to say that it is to be
ignored; a tile of 256 × 256 px 448 KiB. Nothing is compressed, so that any tile can be read by itself.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from triptych.core.checks import Faults
from triptych.core.nuclei import UNKNOWN

MANIFEST: Final = "manifest.json"
TABLE: Final = "tiles.csv"
TEMPORARY: Final = ".tmp-"
SHARD: Final = r"shard-\d{5,}"
ARRAYS: Final[dict[str, type[np.unsignedinteger[Any]]]] = {
    "image": np.uint8,
    "instances": np.uint16,
    "types": np.uint8,
    "ignore": np.uint8,
}
GIVEN: Final = ("sample", "donor", "organ", "x_px", "y_px")  # of each tile, by the caller
TEXTS: Final = ("sample", "donor", "organ")
MOST_NUCLEI: Final = int(np.iinfo(ARRAYS["instances"]).max)
MOST_CLASSES: Final = UNKNOWN - 1
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Shard(BaseModel):
    """Some tiles in a folder of their own, and the digest of each of its files."""

    model_config = ConfigDict(frozen=True)
    name: Annotated[str, Field(pattern=f"^{SHARD}$")]
    tiles: Annotated[int, Field(ge=1)]
    sha256: dict[str, Digest]


class Manifest(BaseModel):
    """What is written last: a store without it is not whole. Totals and what the caller gave stand beside."""

    model_config = ConfigDict(frozen=True, extra="allow")
    kind: Literal["labelled tiles"]
    format: Literal[1]
    classes: Annotated[tuple[str, ...], Field(max_length=MOST_CLASSES)]
    mpp: Annotated[float, Field(gt=0)]
    tile_px: Annotated[int, Field(ge=1)]
    shards: tuple[Shard, ...]
    tiles_sha256: Digest


class Counted(NamedTuple):
    """What is in a tile.

    Attributes
    ----------
    nuclei
        How many.
    of_class
        How many of each class, shape (c,).
    untyped
        How many of no known class.
    ignored
        Share of its pixels, 0 to 1.
    """

    nuclei: int
    of_class: NDArray[np.int64]
    untyped: int
    ignored: float


def shape_of(name: str, tiles: int, tile_px: int) -> tuple[int, ...]:
    """Shape of an array of a shard."""
    return (tiles, tile_px, tile_px, 3) if name == "image" else (tiles, tile_px, tile_px)


def columns(classes: tuple[str, ...]) -> list[str]:
    """Columns of the table of tiles."""
    of_class = [f"n_{name}" for name in classes]
    return ["tile", "shard", "row", *GIVEN, "nuclei", "ignored", "untyped", *of_class]


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_tile(where: str, tile: Mapping[str, NDArray[Any]], tile_px: int, classes: int) -> None:
    """Refuse a tile that the store cannot hold.

    Parameters
    ----------
    where
        Which tile, to open the message.
    tile
        Its arrays by the names of `ARRAYS`.
    tile_px
        Side that it must have.
    classes
        Number of classes.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(where)
    for name, array in tile.items():
        wanted = shape_of(name, 1, tile_px)[1:]
        faults.check(array.shape == wanted, f"{name} has shape {array.shape}; it needs {wanted}.")
        kinds = {"image": "uint8", "ignore": "bool or uint8"}.get(name, "whole numbers")
        good = array.dtype == np.uint8 or (array.dtype.kind in {"image": "", "ignore": "b"}.get(name, "iu"))
        faults.check(good, f"{name} is of {array.dtype}; it needs {kinds}.")
    faults.raise_if_any()
    instances, types = tile["instances"], tile["types"]
    low, high = int(instances.min(initial=0)), int(instances.max(initial=0))
    faults.check(low >= 0, "numbers of nuclei are negative.")
    faults.check(high <= MOST_NUCLEI, f"nuclei have numbers to {high}; {MOST_NUCLEI} is the largest.")
    strange = int(((types < 0) | ((types > classes) & (types != UNKNOWN))).sum())
    faults.check(strange == 0, f"{strange} pixels have a type that is none of the {classes} classes.")
    apart = int(((types != 0) != (instances != 0)).sum())
    faults.check(
        apart == 0,
        f"{apart} pixels have a type but no nucleus, or a nucleus but no type (not even {UNKNOWN}).",
    )
    faults.raise_if_any()


def counted(tile: Mapping[str, NDArray[Any]], classes: int) -> Counted:
    """What is in a tile that was checked; a nucleus is of the class that most of its pixels have."""
    inside = tile["instances"] > 0
    number = tile["instances"][inside].astype(np.int64)
    there = np.flatnonzero(np.bincount(number, minlength=1))
    row = np.zeros(int(number.max(initial=0)) + 1, np.int64)
    row[there] = np.arange(len(there))
    votes = np.bincount(row[number] * 256 + tile["types"][inside], minlength=len(there) * 256)
    kind = votes.reshape(len(there), 256).argmax(axis=1)
    of_class = np.bincount(kind, minlength=256)[1 : classes + 1]
    return Counted(len(there), of_class, int((kind == UNKNOWN).sum()), float((tile["ignore"] != 0).mean()))


def as_json(value: Any) -> Any:
    """The same as JSON knows it: numbers of numpy as numbers, what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return as_json(value.tolist())
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON under a temporary name, then rename it."""
    made = path.with_name(f"{TEMPORARY}{path.name}")
    made.write_text(json.dumps(as_json(value), indent=1, allow_nan=False), "utf-8")
    made.replace(path)
