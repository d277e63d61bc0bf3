"""The files of a Xenium bundle: where they are and what they are called, and the experiment's own words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from triptych.core.checks import listing
from triptych.core.errors import DataError, MissingExtraError
from triptych.readers.delimited import ENDINGS, readable
from triptych.readers.long_tables import columns_of, table_file
from triptych.readers.xenium_stains import images_of

EXPERIMENT: Final = "experiment.xenium"
MATRIX: Final = "cell_feature_matrix"
HE: Final = ("*he_image*.ome.tif", "*he_image*.ome.tiff")
ALIGNMENT: Final = "*he_image*alignment*.csv"
NOTES: Final = ("cell_types{end}", "*annotation*{end}")  # tables of labels that a user puts beside
CENTROIDS: Final = ("x_centroid", "y_centroid")
PLACES: Final = ("feature_name", "x_location", "y_location")


@dataclass(frozen=True)
class Bundle:
    """Files of one region; None for what is not there.

    Parameters
    ----------
    folder
        That holds them.
    experiment, cells, transcripts, cell_boundaries, nucleus_boundaries
        Files of the output folder.
    morphology
        The instrument's own images.
    matrix
        ``cell_feature_matrix.h5``, else the folder of that name.
    he, alignments, notes
        What is put beside: stained images, matrices from their pixels to those of the morphology image,
        tables of labels. More than one is for the reader to refuse.
    """

    folder: Path
    experiment: Path | None
    cells: Path | None
    matrix: Path | None
    transcripts: Path | None
    cell_boundaries: Path | None
    nucleus_boundaries: Path | None
    morphology: tuple[Path, ...]
    he: tuple[Path, ...]
    alignments: tuple[Path, ...]
    notes: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> Bundle:
        """Look which files are there."""
        matrices = (folder / f"{MATRIX}.h5", folder / MATRIX)
        stems = ("cells", "transcripts", "cell_boundaries", "nucleus_boundaries")
        return cls(
            folder=folder,
            experiment=_first(folder / EXPERIMENT),
            matrix=_first(*matrices),
            morphology=images_of(folder),
            he=_all(folder, HE),
            alignments=tuple(
                file for file in _all(folder, (ALIGNMENT,)) if "keypoint" not in file.name.lower()
            ),
            notes=_all(folder, tuple(name.format(end=end) for name in NOTES for end in ENDINGS)),
            **{stem: table_file(folder, stem) for stem in stems},
        )


def bundles(path: Path) -> dict[str, Path]:
    """Name of each sample → the folder that holds it: the path, its ``outs``, or folders in it.

    A sample is called by its region, else by its run, if that is a name of its own among the others, else
    by its folder.
    """
    if not path.is_dir():
        return {}
    own = _outs(path)
    folders = [own] if own is not None else [
        found for child in sorted(path.iterdir()) if child.is_dir() and (found := _outs(child)) is not None
    ]  # fmt: skip
    return dict(zip(_names(folders), folders, strict=True))


def _outs(path: Path) -> Path | None:
    return next((folder for folder in (path, path / "outs") if is_bundle(folder)), None)


def is_bundle(folder: Path) -> bool:
    """Whether there is an experiment, or a table of cells or transcripts with Xenium's columns."""
    if (folder / EXPERIMENT).is_file():
        return True
    return _has(table_file(folder, "cells"), CENTROIDS) or _has(table_file(folder, "transcripts"), PLACES)


def _has(path: Path | None, columns: tuple[str, ...]) -> bool:
    if path is None:
        return False
    try:
        return set(columns) <= set(columns_of(path))
    except (DataError, MissingExtraError):
        return path.suffix == ".parquet"  # Xenium's name for it; reading will tell what is wrong


def _names(folders: list[Path]) -> list[str]:
    """Distinct names, the first kind of them that is distinct."""
    plain = [(f.parent if f.name == "outs" else f).resolve().name for f in folders]
    words = [_words(folder) for folder in folders]
    for key in ("region_name", "run_name"):
        names = [str(found.get(key) or "").strip() for found in words]
        if all(names) and len(set(names)) == len(names):
            return names
    return plain


def _words(folder: Path) -> dict[str, Any]:
    try:
        return experiment(folder / EXPERIMENT)
    except DataError:
        return {}


def experiment(path: Path) -> dict[str, Any]:
    """What ``experiment.xenium`` says.

    Raises
    ------
    DataError
        When it is missing or no JSON of names and values.
    """
    with readable(path):
        text = path.read_text(encoding="utf-8-sig")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"the file {path.name} is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise DataError(f"the file {path.name} has no names and values")
    return found


def pixel_um(path: Path) -> float:
    """Micrometres per pixel of the morphology image: ``pixel_size``.

    Raises
    ------
    DataError
        When the file has no such key, or its value is no length.
    """
    found = experiment(path)
    if "pixel_size" not in found:
        raise DataError(f"the file {path.name} has no key pixel_size; it has {listing(found)}")
    size = found["pixel_size"]
    if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < float("inf"):
        raise DataError(f"pixel_size of {path.name} is {size!r}, not micrometres per pixel")
    return float(size)


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.exists()), None)


def _all(folder: Path, patterns: tuple[str, ...]) -> tuple[Path, ...]:
    return tuple(sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}))
