"""What is written of the nuclei of slides: every number alike in all files, every name inside the folder."""

import json
import re
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from PIL import Image
from scipy import ndimage

from triptych.core.errors import DataError
from triptych.core.nuclei import Found, Outlines
from triptych.maths.polygons import areas_px, centroids_px
from triptych.pipeline.nuclei_files import Batch
from triptych.pipeline.record import RunRecord
from triptych.pipeline.scoring import table as no_scores
from triptych.pipeline.slide_nuclei import Slide
from triptych.plots.palette import PALETTE
from triptych.plots.window import Window
from triptych.report.nuclei_found import TABLE
from triptych.report.nuclei_slides import densest, summary, touching, write_nuclei
from triptych.report.overlays import FOLDER, rgb

CLASSES = ("round", "flat <i>")
SIZE, PITCH = 240, 40


@dataclass(frozen=True)
class Dark:
    """Nuclei are what is dark; those that are wider than high are flat."""

    classes: tuple[str, ...] = CLASSES
    mpp: float = 0.5
    halo_px: int = 16
    multiple_px: int = 1

    def segment(self, window):
        instances, n = ndimage.label(window.mean(axis=2) < 100)
        boxes = ndimage.find_objects(instances)
        flat = np.array([box[1].stop - box[1].start > box[0].stop - box[0].start for box in boxes], bool)
        sure = np.where(flat[:, None], [0.1, 0.9], [0.8, 0.2]).reshape(n, 2).astype(np.float32)
        return Found(instances.astype(np.int32), sure if self.classes else sure[:, :0])


def chain_of(model):
    step = SimpleNamespace(do="segment", mpp=model.mpp)
    return SimpleNamespace(links=[SimpleNamespace(step=step, model=model)])


def record():
    return RunRecord(
        recipe="r", title="", cite="", seed=0, data="", options="", data_identity="", steps=[],
        scores=no_scores([]), warnings=[], versions={}, started="", seconds=0, peak_mib=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def nuclei():
    """Left, top, width and height of nuclei, well apart."""
    rng = np.random.default_rng(0)
    corners = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2) * 44 + 14
    shape = np.where(rng.random(25)[:, None] < 0.4, [12, 6], [7, 8])
    corners = corners + rng.integers(0, 7, (25, 2))
    corners += (corners + shape / 2) % PITCH == 0  # on the border of two patches either would do
    return np.hstack([corners, shape])


def study(folder, nuclei):
    """Patches of two slides, the name of one of which would leave the folder, and a section without one."""
    pixels = np.full((SIZE, SIZE, 3), 220, np.uint8)
    for x, y, wide, high in nuclei:
        pixels[y : y + high, x : x + wide] = 40
    Image.fromarray(pixels).save(folder / "slide.png")
    names = ["../A $x", "B", "none"]
    row, column = np.divmod(np.arange((SIZE // PITCH) ** 2), SIZE // PITCH)
    whose = np.repeat(names, len(row))
    obs = pd.DataFrame(
        {"sample": whose, "donor": whose, "batch": whose}, [f"{w} {i}" for i, w in enumerate(whose)]
    )
    obs["array_row"], obs["array_col"] = np.tile(row, 3), np.tile(column, 3)
    px = np.tile(np.column_stack([column, row]) * float(PITCH) + PITCH / 2, (3, 1))
    made = AnnData(obs=obs, obsm={"spatial": px, "spatial_um": px * 0.5})
    path = str(folder / "slide.png")
    about = {
        "donor": names, "image": [path, path, ""], "image_scale": 1.0, "mpp": 0.5, "spot_um": np.nan,
        "pitch_um": PITCH * 0.5, "lattice": "square",
    }  # fmt: skip
    made.uns["triptych"] = {"samples": pd.DataFrame(about, index=names)}
    return made


@pytest.fixture
def table(tmp_path, nuclei):
    """One of its own."""
    return study(tmp_path, nuclei)


@pytest.fixture(scope="module")
def written(tmp_path_factory, nuclei):
    """The folder, the record and the table after writing; only to be read."""
    folder = tmp_path_factory.mktemp("slides")
    out, made, table = folder / "out", record(), study(folder, nuclei)
    out.mkdir()
    write_nuclei(chain_of(Dark()), table, made, out)
    return out, made, table


def test_every_name_lies_inside_the_folder_and_each_slide_has_its_files(written):
    out = written[0]
    assert [path.name for path in out.iterdir()] == [FOLDER]
    files = {path.name for path in (out / FOLDER).iterdir()}
    for stem in ("_A__x", "B"):
        assert {f"{stem}.nuclei.{kind}" for kind in ("geojson", "csv", "png")} <= files
    assert not any(name.startswith("none") for name in files)


def test_the_record_counts_every_nucleus_once(written, nuclei):
    frame = written[1].tables[TABLE]
    flat = int((nuclei[:, 2] > nuclei[:, 3]).sum())
    assert list(frame) == ["sample", "nuclei", *CLASSES]
    for row in frame.to_numpy().tolist():
        assert row[1:] == [25, 25 - flat, flat]
    assert frame["sample"].tolist() == ["../A $x", "B"]


def test_polygons_are_valid_and_say_what_the_table_says(written):
    place = written[0] / FOLDER
    content = json.loads((place / "B.nuclei.geojson").read_text("utf-8"))
    frame = pd.read_csv(place / "B.nuclei.csv", index_col="id")
    assert len(content["features"]) == len(frame) == 25
    assert len({one["id"] for one in content["features"]}) == 25
    for one in content["features"]:
        ring, told = np.array(one["geometry"]["coordinates"][0]), one["properties"]
        np.testing.assert_array_equal(ring[0], ring[-1])
        outline = Outlines(ring[:-1].astype(np.float32), np.array([0, len(ring) - 1]), np.zeros(1, int))
        row = frame.loc[told["name"]]
        np.testing.assert_allclose(centroids_px(outline)[0], row[["x_px", "y_px"]].to_numpy(float), atol=0.02)
        assert areas_px(outline)[0] * 0.25 == pytest.approx(row["area_um2"], abs=0.02)
        kind = told["classification"]
        assert kind["name"] == row["type"]
        assert kind["color"] == list(rgb(PALETTE[CLASSES.index(kind["name"])]))
        for name, value in told["measurements"].items():
            assert value == pytest.approx(row[name], abs=1e-6)


def test_tables_hold_the_nuclei_that_were_drawn(written, nuclei):
    frame = pd.read_csv(written[0] / FOLDER / "_A__x.nuclei.csv").sort_values(["x_px", "y_px"])
    centre = nuclei[:, :2] + nuclei[:, 2:] / 2
    order = np.lexsort(centre.T[::-1])
    np.testing.assert_allclose(frame[["x_px", "y_px"]], centre[order])
    np.testing.assert_allclose(frame["area_um2"], nuclei[order, 2] * nuclei[order, 3] * 0.25)


def test_counts_of_patches_equal_a_naive_count(written, nuclei):
    table = written[2]
    found = table.obsm["nuclei_counts"]
    centre, flat = nuclei[:, :2] + nuclei[:, 2:] / 2, nuclei[:, 2] > nuclei[:, 3]
    for row, (x, y) in enumerate(table.obsm["spatial"]):
        inside = (np.abs(centre - [x, y]) <= PITCH / 2).all(axis=1)
        if table.obs["sample"].iloc[row] == "none":
            inside[:] = False
        assert found.iloc[row].tolist() == [(inside & ~flat).sum(), (inside & flat).sum(), inside.sum()]
    assert list(found) == [*CLASSES, "all"]


def test_shapes_are_read_back_by_spatialdata(written):
    spatialdata = pytest.importorskip("spatialdata")
    store = spatialdata.read_zarr(written[0] / FOLDER / "B.nuclei.zarr")
    frame = pd.read_csv(written[0] / FOLDER / "B.nuclei.csv", index_col="id")
    shapes = store.shapes["nuclei"]
    assert shapes.index.tolist() == frame.index.tolist()
    np.testing.assert_allclose(shapes.geometry.area * 0.25, frame["area_um2"], atol=1e-3)
    assert store.tables["nuclei_types"].obs["type"].astype(str).tolist() == frame["type"].tolist()


def test_the_same_bytes_again(written, table, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    write_nuclei(chain_of(Dark()), table, record(), again)
    for path in (written[0] / FOLDER).glob("*.nuclei.*"):
        if path.is_file():
            other = (again / FOLDER / path.name).read_bytes()
            assert re.sub(rb"Software.*", b"", path.read_bytes()) == re.sub(rb"Software.*", b"", other)


def test_a_model_without_types(table, tmp_path):
    made = record()
    write_nuclei(chain_of(Dark(classes=())), table, made, tmp_path)
    assert made.tables[TABLE].to_numpy().tolist() == [["../A $x", 25], ["B", 25]]
    assert list(table.obsm["nuclei_counts"]) == ["all"]


def test_a_slide_without_nuclei(table, tmp_path):
    Image.new("RGB", (SIZE, SIZE), "white").save(tmp_path / "slide.png")
    made = record()
    write_nuclei(chain_of(Dark()), table, made, tmp_path)
    assert made.tables[TABLE]["nuclei"].tolist() == [0, 0]
    assert json.loads((tmp_path / FOLDER / "B.nuclei.geojson").read_text())["features"] == []
    assert (tmp_path / FOLDER / "B.nuclei.png").is_file()
    assert not table.obsm["nuclei_counts"].to_numpy().any()


def test_a_chain_that_segments_nothing_is_refused(table, tmp_path):
    with pytest.raises(DataError, match="finds no nuclei"):
        write_nuclei(SimpleNamespace(links=[]), table, record(), tmp_path)


def squares(*corners):
    px = np.concatenate([np.array([[0, 0], [2, 0], [2, 2], [0, 2]]) + corner for corner in corners])
    outlines = Outlines(px.astype(np.float32), np.arange(0, len(px) + 1, 4), np.arange(len(corners)))
    return Batch(outlines, np.tile(np.float32([0.3, 0.7]), (len(corners), 1)))


def test_the_square_with_most_nuclei_lies_inside_the_picture():
    batch = squares((5, 5), (95, 96), (97, 91), (92, 92))
    assert densest(batch, (100, 98), 20.0) == Window(80.0, 78.0, 100.0, 98.0)
    assert touching(batch.outlines, Window(80.0, 78.0, 100.0, 98.0)).tolist() == [1, 2, 3]
    assert touching(batch.outlines, Window(6.9, 6.9, 9.0, 9.0)).tolist() == [0]
    assert touching(batch.outlines, Window(7.1, 0.0, 9.0, 9.0)).tolist() == []


def test_nothing_found_is_counted_and_has_a_square():
    empty = Batch(
        Outlines(np.empty((0, 2), np.float32), np.zeros(1, int), np.empty(0, int)), np.empty((0, 2))
    )
    assert densest(empty, (50, 40), 20.0) == Window(0.0, 0.0, 20.0, 20.0)
    assert touching(empty.outlines, Window(0, 0, 9, 9)).tolist() == []
    frame = summary([Slide("a", empty), Slide("b", squares((0, 0)))], CLASSES)
    assert frame.to_numpy().tolist() == [["a", 0, 0, 0], ["b", 1, 0, 1]]
