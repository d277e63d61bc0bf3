"""A folder of pictures with labelled nuclei: the rows are nuclei, and there are no genes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.nuclei import Instances
from triptych.core.protocols import Codes
from triptych.core.slots import UNS
from triptych.readers.door import admit
from triptych.readers.joining import choose
from triptych.readers.label_pictures import label_picture
from triptych.readers.layouts import SCHEMA, ReadOptions
from triptych.readers.nuclei_files import IMAGES, INSTANCES, Labelled, labelled, names_of_classes, pictures
from triptych.readers.pictures import image_size
from triptych.readers.sections import About, about_frame


@dataclass(frozen=True)
class NucleiFolder:
    """``images/NAME.*`` and ``instances/NAME.png`` or ``.tif``: a sample is one picture, a row one nucleus.

    A picture of instances holds the number of a nucleus in each of its pixels and 0 elsewhere. Where there is
    ``types/NAME.png``, the truth of a nucleus is what most of its pixels there are; ``classes.csv`` (code,
    name) names the codes, and a code without a name is not known; without that file the codes are the names.
    ``samples.csv`` may tell the donor, the organ and the mpp of a sample. The organ is else what stands
    before the first «_» of the name, where that is an organ; the donor is else the sample.
    """

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""
    measured: ClassVar[bool] = True

    def recognises(self, path: Path) -> bool:
        """Whether the folder holds images and instances."""
        return (path / IMAGES).is_dir() and (path / INSTANCES).is_dir()

    def samples(self, path: Path) -> list[str]:
        """Names of the pictures without their endings."""
        return list(pictures(path / IMAGES))

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Read the samples asked for.

        Raises
        ------
        DataError
            With every fault of every sample.
        """
        faults = Faults(str(path))
        names = choose(self.samples(path), options, str(path))
        files = labelled(path, names, options.mpp, faults)
        try:
            classes = names_of_classes(path)
        except DataError as error:
            faults.add(error.message)
            classes = None
        frames = {
            name: frame for name in files if (frame := _nuclei(files[name], classes, faults)) is not None
        }
        faults.raise_if_any()
        empty = [name for name in files if not len(frames[name])]
        _tell_empty(empty, len(files), str(path))
        full = {name: frames[name] for name in files if name not in set(empty)}
        return admit(_table(full, {name: files[name] for name in full}), options, str(path))


def _nuclei(files: Labelled, classes: dict[int, str] | None, faults: Faults) -> pd.DataFrame | None:
    """Number, place in pixels, area in pixels and perhaps type of each nucleus of a picture."""
    try:
        size = image_size(str(files.image))
        labels = label_picture(files.instances)
        types = None if files.types is None else label_picture(files.types)
    except DataError as error:
        faults.add(f"{files.image.stem}: {error.message}")
        return None
    for folder, picture in (("instances", labels), ("types", types)):
        if picture is not None and picture.shape != size[::-1]:
            faults.add(
                f"{files.image.stem}: the picture of {folder} has {picture.shape[1]} × {picture.shape[0]} "
                f"px, the image {size[0]} × {size[1]}"
            )
            return None
    row, column = np.nonzero(labels)
    number, code = np.unique(labels[row, column], return_inverse=True)
    area = np.bincount(code, minlength=len(number))
    centre = {
        axis: np.bincount(code, at + 0.5, len(number)) / area for axis, at in (("x", column), ("y", row))
    }
    frame = pd.DataFrame({"instance": number, "area_px": area, **centre})
    if types is not None:
        frame["truth"] = _majority(code, types[row, column], len(number), classes)
    return frame


def _majority(
    nucleus: Codes, types: Instances, number: int, classes: dict[int, str] | None
) -> list[str | None]:
    """The type of most typed pixels of each nucleus, of several the lowest code; None = not known."""
    typed = types > 0
    kinds, kind = np.unique(types[typed], return_inverse=True)
    width = max(len(kinds), 1)
    votes = np.bincount(nucleus[typed] * width + kind, minlength=number * width).reshape(number, width)
    names = [str(code) if classes is None else classes.get(int(code)) for code in kinds]
    best = np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
    return [names[at] if at >= 0 else None for at in best]


def _tell_empty(empty: list[str], number: int, where: str) -> None:
    if number and len(empty) == number:
        raise DataError(
            f"{where}: none of the {number} pictures has a nucleus.", "Check the folder instances."
        )
    if empty:
        warnings.warn(
            f"{len(empty)} of {number} pictures have no nucleus and are left out: {listing(empty, 5)}.",
            TriptychWarning,
            stacklevel=3,
        )


def _table(frames: dict[str, pd.DataFrame], files: dict[str, Labelled]) -> AnnData:
    """All nuclei of all samples."""
    whole = pd.concat(frames, names=["sample", "row"]).reset_index("sample")
    sample = whole["sample"].astype(str)
    mpp = sample.map({name: one.mpp for name, one in files.items()}).to_numpy(float)
    number = whole["instance"].astype(str)
    ids = pd.Index(number if len(frames) == 1 else sample + "_" + number, name=None)
    donors = {name: one.donor or name for name, one in files.items()}
    obs = pd.DataFrame(
        {
            "sample": sample.to_numpy(),
            "donor": sample.map(donors).to_numpy(),
            "instance": whole["instance"].to_numpy(np.int64),
            "area_um2": whole["area_px"].to_numpy() * mpp**2,
        },
        index=ids,
    )
    if "truth" in whole:
        obs["truth"] = whole["truth"].to_numpy(object)
    px = whole[["x", "y"]].to_numpy(float)
    table = AnnData(obs=obs, obsm={"spatial": px, "spatial_um": px * mpp[:, None]})
    about = about_frame({name: _about(one, donors[name]) for name, one in files.items()})
    table.uns[UNS] = {"schema": SCHEMA, "truth_column": "", "samples": about}
    return table


def _about(files: Labelled, donor: str) -> About:
    return About(
        donor=donor,
        image=str(files.image.resolve()),
        mpp=files.mpp,
        nuclei=str(files.instances.resolve()),
        organ=files.organ,
    )
