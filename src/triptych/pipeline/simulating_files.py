"""Pictures with nuclei outlined by hand: folders of ``images``, ``instances`` and perhaps ``types``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from triptych.core.checks import Faults, listing, nearest
from triptych.core.errors import DataError
from triptych.core.nuclei import Instances
from triptych.core.protocols import Codes, Pixels
from triptych.readers.pictures import JPEG, TIFF, image_size

SUFFIXES: Final = (*JPEG, ".png", *TIFF[:2])
PARTS: Final = ("images", "instances", "types")
TILE: Final = re.compile(r"(.+)_(\d+)")
ORGANS: Final = (
    "adrenal", "bile-duct", "bladder", "bowel", "brain", "breast", "cervix", "colon", "esophagus", "eye",
    "heart", "kidney", "liver", "lung", "lymph", "lymphoid", "ovary", "ovarian", "pancreas", "pleura",
    "prostate", "rectum", "skin", "spleen", "stomach", "testis", "thymus", "thyroid", "tonsil", "uterus",
)  # fmt: skip
WHITE: Final = 255  # where a group of tiles leaves a place empty


@dataclass(frozen=True)
class Section:
    """One picture, or tiles that are laid side by side into one.

    Parameters
    ----------
    id
        Its name.
    organ
        Empty when unknown.
    folder
        Name of the folder it came from.
    tiles
        For each tile the files of its image, its instances and perhaps its types.
    size_px
        Width and height of a tile.
    """

    id: str
    organ: str
    folder: str
    tiles: tuple[tuple[Path, ...], ...]
    size_px: tuple[int, int]

    @property
    def typed(self) -> bool:
        """Whether there are types."""
        return all(len(files) == len(PARTS) for files in self.tiles)


@dataclass(frozen=True, eq=False)
class Labelled:
    """A picture with its nuclei.

    Parameters
    ----------
    image
        RGB, shape (h, w, 3).
    instances
        Shape (h, w): 0 = background, 1 … n without gaps.
    types
        Code of the files of each nucleus, shape (n,), 0 = none; None where no types are there.
    """

    image: Pixels
    instances: Instances
    types: Codes | None


def sections_of(folders: Iterable[Path], organs: Mapping[str, str], *, group: bool) -> list[Section]:
    """The pictures of some folders; only headers are read.

    Parameters
    ----------
    folders
        Each with images and instances of the same stems, and perhaps types.
    organs
        Name of a folder → its organ; otherwise the text before the first ``_`` of a stem, when that is one.
    group
        Whether stems like NAME_012 are tiles of NAME.

    Raises
    ------
    DataError
        When there are no images, stems do not match, sizes differ, files are damaged, or two pictures have
        one name; all faults together.
    """
    faults, found = Faults("folders of nuclei"), []
    folders = list(folders)
    for name in organs:
        names = [folder.name for folder in folders]
        faults.check(
            name in names, f"--organ names the folder {name}, which is not there; {nearest(name, names)}"
        )
    for folder in folders:
        tiles = _tiles(folder, faults)
        found += _grouped(folder.name, tiles, organs.get(folder.name, ""), faults, group=group)
    names = [section.id for section in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults.check(not twice, f"several pictures are called {listing(twice)}")
    faults.raise_if_any(hint="Images, instances and types of one picture have one stem and one size.")
    return found


def chosen(sections: list[Section], samples: Iterable[str], held: Iterable[str]) -> list[Section]:
    """Those that are named, by id or organ, without those that are held out.

    Parameters
    ----------
    sections
        All.
    samples
        Wanted; empty for all.
    held
        Left out.

    Raises
    ------
    DataError
        When a name is of no picture and no organ, or nothing is left.
    """
    samples, held, faults = list(samples), list(held), Faults("--samples and --held")
    known = sorted({name for one in sections for name in (one.id, one.organ) if name})
    for name in (*samples, *held):
        faults.check(name in known, f"there is no picture and no organ {name}; {nearest(name, known)}")
    faults.raise_if_any()
    kept = [
        one
        for one in sections
        if (not samples or {one.id, one.organ} & set(samples)) and not {one.id, one.organ} & set(held)
    ]
    if not kept:
        raise DataError("--samples and --held leave no picture.", f"There is: {listing(known)}.")
    return kept


def load(section: Section) -> Labelled:
    """The pixels of a section; tiles are laid side by side, row by row, and share no nucleus.

    Raises
    ------
    DataError
        When a file cannot be decoded, or a picture of labels has fractions, colours or negative numbers.
    """
    width, height = section.size_px
    across = int(np.ceil(np.sqrt(len(section.tiles))))
    down = -(-len(section.tiles) // across)
    image = np.full((down * height, across * width, 3), WHITE, np.uint8)
    instances = np.zeros(image.shape[:2], np.int32)
    codes = np.zeros(image.shape[:2], np.int64)
    for number, files in enumerate(section.tiles):
        y, x = number // across * height, number % across * width
        there = np.s_[y : y + height, x : x + width]
        image[there] = _picture(files[0])
        own = _compact(_labels(files[1]))
        instances[there] = np.where(own, own + instances.max(), 0)
        if section.typed:
            codes[there] = _labels(files[2])
    return Labelled(image, instances, _majority(instances, codes) if section.typed else None)


def _tiles(folder: Path, faults: Faults) -> dict[str, tuple[tuple[Path, ...], tuple[int, int]]]:
    """Stem → files, and the size that they share."""
    by_part = {part: _stems(folder / part, faults) for part in PARTS}
    images, instances, types = by_part.values()
    if not images:
        faults.add(f"{folder} has no images: {folder / PARTS[0]} holds no {', '.join(SUFFIXES)}")
        return {}
    parts = PARTS if types else PARTS[:2]
    for part, other in ((parts[0], parts[1]), (parts[1], parts[0]), *((parts[0], one) for one in parts[2:])):
        alone = sorted(by_part[part].keys() - by_part[other].keys())
        faults.check(not alone, f"{folder.name}: {listing(alone, 3)} in {part} but not in {other}")
    shared = images.keys() & instances.keys() & (types.keys() if types else images.keys())
    found = {}
    for stem in sorted(shared):
        files = tuple(by_part[part][stem] for part in parts)
        sizes = [_size(file, faults) for file in files]
        shown = ", ".join(f"{part} {w} × {h}" for part, (w, h) in zip(parts, sizes, strict=True))
        faults.check(len(set(sizes)) == 1, f"{folder.name}: sizes of {stem} differ: {shown}")
        found[stem] = (files, sizes[0])
    return found


def _stems(folder: Path, faults: Faults) -> dict[str, Path]:
    found: dict[str, Path] = {}
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in files:
        if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
            faults.check(file.stem not in found, f"{folder} has several files {file.stem}")
            found[file.stem] = file
    return found


def _size(file: Path, faults: Faults) -> tuple[int, int]:
    try:
        return image_size(str(file))
    except DataError as error:
        faults.add(f"{file.parent.name}: {error}")
        return (0, 0)


def _grouped(
    folder: str, tiles: Mapping[str, tuple[tuple[Path, ...], tuple[int, int]]], organ: str, faults: Faults,
    *, group: bool,
) -> list[Section]:  # fmt: skip
    by_name: dict[str, list[str]] = defaultdict(list)
    for stem in tiles:
        match = TILE.fullmatch(stem) if group else None
        by_name[match[1] if match else stem].append(stem)
    found = []
    for name, stems in by_name.items():
        stems.sort(key=_place)
        sizes = {tiles[stem][1] for stem in stems}
        faults.check(len(sizes) == 1, f"{folder}: the tiles of {name} have {len(sizes)} different sizes")
        first = name.partition("_")[0].lower()
        files = tuple(tiles[stem][0] for stem in stems)
        place = organ or (first if first in ORGANS else "")
        found.append(Section(name, place, folder, files, tiles[stems[0]][1]))
    return found


def _place(stem: str) -> tuple[int, str]:
    match = TILE.fullmatch(stem)
    return (int(match[2]) if match else 0, stem)


def _read(path: Path) -> NDArray[Any]:
    try:
        if path.suffix.lower() in TIFF:
            return np.asarray(tifffile.imread(path))
        with Image.open(path) as picture:
            return np.asarray(picture)
    except (OSError, ValueError, SyntaxError, tifffile.TiffFileError, Image.DecompressionBombError) as error:
        raise DataError(
            f"The image {path} cannot be decoded ({error}).", "Copy or export it again."
        ) from error


def _picture(path: Path) -> Pixels:
    pixels = _read(path)
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.dtype != np.uint8:
        raise DataError(f"The image {path} is not RGB of 8 bits.", "Export it as RGB.")
    return pixels[:, :, :3]


def _labels(path: Path) -> NDArray[np.int64]:
    values = _read(path)
    if values.ndim != 2 or values.dtype.kind not in "iub" or values.min(initial=0) < 0:
        raise DataError(
            f"The picture of labels {path} holds no whole numbers from 0 on, one for each pixel.",
            "Write it as a grey PNG or TIFF of 8 or 16 bits.",
        )
    return values.astype(np.int64)


def _compact(values: NDArray[np.int64]) -> Instances:
    """The same nuclei as 1 … n."""
    there = np.unique(values[values > 0])
    return np.where(values > 0, np.searchsorted(there, values) + 1, 0).astype(np.int32)


def _majority(instances: Instances, codes: NDArray[np.int64]) -> Codes:
    """The code that most pixels of each nucleus have, shape (n,); 0 where none has any."""
    n, kinds = int(instances.max(initial=0)), int(codes.max(initial=0)) + 1
    inside = (instances > 0) & (codes > 0)
    pairs = (instances[inside].astype(np.int64) - 1) * kinds + codes[inside]
    table = np.bincount(pairs, minlength=n * kinds).reshape(n, kinds)
    most: Codes = table.argmax(axis=1)
    return most
