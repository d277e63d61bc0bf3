"""The nuclei of whole slides, found by a fitted model and written as they come."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from triptych.core import slots
from triptych.core.errors import DataError
from triptych.core.nuclei import Outlines, SegmenterModel
from triptych.core.protocols import Matrix
from triptych.maths.polygons import centroids_px
from triptych.maths.tracing import traced
from triptych.maths.window_grid import Box
from triptych.pipeline.chain import Chain, Link
from triptych.pipeline.geojson import Colour, side_px
from triptych.pipeline.nuclei_files import Batch, NucleiFiles, counts_within, write_shapes
from triptych.pipeline.study import Study
from triptych.tiles.rescaled import Rescaled
from triptych.tiles.segmented import segmented
from triptych.tiles.slide import open_slide

WORKERS: Final = 4  # windows that are looked at at once, where there are as many cores
COUNTS: Final = "obsm:nuclei_counts"  # nuclei of each type in each patch of tissue


class Slide(NamedTuple):
    """What was found in one slide.

    Attributes
    ----------
    sample
        Its section.
    batch
        All nuclei, in full-resolution pixels.
    """

    sample: str
    batch: Batch


def last_segmenter(chain: Chain) -> Link | None:
    """The link whose nuclei are the result; None where the chain finds none."""
    found = [link for link in chain.links if link.step.do == "segment"]
    return found[-1] if found else None


def find_nuclei(link: Link, study: Study, sample: str, stem: Path, *, colours: Mapping[str, Colour]) -> Slide:
    """Find the nuclei of one slide, and write polygons, a table, and shapes where SpatialData is installed.

    Parameters
    ----------
    link
        Of the chain, with its model.
    study
        That holds the slide; of one that was read as patches of tissue, only these are looked at.
    sample
        Its section.
    stem
        Files are called this and ``.nuclei.geojson``, ``.nuclei.csv``, ``.nuclei.zarr``.
    colours
        Type → red, green and blue.

    Raises
    ------
    DataError
        When the slide has no µm per pixel.
    """
    about, model = study.about.loc[sample].to_dict(), link.model
    mpp, image_scale = float(about["mpp"]), float(about["image_scale"])
    if not np.isfinite(mpp):
        raise DataError(
            f"{sample} has no µm per pixel.", "Give mpp in a study manifest, or --mpp for a slide."
        )
    scale = mpp / image_scale / link.step.mpp  # pixels of the model per pixel of the image
    picture = Rescaled(open_slide(str(about["image"])), scale)
    to_full = 1 / (scale * image_scale)
    wanted = _tissue(study, sample, 1 / to_full)
    geojson, table = (stem.with_name(f"{stem.name}.nuclei.{kind}") for kind in ("geojson", "csv"))
    with (
        NucleiFiles(geojson, table, model.classes, mpp, colours) as files,
        ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool,
    ):
        for part in segmented(picture, model, wanted=wanted, pool=pool):
            files.add(_batch(part, to_full))
        batch = files.whole()
    if len(batch) and find_spec("spatialdata"):
        write_shapes(stem.with_name(f"{stem.name}.nuclei.zarr"), batch, model.classes, mpp)
    return Slide(sample, batch)


def _batch(part: Any, to_full: float) -> Batch:
    """A part of the stitched slide in full-resolution pixels."""
    rings = traced(part.found.instances)
    px = ((rings.px + np.array([part.x0, part.y0])) * to_full).astype(np.float32)
    return Batch(Outlines(px, rings.first, rings.row), part.found.probabilities[rings.row])


def _tissue(study: Study, sample: str, scale: float) -> Callable[[Box], bool] | None:
    """Whether a box of the model's pixels meets a patch of tissue; None where the slide has no patches."""
    if study.table.n_vars or "array_col" not in study.table.obs:
        return None
    xy = np.asarray(study.array(slots.SPATIAL, sample), float)
    half = side_px(study.table, study.rows(sample), xy) / 2

    def meets(box: Box) -> bool:
        x0, y0, x1, y1 = (edge / scale for edge in (box.x0, box.y0, box.x1, box.y1))
        low, high = xy - half, xy + half
        near = (high > (x0, y0)).all(axis=1) & (low < (x1, y1)).all(axis=1)
        return bool(near.any())

    return meets


def write_counts(study: Study, slides: list[Slide], model: SegmenterModel) -> None:
    """Put the number of nuclei of each type into every patch or spot of the table, as a view."""
    names = [*model.classes, "all"]
    frame = pd.DataFrame(0.0, index=study.table.obs_names, columns=names)
    for one in slides:
        rows = study.rows(one.sample)
        xy = np.asarray(study.array(slots.SPATIAL, one.sample), float)
        frame.iloc[rows] = counted(one.batch, xy, side_px(study.table, rows, xy), len(model.classes))
    study.table.obsm[slots.Slot.parse(COUNTS).key] = frame


def counted(batch: Batch, xy: Matrix, side: float, classes: int) -> Matrix:
    """Nuclei of each type, and all of them, in squares; shape (n, classes + 1)."""
    centres = centroids_px(batch.outlines)
    every = counts_within(centres, np.zeros(len(centres)), xy, side, 1)
    kinds = batch.probabilities.argmax(axis=1) if classes and len(batch) else np.zeros(len(centres))
    return np.hstack([counts_within(centres, kinds, xy, side, classes), every]) if classes else every
