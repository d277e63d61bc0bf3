"""What lies beside the table, in files: the image of a section, its stains, its single transcripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from triptych.core import slots
from triptych.pipeline import identity


class Beside(NamedTuple):
    """A kind of file.

    Attributes
    ----------
    column
        Of the table of samples, that names the files; empty where a sample has none.
    missing
        How to say that there is none.
    hint
        What to do then.
    """

    column: str
    missing: str
    hint: str


BESIDE: Final = {
    slots.IMAGE: Beside(
        "image",
        "is no image",
        "Put the images beside the data, choose the samples that have one with --samples, "
        "or take a recipe without an image view, e.g. cross-sample-genes.",
    ),
    slots.STAINS: Beside(
        "stains",
        "are no stains",
        "Put the instrument's images beside its tables, or name them in a study manifest: "
        "stains: {DAPI: dapi.tif}.",
    ),
    slots.OUTLINES: Beside(
        "nucleus_boundaries",
        "are no outlines of nuclei",
        "Bring sections with outlines or known labels of nuclei: a Xenium bundle, a HEST folder, or a folder "
        "with images and instances.",
    ),
    slots.MOLECULES: Beside(
        "transcripts",
        "are no single transcripts",
        "Put the instrument's table of transcripts beside its counts, or name it in a study manifest: "
        "transcripts: FILE.",
    ),
}


def without(slot: str, about: pd.DataFrame) -> list[str]:
    """The samples that lack such a file.

    Parameters
    ----------
    slot
        One of `BESIDE`.
    about
        One row per sample.
    """
    column = BESIDE[slot].column
    if column not in about:  # written by an older version
        return [str(name) for name in about.index]
    lacks = about[column].astype(str) == ""
    if slot == slots.OUTLINES and "nuclei" in about:  # a picture of labels serves too
        lacks &= about["nuclei"].astype(str) == ""
    return [str(name) for name in about.index[lacks]]


def digest(slot: str, about: Mapping[str, Any]) -> str:
    """Identity of the files of one sample: their bytes, and how their pixels relate to the places.

    Parameters
    ----------
    slot
        One of `BESIDE`.
    about
        The sample's row.
    """
    named = str(about[BESIDE[slot].column])
    if slot == slots.STAINS:
        files = {name: _file(path) for name, path in json.loads(named).items()}
        return identity.of_json([files, str(about["stain_matrix"])])
    if slot == slots.OUTLINES:
        beside = (
            str(Path(str(about.get("nuclei", ""))).with_suffix(".types.csv")) if about.get("nuclei") else ""
        )
        lies = [named, str(about.get("nuclei", "")), beside]
        digests = [_file(one) for one in lies if one and Path(one).exists()]
        return identity.of_json([digests, str(about.get("outline_matrix", "")), float(about["mpp"])])
    if slot == slots.MOLECULES:
        return identity.of_json([*_file(named), str(about.get("stain_matrix", "")), float(about["mpp"])])
    return identity.of_json([*_file(named), [float(about["mpp"]), float(about["image_scale"])]])


def _file(reference: str) -> tuple[str, str]:
    """Digest of the file of a reference, and what the reference names inside it."""
    path, _, part = reference.partition("::")
    return identity.of_file(Path(path)), part
