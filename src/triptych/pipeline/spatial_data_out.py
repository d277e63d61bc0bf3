"""A study of nuclei as SpatialData: pictures, outlines, transcripts, and counts, in one frame of pixels."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core import slots
from triptych.core.errors import DataError, OutputError
from triptych.core.extras import need
from triptych.core.protocols import Matrix
from triptych.maths.polygons import wkb
from triptych.pipeline.outlined import outlines_in
from triptych.pipeline.study import Study
from triptych.readers.read import reader_of
from triptych.readers.sections import About, about_of
from triptych.readers.transcripts import read_molecules
from triptych.tiles.slide import Slide, open_slide

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from triptych.readers.layouts import ReadOptions

BLOCK_PX: Final = 2048
CELLS: Final = "cells"
NUCLEI: Final = "nuclei"


def convert(data: Path, out: Path, options: ReadOptions) -> list[str]:
    """Write a study of nuclei as a SpatialData store.

    There are, for each section, the picture ``SAMPLE_image``, the outlines ``SAMPLE_nuclei`` and the
    transcripts ``SAMPLE_transcripts`` of genes, of a quality of 20 or more; and the tables ``nuclei`` and,
    where the data tell cells from nuclei, ``cells``, with raw counts. Their frame ``global`` are
    full-resolution pixels, ``um`` are micrometres.

    Parameters
    ----------
    data
        Anything that `triptych.read` takes.
    out
        The store, ``NAME.zarr``; it must not exist.
    options
        How to read.

    Returns
    -------
    Names of the elements.

    Raises
    ------
    OutputError
        When the store exists.
    DataError
        When sections have neither pictures nor outlines.
    """
    need("spatialdata", "pixels")
    if out.exists():
        raise OutputError(f"{out} exists.", "Name a store that does not, with -o.")
    reader: Any = reader_of(Path(data).expanduser().absolute(), options.reader)
    kinds = {CELLS: "cell", NUCLEI: "nucleus"} if hasattr(reader, "of") else {NUCLEI: ""}
    tables = {
        name: (type(reader)(**{**vars(reader), "of": of}) if of else reader).read(data, options)
        for name, of in kinds.items()
    }
    store = spatial_data(tables[NUCLEI], {name: one for name, one in tables.items() if name != NUCLEI})
    with warnings.catch_warnings():  # of zarr's own plans
        warnings.simplefilter("ignore", UserWarning)
        store.write(out)
    return sorted(name for _, name, _ in store.gen_elements())


def spatial_data(table: AnnData, others: Mapping[str, AnnData]) -> SpatialData:
    """A study as SpatialData; pictures stay on disk until they are written.

    Parameters
    ----------
    table
        Of nuclei.
    others
        Name → other counts of the same sections, e.g. of cells.
    """
    from spatialdata import SpatialData
    from spatialdata.models import TableModel

    study = Study(table)
    images, shapes, points = {}, {}, {}
    for sample in study.samples:
        about = about_of(study.about, sample)
        if about.image:
            images[f"{sample}_image"] = _image(about)
        if about.nucleus_boundaries:
            shapes[f"{sample}_nuclei"] = _shapes(study, sample, about)
        if about.transcripts:
            points[f"{sample}_transcripts"] = _points(table, about)
    if not images and not shapes:
        raise DataError("No section has a picture or outlines of nuclei.", "Convert a study of nuclei.")
    tables = {NUCLEI: _annotating(table, shapes)}
    tables |= {name: TableModel.parse(_plain(one)) for name, one in others.items()}
    return SpatialData(images=images, shapes=shapes, points=points, tables=tables)


def _frames(about: About) -> dict[str, Any]:
    """Full-resolution pixels, and micrometres."""
    from spatialdata.transformations import Identity, Scale

    return {"global": Identity(), "um": Scale([about.mpp, about.mpp], axes=("x", "y"))}


@lru_cache(maxsize=4)
def _opened(image: str) -> Slide:
    return open_slide(image)


def _image(about: About) -> Any:
    """The picture, block by block when it is written."""
    import dask.array as da
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import Scale, Sequence

    height, width = _opened(about.image).shape_px
    chunks = (_chunks(height), _chunks(width), (3,))

    def block(block_info: Any = None) -> Any:
        (top, bottom), (left, right), _ = block_info[None]["array-location"]
        return _opened(about.image).read(left, top, right - left, bottom - top)

    pixels = da.map_blocks(block, chunks=chunks, dtype=np.uint8).transpose(2, 0, 1)  # type: ignore[no-untyped-call,unused-ignore]
    to_full = Scale([1 / about.image_scale] * 2, axes=("x", "y"))
    frames = {name: Sequence([to_full, to]) for name, to in _frames(about).items()}
    return Image2DModel.parse(pixels, dims=("c", "y", "x"), c_coords=["r", "g", "b"], transformations=frames)


def _chunks(length: int) -> tuple[int, ...]:
    whole, rest = divmod(length, BLOCK_PX)
    return (BLOCK_PX,) * whole + ((rest,) if rest else ())


def _shapes(study: Study, sample: str, about: About) -> Any:
    """Outlines of the nuclei that have a row, by the names of their rows; the first ring of each."""
    import geopandas  # type: ignore[import-untyped,unused-ignore]
    import shapely  # type: ignore[import-untyped,unused-ignore]
    from spatialdata.models import ShapesModel

    outlines = outlines_in(study, sample)
    rows, first = np.unique(outlines.row, return_index=True)
    kept = rows >= 0
    names = study.table.obs_names[study.rows(sample)][rows[kept]]
    frame = geopandas.GeoDataFrame(geometry=shapely.from_wkb(wkb(outlines)[first[kept]]), index=names)
    return ShapesModel.parse(frame, transformations=_frames(about))


def _points(table: AnnData, about: About) -> Any:
    """Transcripts of genes in full-resolution pixels."""
    from spatialdata.models import PointsModel

    found = read_molecules(about.transcripts, table.var_names, mpp=about.mpp)
    px = _in_pixels(found.um.astype(float), about)
    gene = pd.Categorical.from_codes(found.gene, categories=table.var_names.astype(str))
    frame = pd.DataFrame({"x": px[:, 0], "y": px[:, 1], "gene": gene})
    if found.cell is not None:
        frame["cell_id"] = pd.Series(found.cell).astype(object).where(~pd.isna(found.cell), "").astype(str)
    return PointsModel.parse(
        frame, coordinates={"x": "x", "y": "y"}, feature_key="gene", transformations=_frames(about)
    )


def _in_pixels(um: Matrix, about: About) -> Matrix:
    """Micrometres of the instrument in full-resolution pixels."""
    if about.outline_matrix:
        matrix = np.array(json.loads(about.outline_matrix))
        placed: Matrix = um @ matrix[:, :2].T + matrix[:, 2]
        return placed
    return um / about.mpp


def _plain(table: AnnData) -> AnnData:
    """Counts and columns without what triptych keeps beside them."""
    return AnnData(
        X=table.layers[slots.Slot.parse(slots.COUNTS).key] if table.n_vars else None,
        obs=table.obs.copy(), var=table.var.copy(), obsm={"spatial": np.asarray(table.obsm["spatial"])},
    )  # fmt: skip


def _annotating(table: AnnData, shapes: Mapping[str, Any]) -> AnnData:
    """The table of nuclei, whose rows name the outlines that they speak of."""
    from spatialdata.models import TableModel

    plain = _plain(table)
    if not shapes:
        return TableModel.parse(plain)
    region = plain.obs["sample"].astype(str) + "_nuclei"
    plain.obs["region"] = pd.Categorical(region)
    plain.obs["outline"] = plain.obs_names.to_numpy()
    named = sorted(region.unique())
    return TableModel.parse(plain, region=named, region_key="region", instance_key="outline")
