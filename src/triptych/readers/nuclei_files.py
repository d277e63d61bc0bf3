"""Files of a folder of labelled pictures: which belong together, and the tables beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.readers.delimited import find, need_columns, read_frame
from triptych.readers.label_pictures import FORMATS
from triptych.readers.pictures import JPEG, TIFF
from triptych.readers.slide_scale import said_mpp

IMAGES, INSTANCES, TYPES = "images", "instances", "types"
PICTURES: Final = (*JPEG, ".png", ".tif", ".tiff")
SHOWN: Final = 3
ORGANS: Final = (
    "adrenal", "bladder", "bowel", "brain", "breast", "cervix", "colon", "esophagus", "eye", "heart",
    "kidney", "liver", "lung", "lymph", "oesophagus", "ovary", "pancreas", "placenta", "prostate",
    "rectum", "skin", "spleen", "stomach", "testis", "thymus", "thyroid", "tonsil", "uterus",
)  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """One picture with its labels.

    Parameters
    ----------
    image, instances
        The picture and that of the numbers of its nuclei.
    types
        A picture of the codes of types by pixel; None where there is none.
    donor, organ
        As the table says; the organ may also be the beginning of the name. Empty when unknown.
    mpp
        Micrometres per pixel; NaN when nothing says it.
    """

    image: Path
    instances: Path
    types: Path | None
    donor: str
    organ: str
    mpp: float


def pictures(folder: Path, endings: tuple[str, ...] = PICTURES) -> dict[str, list[Path]]:
    """Pictures by the name of the file without its ending, sorted."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix.lower() in endings and file.is_file():
            found.setdefault(file.stem, []).append(file)
    return found


def labelled(root: Path, names: list[str], mpp: float, faults: Faults) -> dict[str, Labelled]:
    """The files of some samples.

    Parameters
    ----------
    root
        The folder.
    names
        Of the samples.
    mpp
        That the user gives, which goes before ``samples.csv``, which goes before the picture's file; 0 for
        none.
    faults
        Receives what is missing, there twice, or unknown.

    Returns
    -------
    Of the samples without faults.
    """
    images, instances = pictures(root / IMAGES), pictures(root / INSTANCES, FORMATS)
    types = pictures(root / TYPES, FORMATS)
    for folder, found in ((IMAGES, images), (INSTANCES, instances), (TYPES, types)):
        twice = [name for name in names if len(found.get(name, ())) > 1]
        faults.check(not twice, f"{folder}/ has several files of the name {listing(twice, SHOWN)}; keep one")
    _check_pairs(images, instances, types, faults)
    table = _samples(root, images, faults)
    made = {
        name: Labelled(
            images[name][0],
            instances[name][0],
            types[name][0] if name in types else None,
            _text(table, name, "donor"),
            _text(table, name, "organ") or _organ(name),
            mpp or _said(table, name, images[name][0], faults),
        )
        for name in names
        if name in instances
    }
    silent = [name for name, one in made.items() if not one.mpp > 0]
    faults.check(
        not silent,
        f"{len(silent)} of {len(made)} pictures do not say how large their pixels are: "
        f"{listing(silent, SHOWN)}; give it with --mpp, or in a column mpp of samples.csv",
    )
    return made


def names_of_classes(root: Path) -> dict[int, str] | None:
    """Name of each code of a type from ``classes.csv``; None where there is no such file.

    Raises
    ------
    DataError
        When the file is damaged, has not the columns code and name, or a code twice or that is no number.
    """
    file = find(root, "classes")
    if file is None:
        return None
    frame = read_frame(file, index=False)
    need_columns(frame, ("code", "name"), file)
    code = pd.to_numeric(frame["code"], errors="coerce")
    if not (code % 1 == 0).all() or not code.is_unique:
        raise DataError(
            f"the codes of {file.name} are not different whole numbers: {listing(frame['code'].astype(str))}"
        )
    known = frame["name"].notna()
    return dict(
        zip(code[known].astype(int).tolist(), frame["name"][known].astype(str).str.strip(), strict=True)
    )


def _check_pairs(
    images: dict[str, list[Path]],
    instances: dict[str, list[Path]],
    types: dict[str, list[Path]],
    faults: Faults,
) -> None:
    for folder, these, others, names in (
        (INSTANCES, images, instances, "pictures of images/ have none of their name"),
        (IMAGES, instances, images, "pictures of instances/ have none of their name"),
        (IMAGES, types, images, "pictures of types/ have none of their name"),
        (TYPES, images if types else {}, types, "pictures of images/ have none of their name"),
    ):
        alone = [name for name in these if name not in others]
        faults.check(not alone, f"{len(alone)} {names} in {folder}/: {listing(alone, SHOWN)}")


def _samples(root: Path, images: dict[str, list[Path]], faults: Faults) -> pd.DataFrame:
    """What ``samples.csv`` says, indexed by sample; nothing where there is none."""
    file = find(root, "samples")
    if file is None:
        return pd.DataFrame()
    try:
        frame = read_frame(file, index=False)
        need_columns(frame, ("sample",), file)
    except DataError as error:
        faults.add(error.message)
        return pd.DataFrame()
    frame = frame.set_index(frame["sample"].astype(str).str.strip())
    twice, unknown = frame.index[frame.index.duplicated()], [n for n in frame.index if n not in images]
    faults.check(not unknown, f"{file.name} names samples that have no picture: {listing(unknown, SHOWN)}")
    faults.check(not len(twice), f"{file.name} names samples more than once: {listing(twice, SHOWN)}")
    return frame[~frame.index.duplicated()]


def _text(table: pd.DataFrame, name: str, column: str) -> str:
    if column not in table or name not in table.index:
        return ""
    value: Any = table.loc[name, column]
    return "" if pd.isna(value) else str(value).strip()


def _said(table: pd.DataFrame, name: str, image: Path, faults: Faults) -> float:
    """Micrometres per pixel as the table or the picture's file says it, NaN when neither does."""
    text = _text(table, name, "mpp")
    if text:
        value = float(pd.to_numeric(text, errors="coerce"))
        good = faults.check(
            0 < value < np.inf, f"the mpp of {name} in samples.csv is {text}, not micrometres"
        )
        return value if good else np.inf
    try:
        sides = said_mpp(image) if image.suffix.lower() in TIFF else None
    except DataError as error:
        faults.add(error.message)
        return np.inf
    return float(np.sqrt(sides[0] * sides[1])) if sides else np.nan


def _organ(name: str) -> str:
    before = name.partition("_")[0].lower()
    return before if before in ORGANS else ""
