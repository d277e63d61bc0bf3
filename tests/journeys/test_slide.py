"""A slide that nobody measured, through a model that a run left: numbers, polygons and pictures of it."""

import io
import json
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import tifffile
from anndata import read_h5ad
from PIL import Image

import triptych as tp
from triptych.cli import main
from triptych.pipeline.recipe import load
from triptych.pipeline.run import run
from triptych.readers.layouts import ReadOptions
from triptych.readers.toy.study import Toy
from triptych.readers.toy.write import write_spatial_transcriptomics

from .test_pfm_mlp import SMALL

MPP = 2.0  # of the toy study
RECIPE = load("pfm-mlp-stain", SMALL)
PATCH_UM = max(s.params.get("window_um", 0) for s in RECIPE.steps if s.do == "encode")  # the widest is seen


class Said(NamedTuple):
    """What a command wrote."""

    out: str
    err: str


def triptych(where, *words, code=0):
    """Run the command line in this process; a traceback would be raised."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(where)
        patch.setenv("COLUMNS", "1000")
        patch.setenv("TRIPTYCH_CACHE_DIR", str(where / "cache"))
        patch.setattr(sys, "argv", ["triptych", *map(str, words)])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as done:
            warnings.simplefilter("always")
            main()
    assert (done.value.code or 0) == code, out.getvalue() + err.getvalue()
    return Said(out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a fitted model, and the picture of a donor that it never saw beside empty glass."""
    where = tmp_path_factory.mktemp("place")
    toy = Toy(donors=3, sections_per_donor=1, side=8, genes=40).make()
    write_spatial_transcriptomics(toy, where / "study")
    done = run(RECIPE, tp.read(where / "study", samples=["A1", "B1"]), data="study")
    done.chain.save(where / "out" / "model")
    picture = toy.sections[2].image
    white = np.full((picture.shape[0], 160, 3), 245, np.uint8)
    Image.fromarray(np.concatenate([picture, white], axis=1)).save(where / "slide.png")
    return where


@pytest.fixture(scope="module")
def applied(place):
    return triptych(place, "apply", "out", "slide.png", "--mpp", MPP, "-o", "new")


def refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def test_the_folder_holds_numbers_polygons_and_a_picture(place, applied):
    found = {path.name for path in (place / "new" / "slides").iterdir()}
    assert found == {"abundance.csv", "slide.geojson", "slide.png"}
    with Image.open(place / "new" / "slides" / "slide.png") as picture:
        assert np.asarray(picture.convert("RGB")).std() > 10
    assert "report: new/report.html" in applied.out


def test_polygons_and_numbers_are_those_of_the_table(place, applied):
    table = read_h5ad(place / "new" / "table.h5ad")
    written = pd.read_csv(place / "new" / "slides" / "abundance.csv", index_col="id")
    types = list(table.obsm["abundance.mlp"].columns)
    assert list(written.index) == list(table.obs_names)
    for end in ("", ".low", ".high"):
        columns = [f"{name} {end[1:]}".strip() for name in types]
        assert np.allclose(written[columns], table.obsm[f"abundance.mlp{end}"], atol=1e-6, equal_nan=True)
    text = (place / "new" / "slides" / "slide.geojson").read_text("utf-8")
    features = json.loads(text, parse_constant=refuse)["features"]
    assert len(features) == table.n_obs
    with Image.open(place / "slide.png") as picture:
        width, height = picture.size
    for one in features:
        ring = np.array(one["geometry"]["coordinates"][0])
        assert np.array_equal(ring[0], ring[-1])
        assert ring.min() >= 0
        assert (ring.max(axis=0) <= (width, height)).all()
        assert np.allclose(np.ptp(ring, axis=0), PATCH_UM / MPP, atol=0.02)
        row = written.loc[one["properties"]["name"]]
        assert np.allclose(ring[:4].mean(axis=0), row[["x_px", "y_px"]].to_numpy(float), atol=0.02)
        for name, value in one["properties"]["measurements"].items():
            assert row[name] == pytest.approx(value, abs=2e-6)


def test_glass_is_left_out_and_said_so(place, applied):
    table = read_h5ad(place / "new" / "table.h5ad")
    with Image.open(place / "slide.png") as picture:
        width = picture.size[0]
    assert table.obsm["spatial"][:, 0].max() < width - 160 + PATCH_UM / MPP / 2
    assert table.n_vars == 0
    values = table.obsm["abundance.mlp"].to_numpy()
    assert np.isfinite(values).all(axis=1).mean() > 0.5


def test_two_applies_and_python_give_the_same_bits(place, applied):
    ours = read_h5ad(place / "new" / "table.h5ad")
    with pytest.warns(UserWarning, match="background"):
        theirs = tp.apply(place / "out", place / "slide.png", reading=ReadOptions(mpp=MPP))
    for end in ("", ".low", ".high"):
        one, other = (table.obsm[f"abundance.mlp{end}"].to_numpy() for table in (ours, theirs))
        assert one.tobytes() == other.tobytes()


def test_a_tiff_that_knows_its_scale_and_has_a_strange_name(place, applied):
    with Image.open(place / "slide.png") as picture:
        pixels = np.asarray(picture)
    name = "größe & <b> 1.tif"
    tifffile.imwrite(
        place / name, pixels, photometric="rgb", tile=(64, 64), description=f"Aperio |AppMag = 5|MPP = {MPP}"
    )
    triptych(place, "apply", "out", name, "-o", "strange")
    found = {path.name for path in (place / "strange" / "slides").iterdir()}
    assert found == {"abundance.csv", "größe____b__1.geojson", "größe____b__1.png"}
    page = (place / "strange" / "report.html").read_text("utf-8")
    assert "& <b>" not in page
    assert "größe &amp; &lt;b&gt; 1" in page
    ours, theirs = (pd.read_csv(place / out / "slides" / "abundance.csv") for out in ("new", "strange"))
    pd.testing.assert_frame_equal(ours, theirs)


def test_a_picture_without_a_scale_asks_for_it(place):
    done = triptych(place, "apply", "out", "slide.png", "-o", "nowhere", code=2)
    assert "does not say how large its pixels are" in done.err
    assert "--mpp" in done.err
    assert not (place / "nowhere").exists()


def test_glass_alone_and_no_picture_are_refused(place):
    Image.fromarray(np.full((300, 300, 3), 250, np.uint8)).save(place / "glass.png")
    done = triptych(place, "apply", "out", "glass.png", "--mpp", MPP, "-o", "nowhere", code=2)
    assert "background" in done.err or "tissue" in done.err
    (place / "bad.png").write_bytes(b"no picture")
    triptych(place, "apply", "out", "bad.png", "--mpp", MPP, "-o", "nowhere", code=2)
    assert not (place / "nowhere").exists()
