"""Files of a folder in the layout of HEST-1k: which sections it has, and what is written about them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.readers.delimited import readable

IMAGES: Final = ("wsis", "{id}.tif")
NUCLEI: Final = ("xenium_seg", "{id}_xenium_nucleus_seg.parquet")
CELLS: Final = ("xenium_seg", "{id}_xenium_cell_seg.parquet")
TRANSCRIPTS: Final = ("transcripts", "{id}_transcripts.parquet")
METADATA: Final = ("metadata", "{id}.json")
TRUTH: Final = ("truth/instances", "{id}.tif")
NEEDED: Final = (IMAGES, NUCLEI, TRANSCRIPTS)
TABLE: Final = "HEST_v*.csv"  # one row for each section of the whole collection
SIZES: Final = (
    "pixel_size_um_estimated",
    "pixel_size",
)  # measured; what the picture's file says is often wrong
Kind = tuple[str, str]


@dataclass(frozen=True)
class HestSection:
    """Files of one section; they need not exist.

    Parameters
    ----------
    root
        The folder of the collection.
    name
        The section's id.
    """

    root: Path
    name: str

    def file(self, kind: Kind) -> Path:
        """Where a file of that kind lies."""
        folder, pattern = kind
        return self.root / folder / pattern.format(id=self.name)

    def path(self, kind: Kind) -> str:
        """Its absolute path; empty where there is none."""
        file = self.file(kind)
        return str(file.resolve()) if file.is_file() else ""

    def check(self, faults: Faults) -> bool:
        """Note which of the files that must be there are missing."""
        missing = [f"{kind[0]}/{self.file(kind).name}" for kind in NEEDED if not self.file(kind).is_file()]
        only = "; only sections of Xenium have outlines and transcripts, name those with --samples"
        return faults.check(
            not missing,
            f"the files {listing(missing)} are missing{only if f'{NUCLEI[0]}/' in ''.join(missing) else ''}",
        )

    def words(self) -> dict[str, Any]:
        """What the section's own file says, and what the table of the collection says beside.

        Raises
        ------
        DataError
            When one of them is damaged.
        """
        file = self.file(METADATA)
        own = _json(file) if file.is_file() else {}
        return _row(self.root, self.name) | {key: value for key, value in own.items() if not _absent(value)}


def ids_of(root: Path, kind: Kind) -> set[str]:
    """Sections that have a file of that kind."""
    folder, pattern = kind
    before, _, after = pattern.partition("{id}")
    return {file.name[len(before) : -len(after)] for file in (root / folder).glob(f"{before}*{after}")}


def check_shared(root: Path) -> None:
    """Check that some section has all files that must be there.

    Raises
    ------
    DataError
        Saying what there is of each kind.
    """
    ids = {kind: ids_of(root, kind) for kind in NEEDED}
    if not set.intersection(*ids.values()):
        there = "; ".join(f"{kind[0]}: {listing(sorted(found), 3)}" for kind, found in ids.items())
        raise DataError(
            f"{root}: no section has an image, outlines of nuclei and transcripts ({there}).",
            f"Files are called alike by the section's id: {', '.join('/'.join(kind) for kind in NEEDED)}.",
        )


def pixel_um(words: dict[str, Any], section: HestSection) -> float:
    """Micrometres per pixel of the section's picture.

    Raises
    ------
    DataError
        When nothing says it, or it is no length.
    """
    name = next((name for name in SIZES if not _absent(words.get(name))), "")
    if not name:
        raise DataError(
            f"nothing says how large a pixel is: neither {METADATA[0]}/{section.name}.json nor a table "
            f"{TABLE} has {' or '.join(SIZES)}; there is {listing(words)}"
        )
    value = words[name]
    try:
        size = float(value)
    except (TypeError, ValueError):
        size = math.nan
    if isinstance(value, bool) or not 0 < size < math.inf:
        raise DataError(f"{name} of the section is {value!r}, not micrometres per pixel")
    return size


def text_of(words: dict[str, Any], name: str) -> str:
    """A word as text, empty where it is missing."""
    value = words.get(name)
    return "" if _absent(value) else str(value).strip()


def _absent(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _json(path: Path) -> dict[str, Any]:
    with readable(path):
        text = path.read_text(encoding="utf-8-sig")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"the file {path.name} is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise DataError(f"the file {path.name} has no names and values")
    return found


def _row(root: Path, name: str) -> dict[str, Any]:
    """The section's row in the newest table of the collection."""
    tables = sorted(root.glob(TABLE))
    if not tables:
        return {}
    with readable(tables[-1]):
        try:
            frame = pd.read_csv(tables[-1], dtype={"id": str, "patient": str})
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise DataError(f"the file {tables[-1].name} is no table ({error})") from error
    rows = frame[frame["id"] == name] if "id" in frame else frame[:0]
    return {str(key): value for key, value in rows.iloc[0].items()} if len(rows) else {}
