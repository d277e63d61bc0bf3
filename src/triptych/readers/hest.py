"""A folder in the layout of HEST-1k: sections of Xenium with their H&E, nuclei as rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData
from numpy.typing import NDArray

from triptych.core.checks import Faults
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Matrix
from triptych.maths.polygons import areas_px, centroids_px
from triptych.readers.hest_counts import NucleusTally, Outside, tell_outside
from triptych.readers.hest_files import (
    CELLS,
    IMAGES,
    METADATA,
    NUCLEI,
    TRANSCRIPTS,
    TRUTH,
    HestSection,
    check_shared,
    ids_of,
    pixel_um,
    text_of,
)
from triptych.readers.joining import choose, gather
from triptych.readers.label_pictures import label_picture, types_beside
from triptych.readers.layouts import ReadOptions
from triptych.readers.outline_files import RingFile, read_rings
from triptych.readers.outlines import OUTSIDE, beside
from triptych.readers.pictures import image_size
from triptych.readers.sections import About, section
from triptych.readers.xenium_counts import QUALITY, Of

Value = TypeVar("Value")
TYPES: Final = ".types.csv"  # beside a picture of labels


@dataclass(frozen=True)
class Hest:
    """``wsis/ID.tif``, ``xenium_seg/ID_xenium_nucleus_seg.parquet``, ``transcripts/ID_transcripts.parquet``.

    Rows are nuclei with an outline; outlines and transcripts are in pixels of the picture. Only transcripts
    of genes are counted, not of controls. The size of a pixel, organ and patient are read from
    ``metadata/ID.json``, else from ``HEST_v….csv``. The spots of ``st/ID.h5ad`` are not read: for Xenium
    they are squares of 100 µm. Where there is ``truth/instances/ID.tif``, a picture of labels, obs:instance
    is the number of a nucleus in it, if its id is that number, and ``ID.types.csv`` beside (instance, type)
    tells its truth. Genes of the ``panel`` that ``metadata/ID.json`` may list, and that
    have no transcript, count 0.

    Parameters
    ----------
    quality
        Smallest quality value (qv) of a transcript that is counted.
    of
        ``nucleus`` counts what lies inside the outline; ``cell`` what the instrument gave to the cell.
    """

    quality: float = QUALITY
    of: Of = "nucleus"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.48550/arXiv.2406.16192"

    def __post_init__(self) -> None:
        if not self.quality >= 0:  # nor what is no number
            raise ValueError(f"quality must not be negative, got {self.quality:g}")

    def recognises(self, path: Path) -> bool:
        """Whether the folder has pictures of slides, and outlines, transcripts or words about them."""
        others = (NUCLEI[0], TRANSCRIPTS[0], METADATA[0], "st")
        return (path / IMAGES[0]).is_dir() and any((path / name).is_dir() for name in others)

    def samples(self, path: Path) -> list[str]:
        """Ids of the sections that have any of the files."""
        return sorted(ids_of(path, IMAGES) | ids_of(path, NUCLEI) | ids_of(path, TRANSCRIPTS))

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Read the samples asked for.

        Raises
        ------
        DataError
            With every fault of every sample.
        MissingExtraError
            When there is no pyarrow or no shapely.
        """
        names = choose(self.samples(path), options, str(path))
        check_shared(path)
        outside: list[Outside] = []

        def one(name: str, faults: Faults) -> AnnData:
            return self._section(HestSection(path, name), faults, outside)

        table = gather(names, one, options, str(path))
        tell_outside(outside)
        return table

    def _section(self, files: HestSection, faults: Faults, outside: list[Outside]) -> AnnData:
        there = files.check(faults)
        about = _try(lambda: _about(files), faults)
        truth = _try(lambda: _truth(files), faults) if there else None
        found = _try(lambda: _nuclei(files), faults) if there else None
        tally = _try(lambda: self._tally(files, found), faults) if found is not None else None
        if about is None or found is None or tally is None or truth is None:
            raise DataError(faults.found.pop())
        words = files.words()
        genes = with_panel(tally.genes, words.get("panel"))
        obs, px = _cells(found, about.mpp)
        inside = ~beside(px, px, about)
        outside.append(Outside(files.name, tally.outside, tally.good, _check_inside(inside), len(inside)))
        obs, px, counts = obs[inside], px[inside], tally.rows(found.ids)[np.flatnonzero(inside)]
        unseen = sp.csr_matrix((counts.shape[0], len(genes) - counts.shape[1]), dtype=counts.dtype)
        obs = obs.join(_known(obs.index, *truth))
        places = {"spatial": px, "spatial_um": px * about.mpp}
        return section(
            files.name, sp.hstack([counts, unseen], format="csr"), obs=obs, genes=pd.DataFrame(index=genes),
            obsm=places, about=about,
        )  # fmt: skip

    def _tally(self, files: HestSection, found: RingFile) -> NucleusTally:
        tally = NucleusTally(found, image_size(files.path(IMAGES)), self.quality)
        tally.read(files.file(TRANSCRIPTS), self.of)
        return tally


def with_panel(genes: pd.Index, panel: Any) -> pd.Index:
    """The genes that were counted, then those of the panel of which a section has no transcript.

    Without them sections would seem to have been measured on other genes, and only those that all sections
    happen to show would be kept.
    """
    genes = genes.astype(str)
    named = [str(gene) for gene in panel] if isinstance(panel, list) else []
    return pd.Index([*genes, *(gene for gene in dict.fromkeys(named) if gene not in set(genes))], dtype=str)


def _about(files: HestSection) -> About:
    words = files.words()
    truth = files.path(TRUTH)
    return About(
        donor=text_of(words, "patient"),
        image=files.path(IMAGES),
        mpp=pixel_um(words, files),
        transcripts=files.path(TRANSCRIPTS),
        cell_boundaries=files.path(CELLS),
        nucleus_boundaries=files.path(NUCLEI),
        nuclei=truth,
        organ=text_of(words, "organ"),
    )


def _nuclei(files: HestSection) -> RingFile:
    """The outlines of the section; says how many are none."""
    found = read_rings(files.file(NUCLEI))
    if found.flat:
        warnings.warn(
            f"{files.name}: {found.flat} outlines of {files.file(NUCLEI).name} have fewer than three "
            "distinct points and are left out.",
            TriptychWarning,
            stacklevel=2,
        )
    return found


def _cells(found: RingFile, mpp: float) -> tuple[pd.DataFrame, Matrix]:
    """Id and area of each nucleus, and its centroid in pixels, shape (n, 2), parts weighed by area."""
    row, number = found.outlines.row, len(found.ids)
    area, centre = areas_px(found.outlines), centroids_px(found.outlines)
    weight = np.maximum(area, np.finfo(float).tiny)  # a line without area has a place all the same
    total = np.bincount(row, weight, number)
    px = np.column_stack([np.bincount(row, weight * centre[:, axis], number) for axis in range(2)])
    obs = pd.DataFrame({"cell_id": found.ids, "area_um2": np.bincount(row, area, number) * mpp**2})
    return obs.set_axis(found.ids, axis=0), px / total[:, None]


def _check_inside(inside: NDArray[np.bool_]) -> int:
    """How many nuclei lie outside the picture.

    Raises
    ------
    DataError
        When they are too many.
    """
    number = int(np.sum(~inside))
    if number > OUTSIDE * len(inside):
        raise DataError(
            f"{number} of {len(inside)} nuclei lie outside the image: the outlines must be in its pixels, at "
            "full resolution"
        )
    return number


def _truth(files: HestSection) -> tuple[pd.Index, dict[int, str]]:
    """Numbers in the picture of labels and the known types of some of them; nothing where there is none."""
    if not files.path(TRUTH):
        return pd.Index([], dtype=np.int64), {}
    picture = files.file(TRUTH)
    labels, size = label_picture(picture), image_size(files.path(IMAGES))
    if labels.shape != size[::-1]:
        raise DataError(
            f"the picture of labels {picture.name} has {labels.shape[1]} × {labels.shape[0]} px, the image "
            f"{size[0]} × {size[1]}"
        )
    types = picture.with_name(f"{files.name}{TYPES}")
    return pd.Index(np.unique(labels[labels > 0])), types_beside(types) if types.is_file() else {}


def _known(ids: pd.Index, numbers: pd.Index, types: dict[int, str]) -> pd.DataFrame:
    """Number in the picture of labels and type of each nucleus, missing where its id is no such number."""
    if not len(numbers):
        return pd.DataFrame(index=ids)
    number = pd.Series(numbers, index=numbers.astype(str)).reindex(ids).astype("Int64")
    number = number if number.isna().any() else number.astype(np.int64)
    return pd.DataFrame({"instance": number, "truth": number.astype(object).map(types)}, index=ids)


def _try(read: Callable[[], Value], faults: Faults) -> Value | None:
    try:
        return read()
    except DataError as error:
        faults.add(error.message)
        return None
