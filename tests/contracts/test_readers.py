"""Every reader: knows its own layout and no other, and says what is wrong with files that are none."""

import numpy as np
import pytest
from PIL import Image

from triptych.core.errors import DataError
from triptych.readers import registry
from triptych.readers.layouts import Reader, ReadOptions
from triptych.readers.read import read, reader_of

NAMES = pytest.mark.parametrize("name", list(registry))
FOLDERS = {"nuclei": ("images", "instances"), "hest": ("wsis", "xenium_seg", "transcripts", "metadata")}
SKELETONS = pytest.mark.parametrize("name", list(FOLDERS))


@pytest.fixture
def skeleton(name, tmp_path):
    """The folders of a layout, without any file."""
    for folder in FOLDERS[name]:
        (tmp_path / "study" / folder).mkdir(parents=True)
    return tmp_path / "study"


@NAMES
def test_contract(name, small, declares):
    component = small(registry, name)
    declares(registry, name, component)
    assert isinstance(component, Reader)


@NAMES
def test_what_is_nobodys_layout_is_not_recognised(name, small, tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "more").mkdir()
    component = small(registry, name)
    for path in (tmp_path, tmp_path / "more", tmp_path / "notes.txt", tmp_path / "gone", tmp_path / "gone.x"):
        assert component.recognises(path) is False


@pytest.mark.parametrize("name", [name for name in registry if not name.startswith("toy")])
def test_numbers_out_of_range_are_refused_by_name(name, small, refuses_nonsense):
    refuses_nonsense(registry, small(registry, name), name)


@SKELETONS
def test_a_layout_is_recognised_by_one_reader(name, skeleton):
    assert [other for other in registry if registry.make(other).recognises(skeleton)] == [name]
    assert type(reader_of(skeleton)) is registry.find(name)


@SKELETONS
@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"II*\x00junk", b"PAR1"])
def test_empty_or_damaged_files_are_told_of_and_never_a_traceback(name, skeleton, content):
    options = ReadOptions(mpp=0.25) if name == "nuclei" else ReadOptions()
    with pytest.raises(DataError, match=str(skeleton)):
        read(skeleton, options)
    endings = {
        "nuclei": (".png", ".png"),
        "hest": (".tif", "_xenium_nucleus_seg.parquet", "_transcripts.parquet", ".json"),
    }
    for folder, ending in zip(FOLDERS[name], endings[name], strict=True):
        (skeleton / folder / f"A{ending}").write_bytes(content)
    with pytest.raises(DataError, match=r"\bA"):
        read(skeleton, options)


def test_samples_that_do_not_exist_are_told_with_those_that_do(tmp_path):
    for folder in FOLDERS["nuclei"]:
        (tmp_path / folder).mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "images" / "kidney_A.png")
    Image.fromarray(np.eye(20, dtype=np.uint8)).save(tmp_path / "instances" / "kidney_A.png")
    assert read(tmp_path, ReadOptions(mpp=0.25)).n_obs == 1
    with pytest.raises(DataError, match="kidney_A"):
        read(tmp_path, ReadOptions(mpp=0.25, samples=("kidney_B",)))
