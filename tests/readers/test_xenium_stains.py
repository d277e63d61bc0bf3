import numpy as np
import pytest
import tifffile

from triptych.readers.stains import stain_size
from triptych.readers.xenium_stains import images_of, named

NAMES = ["DAPI", "ATP1A1/CD45/E-Cadherin", "18S", "alphaSMA &amp; Vimentin"]


def write(path, names=(), number=0):
    """One file of a set, whose header describes all channels and says in which file each lies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = "".join(f'<Channel ID="Channel:{i}" Name="{name}"/>' for i, name in enumerate(names))
    places = "".join(
        f'<TiffData FirstC="{i}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{path.name.replace(f"{number:04d}", f"{i:04d}")}">urn:uuid:{i}</UUID></TiffData>'
        for i in range(len(names))
    )
    sizes = f'SizeX="9" SizeY="8" SizeC="{max(len(names), 1)}" SizeZ="1" SizeT="1"'
    text = (
        f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="urn:uuid:{number}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" '
        f'Type="uint16" {sizes}>{channels}{places}</Pixels></Image></OME>'
    )
    tifffile.imwrite(path, np.zeros((8, 9), np.uint16), description=text, metadata=None)


def names_of(folder):
    found = named(images_of(folder))
    return {name: file.removeprefix(f"{folder}/") for name, file in found.items()}


def test_version_4(tmp_path):
    files = ["ch0000_dapi", "ch0001_atp1a1_cd45_e-cadherin", "ch0002_18s", "ch0003_alphasma_vimentin"]
    for file, name in zip(files, NAMES, strict=True):
        write(tmp_path / "morphology_focus" / f"{file}.ome.tif", [name])
    write(tmp_path / "morphology.ome.tif")
    assert list(names_of(tmp_path).items()) == [
        ("DAPI", "morphology_focus/ch0000_dapi.ome.tif"),
        ("ATP1A1/CD45/E-Cadherin", "morphology_focus/ch0001_atp1a1_cd45_e-cadherin.ome.tif"),
        ("18S", "morphology_focus/ch0002_18s.ome.tif"),
        ("alphaSMA & Vimentin", "morphology_focus/ch0003_alphasma_vimentin.ome.tif"),
    ]


def test_version_2_describes_all_channels_in_each_file(tmp_path):
    for number in range(4):
        write(tmp_path / f"morphology_focus/morphology_focus_{number:04d}.ome.tif", NAMES, number)
    assert list(names_of(tmp_path)) == ["DAPI", "ATP1A1/CD45/E-Cadherin", "18S", "alphaSMA & Vimentin"]
    assert {stain_size(file) for file in named(images_of(tmp_path)).values()} == {(9, 8)}  # one plane each


def test_without_names_in_the_header(tmp_path):
    for file in ("ch0000_dapi", "ch0001_18s"):
        write(tmp_path / "a/morphology_focus" / f"{file}.ome.tif")
    assert list(names_of(tmp_path / "a")) == ["DAPI", "18s"]
    for number in range(2):
        write(tmp_path / f"b/morphology_focus/morphology_focus_{number:04d}.ome.tif")
    assert list(names_of(tmp_path / "b")) == ["DAPI", "channel 1"]


def test_a_name_that_is_there_twice(tmp_path):
    for number in range(2):
        write(tmp_path / f"morphology_focus/ch{number:04d}_x.ome.tif", ["DAPI"])
    assert list(names_of(tmp_path)) == ["DAPI", "DAPI 1"]


@pytest.mark.parametrize(
    ("pages", "part"), [(1, ""), (3, "::1"), (4, "::2")], ids=["one page", "three pages", "four pages"]
)
def test_a_stack_is_read_in_its_middle(tmp_path, pages, part):
    stack = np.zeros((pages, 8, 8), np.uint16)
    tifffile.imwrite(tmp_path / "morphology.ome.tif", stack, metadata={"axes": "ZYX"})
    assert names_of(tmp_path) == {"DAPI": f"morphology.ome.tif{part}"}


def test_none_and_a_damaged_one(tmp_path):
    assert images_of(tmp_path) == ()
    assert named(()) == {}
    (tmp_path / "morphology_mip.ome.tif").write_bytes(b"II")
    assert names_of(tmp_path) == {"DAPI": "morphology_mip.ome.tif"}  # the door tells
