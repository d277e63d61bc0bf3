import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.readers.sections import About
from triptych.readers.stains import inspect_stains, stain_fields, stain_size, stains_of
from triptych.tiles.planes import planes_shape


@pytest.fixture
def stack(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((3, 6, 8), np.uint16), photometric="minisblack")
    return str(path)


def faults_of(stains):
    faults = Faults("s")
    inspect_stains(About(**stain_fields(stains, np.eye(3))), faults)
    return faults.found


def test_fields_are_read_back(stack):
    fields = stain_fields({"µ-tubulin": f"{stack}::1"}, np.arange(9.0).reshape(3, 3))
    assert json.loads(fields["stain_matrix"]) == [[0, 1, 2], [3, 4, 5]]
    assert stains_of(About(**fields)) == {"µ-tubulin": f"{stack}::1"}
    assert stain_fields({}, np.eye(3)) == {}
    assert stains_of(About()) == {}


def test_sizes_of_pages_and_channels(stack, tmp_path):
    assert stain_size(f"{stack}::2") == (8, 6)
    tifffile.imwrite(tmp_path / "one.tif", np.zeros((4, 5), np.uint8))
    assert stain_size(str(tmp_path / "one.tif")) == stain_size(f"{tmp_path}/one.tif::0") == (5, 4)
    Image.new("L", (7, 9)).save(tmp_path / "grey.png")
    assert stain_size(f"{tmp_path}/grey.png") == (7, 9)


@pytest.mark.parametrize("end", ["png", "jpg", "tif"])
def test_a_picture_in_colour_is_no_stain(tmp_path, end):
    Image.new("RGB", (7, 9)).save(tmp_path / f"composite.{end}")
    with pytest.raises(DataError, match=f"the stain composite.{end} is not grey, but "):
        stain_size(f"{tmp_path}/composite.{end}")


def test_levels_of_a_pyramid_are_no_pages(tmp_path):
    with tifffile.TiffWriter(tmp_path / "p.tif") as tiff:
        tiff.write(np.zeros((64, 64), np.uint16), metadata=None)
        tiff.write(np.zeros((32, 32), np.uint16), metadata=None)
    assert stain_size(str(tmp_path / "p.tif")) == (64, 64)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("stack.tif", "stack.tif has 3 channels: say which, e.g. ::0"),
        ("stack.tif::3", "stack.tif::3 does not exist: I is 0 to 2"),
        ("stack.tif::a", "stack.tif::a does not exist: I is 0 to 2"),
        ("stack.tif::-1", "stack.tif::-1 does not exist"),
        ("no.tif", "no.tif does not exist"),
        ("a.npy", "the stain a.npy is not of a format that is read: .jpg"),
    ],
)
def test_what_is_no_channel(stack, tmp_path, part, message):
    with pytest.raises(DataError, match=message):
        stain_size(str(tmp_path / part))


def test_the_same_planes_as_are_opened(stack, tmp_path):
    with tifffile.TiffWriter(tmp_path / "p.ome.tif") as tiff:
        tiff.write(np.zeros((2, 64, 64), np.uint16), subifds=1, metadata={"axes": "CYX"}, tile=(16, 16))
        tiff.write(np.zeros((2, 32, 32), np.uint16), subfiletype=1, tile=(16, 16))
    for stain in (f"{stack}::2", f"{tmp_path}/p.ome.tif::1"):
        assert stain_size(stain) == planes_shape(stain)[::-1]


def test_all_faults_are_noted(stack, tmp_path):
    tifffile.imwrite(tmp_path / "small.tif", np.zeros((4, 5), np.uint8))
    found = faults_of({"a": f"{stack}::0", "b": f"{tmp_path}/small.tif", "c": "/no.tif"})
    assert any("stain c: the image /no.tif does not exist" in fault for fault in found)
    assert any("its stains differ in size: a 8 × 6, b 5 × 4 px" in fault for fault in found)
    assert faults_of({"a": f"{stack}::0"}) == []


@pytest.mark.parametrize("text", ["", "x", "[1, 2]", "[[1, 0, 0], [0, NaN, 0]]", '{"a": 1}'])
def test_a_matrix_that_is_none(stack, text):
    faults = Faults("s")
    inspect_stains(About(stains=json.dumps({"a": f"{stack}::0"}), stain_matrix=text), faults)
    assert "the matrix to the pixels of its stains is" in faults.found[0]


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}'])
def test_stains_that_are_no_names(text):
    faults = Faults("s")
    inspect_stains(About(stains=text), faults)
    assert "its stains are no" in faults.found[0]
