"""Nuclei of whole slides: found at the model's resolution, told in full-resolution pixels."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage as ndi

from triptych.core.nuclei import Found
from triptych.pipeline.recipe import parse
from triptych.pipeline.slide_nuclei import COUNTS, counted, find_nuclei, last_segmenter, write_counts
from triptych.pipeline.study import Study
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read

from ..journeys.nuclei_study import Painted  # noqa: TID252


class Dark:
    """Finds dark discs; those in the left half of a window are of the first class by a little."""

    classes, mpp, halo_px, multiple_px = ("a", "b"), 0.25, 32, 16

    def segment(self, window):
        instances, n = ndi.label(window.mean(axis=2) < 150)
        size = np.bincount(instances.ravel(), minlength=n + 1)
        small = size < 40  # specks of noise
        small[0] = False
        renumbered = np.cumsum(~small) - 1
        renumbered[small] = 0
        instances = renumbered[instances].astype(np.int32)
        chance = np.tile(np.array([[0.6, 0.4]], np.float32), (int(instances.max()), 1))
        return Found(instances, chance)


def link(model, mpp=0.25):
    step = parse(
        f'name: s\nsteps:\n  - {{do: segment, use: unet-hv, mpp: {mpp}, to: "nuclei:x"}}\n', "s"
    ).steps[0]
    return SimpleNamespace(step=step, model=model)


def slide(folder, mpp, side=256):
    one = Painted("L1", "Lung", "D9", side_px=side, mpp=mpp)
    tifffile.imwrite(folder / "slide.tif", one.picture())
    return one, Study(read(folder / "slide.tif", ReadOptions(mpp=mpp, pitch_um=16)))


@pytest.mark.parametrize(("mpp", "side"), [(0.25, 256), (0.5, 160)])
def test_every_nucleus_is_found_once_where_it_lies(tmp_path, mpp, side):
    one, study = slide(tmp_path, mpp, side)
    (sample,) = study.samples
    found = find_nuclei(link(Dark()), study, sample, tmp_path / "out", colours={})
    centres, radii, _ = one.nuclei()
    table = pd.read_csv(tmp_path / "out.nuclei.csv", index_col="id")
    assert len(table) == len(centres) == len(found.batch)
    for (x, y), r in zip(centres, radii, strict=True):
        apart = np.hypot(table["x_px"] - x, table["y_px"] - y)
        assert apart.min() < 1
        assert table.loc[apart.idxmin(), "area_um2"] == pytest.approx(np.pi * (r * mpp) ** 2, rel=0.2)
    assert len(json.loads((tmp_path / "out.nuclei.geojson").read_text())["features"]) == len(table)


def test_nuclei_are_counted_by_patch_of_tissue(tmp_path):
    one, study = slide(tmp_path, 0.25)
    (sample,) = study.samples
    found = find_nuclei(link(Dark()), study, sample, tmp_path / "out", colours={})
    write_counts(study, [found], Dark())
    frame = study.table.obsm[COUNTS.partition(":")[2]]
    assert list(frame.columns) == ["a", "b", "all"]
    xy = np.asarray(study.array("obsm:spatial", sample))
    centres = one.nuclei()[0]
    half = 16 / 0.25 / 2
    naive = [(np.abs(centres - at) <= half).all(axis=1).sum() for at in xy]
    assert np.abs(frame["all"].to_numpy() - naive).sum() <= 2  # a centre may lie within a pixel of a side
    assert np.array_equal(frame["a"] + frame["b"], frame["all"])


def test_without_types_only_all_are_counted():
    from triptych.core.nuclei import Outlines
    from triptych.pipeline.nuclei_files import Batch

    ring = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], np.float32)
    batch = Batch(Outlines(ring, np.array([0, 4]), np.array([0])), np.empty((1, 0), np.float32))
    assert counted(batch, np.array([[1.0, 1.0], [9.0, 9.0]]), 4, 0).tolist() == [[1], [0]]


def test_the_last_segmenter_of_a_chain_is_the_one_that_counts():
    chain = SimpleNamespace(links=[link(1), SimpleNamespace(step=SimpleNamespace(do="encode")), link(2)])
    assert last_segmenter(chain).model == 2
    assert last_segmenter(SimpleNamespace(links=[])) is None
