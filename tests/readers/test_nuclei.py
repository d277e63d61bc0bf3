"""A folder of labelled pictures: nuclei as rows, types, tables beside, and every fault."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from skimage.measure import regionprops

from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.label_pictures import label_picture, types_beside
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read

QUARTER = ReadOptions(mpp=0.25)


def labels():
    picture = np.zeros((30, 40), np.uint16)
    picture[2:6, 3:9] = 5
    picture[10:13, 20:24] = 300
    picture[20:28, 30:32] = 7
    return picture


def types():
    picture = np.zeros((30, 40), np.uint8)
    picture[2:6, 3:9] = 2
    picture[2, 3:9] = 4
    picture[10:12, 20:24] = 4  # a row of the nucleus has no type
    return picture


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "study"
    for name in ("images", "instances", "types"):
        (root / name).mkdir(parents=True)
    for name in ("kidney_A", "B"):
        Image.new("RGB", (40, 30)).save(root / "images" / f"{name}.jpg")
        Image.fromarray(types()).save(root / "types" / f"{name}.png")
    Image.fromarray(labels()).save(root / "instances" / "kidney_A.png")
    tifffile.imwrite(root / "instances" / "B.tif", labels().astype(np.uint32))
    return root


def about(table):
    return table.uns["triptych"]["samples"]


def test_rows_are_nuclei(folder):
    table = read(folder, QUARTER)
    assert table.n_vars == 0
    assert list(table.obs_names) == [f"{name}_{i}" for name in ("B", "kidney_A") for i in (5, 7, 300)]
    props = {p.label: p for p in regionprops(labels().astype(int))}
    for part in (table[:3], table[3:]):
        assert list(part.obs["instance"]) == [5, 7, 300]
        centre = np.array([props[i].centroid[::-1] for i in (5, 7, 300)]) + 0.5
        np.testing.assert_allclose(part.obsm["spatial"], centre)
        np.testing.assert_allclose(part.obsm["spatial_um"], centre / 4)
        np.testing.assert_allclose(part.obs["area_um2"], [24 / 16, 16 / 16, 12 / 16])


def test_the_truth_is_what_most_pixels_are(folder):
    truth = read(folder, QUARTER).obs["truth"]
    assert truth.astype(object).where(truth.notna(), None).tolist() == ["2", None, "4"] * 2
    (folder / "classes.csv").write_text("code,name\n2,inflammatory\n3,epithelial\n")
    truth = read(folder, QUARTER).obs["truth"]
    assert truth.astype(object).where(truth.notna(), None).tolist() == ["inflammatory", None, None] * 2


def test_organ_donor_and_files(folder):
    found = about(read(folder, QUARTER))
    assert list(found["organ"]) == ["", "kidney"]
    assert list(found["donor"]) == ["B", "kidney_A"]
    assert found.loc["B", "nuclei"] == str(folder / "instances" / "B.tif")
    assert found.loc["B", "image"] == str(folder / "images" / "B.jpg")
    (folder / "samples.csv").write_text("sample,donor,organ,mpp\nB,D1,colon,0.5\nkidney_A,D1,,0.25\n")
    table = read(folder)
    assert list(about(table)["organ"]) == ["colon", "kidney"]
    assert set(table.obs["donor"]) == {"D1"}
    assert list(about(table)["mpp"]) == [0.5, 0.25]
    assert list(about(read(folder, QUARTER))["mpp"]) == [0.25, 0.25]


def test_a_single_sample_keeps_its_numbers(folder):
    table = read(folder, ReadOptions(samples=("kidney_A",), mpp=0.25))
    assert list(table.obs_names) == ["5", "7", "300"]


def test_pictures_without_nuclei_are_left_out(folder):
    Image.fromarray(np.zeros((30, 40), np.uint16)).save(folder / "instances" / "kidney_A.png")
    with pytest.warns(TriptychWarning, match="1 of 2 pictures have no nucleus and are left out: kidney_A"):
        assert list(about(read(folder, QUARTER)).index) == ["B"]
    tifffile.imwrite(folder / "instances" / "B.tif", np.zeros((30, 40), np.uint8))
    with pytest.raises(DataError, match="none of the 2 pictures has a nucleus"):
        read(folder, QUARTER)


def test_a_resolution_must_be_known(folder):
    with pytest.raises(
        DataError, match=r"2 of 2 pictures do not say how large .* B, kidney_A; give it with --mpp"
    ):
        read(folder)
    image = np.zeros((30, 40, 3), np.uint8)
    (folder / "images" / "B.jpg").unlink()
    tifffile.imwrite(folder / "images" / "B.tif", image, resolution=(20_000, 20_000), resolutionunit=3)
    assert about(read(folder, ReadOptions(samples=("B",)))).loc["B", "mpp"] == pytest.approx(0.5)


def test_faults_are_shown_together(folder):
    (folder / "instances" / "kidney_A.png").unlink()
    (folder / "types" / "B.png").rename(folder / "types" / "C.png")
    tifffile.imwrite(folder / "instances" / "B.tif", np.zeros((30, 41), np.uint8))
    (folder / "samples.csv").write_text("sample,mpp\nB,-1\nZ,2\nZ,2\n")
    (folder / "classes.csv").write_text("code,name\n1,a\n1,b\n")
    with pytest.raises(DataError, match="8 faults") as caught:
        read(folder)
    for words in (
        "1 pictures of images/ have none of their name in instances/: kidney_A",
        "1 pictures of types/ have none of their name in images/: C",
        "1 pictures of images/ have none of their name in types/: B",
        "samples.csv names samples that have no picture: Z, Z",
        "samples.csv names samples more than once: Z",
        "the mpp of B in samples.csv is -1",
        "the codes of classes.csv are not different whole numbers: 1, 1",
        "B: the picture of instances has 41 × 30 px, the image 40 × 30",
    ):
        assert words in str(caught.value)


def test_two_pictures_of_one_name(folder):
    Image.new("RGB", (40, 30)).save(folder / "images" / "B.png")
    with pytest.raises(DataError, match="images/ has several files of the name B; keep one"):
        read(folder, QUARTER)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), r"shape \(4, 4, 3\) and type uint8, not one whole number"),
        (np.zeros((4, 4), np.float32), "type float32, not one whole number"),
        (np.full((4, 4), -1, np.int16), "go from -1 to -1"),
        (np.full((4, 4), 2**31, np.uint32), "go from 2147483648 to"),
        (np.zeros((3, 4, 4), np.uint16), "3 pages"),
    ],
)
def test_pictures_that_are_no_labels(tmp_path, values, message):
    photometric = "rgb" if values.shape[-1] == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "l.tif", values, photometric=photometric)
    with pytest.raises(DataError, match=message):
        label_picture(tmp_path / "l.tif")


def test_pictures_of_labels_of_all_kinds(tmp_path):
    for kind, name in ((np.uint8, "a.png"), (np.uint16, "b.png"), (np.int32, "c.tif"), (bool, "d.tif")):
        values = (labels() % 200).astype(kind)
        if name.endswith("png"):
            Image.fromarray(values).save(tmp_path / name)
        else:
            tifffile.imwrite(tmp_path / name, values)
        found = label_picture(tmp_path / name)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_damaged_pictures_of_labels(tmp_path, name):
    Image.fromarray(labels()).save(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:60])
    with pytest.raises(DataError, match="cannot be read"):
        label_picture(tmp_path / name)
    with pytest.raises(DataError, match=rf"b{name[1:]} is missing"):
        label_picture(tmp_path / f"b{name[1:]}")
    with pytest.raises(DataError, match="not of a format without loss"):
        label_picture(tmp_path / "a.jpg")


def test_types_beside_a_picture(tmp_path):
    path = tmp_path / "a.types.csv"
    path.write_text("instance,type\n3,epithelial\n4,\n9, dead \n")
    assert types_beside(path) == {3: "epithelial", 9: "dead"}
    path.write_text("instance,type\n")
    assert types_beside(path) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("number,type\n", "has no column instance"),
        ("instance,type\n1.5,a\n0,b\nx,c\n", "3 values of instance .* 1.5, 0, x"),
        ("instance,type\n1,a\n1,b\n", "1 nuclei are there more than once .* 1"),
        ("", "is no table"),
    ],
)
def test_types_that_are_none(tmp_path, text, message):
    (tmp_path / "a.types.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        types_beside(tmp_path / "a.types.csv")


@pytest.mark.data
def test_real_folders(real_data):
    table = read(real_data / "monuseg", QUARTER)
    assert (table.n_obs, len(about(table))) == (6435, 16)
    assert about(table)["organ"].value_counts().to_dict() == {"breast": 6, "kidney": 6, "prostate": 4}
    begin = time.process_time()
    with pytest.warns(TriptychWarning, match="21 of 432 pictures have no nucleus"):
        table = read(real_data / "consep", QUARTER)
    assert time.process_time() - begin < 20
    assert len(about(table)) == 411
    assert set(pd.unique(table.obs["truth"])) == {"1", "2", "3", "4"}
