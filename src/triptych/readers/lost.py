"""Files that a table names and that are no longer there."""

from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad

from triptych.core.checks import listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.slots import UNS
from triptych.readers.pictures import STORE
from triptych.readers.sections import About
from triptych.readers.stains import stains_of


def without_lost_files(table: ad.AnnData) -> ad.AnnData:
    """A table may outlive its files or move to another machine; then it says so and has none."""
    about = table.uns[UNS]["samples"].copy()
    if "image" not in about:
        return table  # the door tells
    lost: list[str] = []
    for column in (name for name in ("image", "stains", "transcripts") if name in about):
        about[column] = about[column].fillna("").astype(str)
        gone = {text: files for text in set(about[column]) if (files := _lost(column, text))}
        about[column] = about[column].where(~about[column].isin(list(gone)), "")
        lost += sorted({file for files in gone.values() for file in files})
    if lost:
        warnings.warn(
            f"Files of this table are no longer there: {listing(lost, 3)}.", TriptychWarning, stacklevel=2
        )
    table.uns[UNS] = {**table.uns[UNS], "samples": about}
    return table


def _lost(column: str, text: str) -> list[str]:
    """Files that are named but not there."""
    named = [text] if text else []
    if column == "stains":
        try:
            named = list(stains_of(About(stains=text)).values())
        except DataError:
            return []  # the door tells
    return [file for file in named if not Path(file.partition(STORE)[0]).exists()]
