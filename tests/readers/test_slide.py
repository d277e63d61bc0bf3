"""A slide by itself: its grid, its resolution, and what is refused."""

import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from triptych.cli.options import reading
from triptych.core.errors import DataError, RecipeError, TriptychWarning
from triptych.readers import registry
from triptych.readers.door import admit
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.readers.slide import Slide
from triptych.readers.slide_grid import Grid
from triptych.readers.slide_scale import said_mpp, slide_mpp

HEIGHT, WIDTH = 330, 450


@pytest.fixture(scope="module")
def pixels():
    """Tissue in the columns 100 to 300 of a light ground."""
    rng = np.random.default_rng(0)
    made = rng.integers(235, 250, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    made[:, 100:300] = rng.integers(120, 180, (HEIGHT, 200, 3), dtype=np.uint8)
    return made


@pytest.fixture
def tiff(tmp_path, pixels):
    def make(name="S1.tif", **facts):
        path = tmp_path / name
        tifffile.imwrite(path, pixels, photometric="rgb", tile=(64, 64), compression="zlib", **facts)
        return path

    return make


@pytest.fixture
def png(tmp_path, pixels):
    path = tmp_path / "S1.png"
    Image.fromarray(pixels).save(path)
    return path


def quietly(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TriptychWarning)
        return read(path, ReadOptions(**options))


def test_the_form(png):
    table = quietly(png, mpp=0.5, pitch_um=25.0)  # 50 px: 9 × 6 patches, 15 px are left at top and bottom
    assert table.n_vars == 0
    assert list(table.layers) == []
    assert table.X is None
    assert list(table.obs.columns) == ["sample", "donor", "array_row", "array_col", "batch"]
    assert set(table.obs["sample"]) == set(table.obs["donor"]) == {"S1"}
    assert np.array_equal(np.unique(table.obs["array_col"]), [2, 3, 4, 5])  # where the tissue lies
    assert np.array_equal(np.unique(table.obs["array_row"]), range(6))
    px = np.column_stack([25 + 50 * table.obs["array_col"], 15 + 25 + 50 * table.obs["array_row"]])
    assert np.array_equal(table.obsm["spatial"], px)
    assert np.array_equal(table.obsm["spatial_um"], px * 0.5)
    assert table.obs_names[0] == "2x0"
    about = table.uns["triptych"]["samples"].loc["S1"]
    assert about["image"] == str(png)
    assert (about["image_scale"], about["mpp"], about["pitch_um"]) == (1.0, 0.5, 25.0)
    assert about["lattice"] == "square"
    assert np.isnan(about["spot_um"])


def test_how_many_patches_are_left_out_is_told(png):
    told = r"S1: 30 of 54 patches of 25 µm are background \(mean of red, green and blue above 200\)"
    with pytest.warns(TriptychWarning, match=told):
        read(png, ReadOptions(mpp=0.5, pitch_um=25.0))


def test_nothing_is_told_where_all_is_tissue(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full((60, 60, 3), 90, np.uint8)).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(path, ReadOptions(mpp=1.0, pitch_um=20.0)).n_obs == 9


def test_a_pitch_that_is_no_whole_number_of_pixels(png):
    table = quietly(png, mpp=0.7, pitch_um=25.0)
    gaps = np.diff(np.unique(table.obsm["spatial_um"][:, 0]))
    assert np.allclose(gaps, 25.0)
    side = 25 / 0.7
    x, y = table.obsm["spatial"].T
    assert min(x.min(), y.min(), WIDTH - x.max(), HEIGHT - y.max()) >= side / 2 - 1e-9


def test_the_default_pitch(png):
    table = quietly(png, mpp=1.0)
    assert table.uns["triptych"]["samples"]["pitch_um"].tolist() == [100.0]


@pytest.mark.parametrize("suffix", ["jpg", "tif", "ome.tif", "png"])
def test_the_format_is_of_no_consequence(tmp_path, pixels, png, suffix):
    path = tmp_path / f"other.{suffix}"
    if suffix == "jpg":
        Image.fromarray(pixels).save(path, quality=95)
    else:
        tifffile.imwrite(path.with_suffix(".tif"), pixels, photometric="rgb")
        path.with_suffix(".tif").rename(path) if suffix == "ome.tif" else None
        Image.fromarray(pixels).save(path) if suffix == "png" else None
    expected, found = (quietly(one, mpp=0.5, pitch_um=20.0) for one in (png, path))
    assert set(found.obs["sample"]) == {"other"}
    assert np.array_equal(found.obsm["spatial"], expected.obsm["spatial"])


def test_it_is_read_again_from_a_file(png, tmp_path):
    table = quietly(png, mpp=0.5, pitch_um=25.0)
    table.write_h5ad(tmp_path / "table.h5ad")
    again = read(tmp_path / "table.h5ad")
    assert again.n_vars == 0
    assert list(again.layers) == []
    assert np.array_equal(again.obsm["spatial"], table.obsm["spatial"])


def test_the_name_of_the_sample(png):
    assert Slide().samples(png) == ["S1"]
    assert Slide().samples(png.with_name("S1.ome.tiff")) == ["S1"]
    assert quietly(png, samples=("S1",), mpp=0.5, pitch_um=25.0).n_obs == 24
    with pytest.raises(DataError, match="there is no sample S2; there is S1"):
        read(png, ReadOptions(samples=("S2",), mpp=0.5))


def test_a_limit_of_the_background(png):
    everything = registry.make("slide", {"background_above": 255}).read(
        png, ReadOptions(mpp=0.5, pitch_um=25)
    )
    assert everything.n_obs == 54
    with pytest.raises(RecipeError, match="background_above must be from 0 to 255, got -1"):
        registry.make("slide", {"background_above": -1})


# -- resolution --------------------------------------------------------------------------------------


def test_ome_says_it(tmp_path, pixels):
    path = tmp_path / "a.ome.tif"
    sizes = {"PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}
    tifffile.imwrite(path, pixels, photometric="rgb", metadata={"axes": "YXS", **sizes})
    assert said_mpp(path) == (0.25, 0.25)
    table = quietly(path, pitch_um=20.0)
    assert table.uns["triptych"]["samples"]["mpp"].tolist() == [0.25]


def test_ome_of_an_unknown_unit_says_nothing(tmp_path, pixels):
    path = tmp_path / "a.ome.tif"
    sizes = {"PhysicalSizeX": 1.0, "PhysicalSizeXUnit": "pixel", "PhysicalSizeY": 1.0}
    tifffile.imwrite(path, pixels, photometric="rgb", metadata={"axes": "YXS", **sizes})
    assert said_mpp(path) is None


def test_aperio_says_it(tiff):
    assert said_mpp(tiff(description="Aperio Image|AppMag = 20|MPP = 0.4990|x", metadata=None)) == (
        0.499,
        0.499,
    )


def test_a_scanner_says_it(tmp_path, pixels):
    pytest.importorskip("openslide", reason="openslide is an extra: pip install 'triptych[slides]'")
    path = tmp_path / "a.svs"
    about = f"Aperio Image Library v11.2.1\n{WIDTH}x{HEIGHT} (256x256) JPEG/RGB Q=95|AppMag = 40|MPP = 0.25"
    tifffile.imwrite(
        path, pixels, photometric="rgb", tile=(256, 256), compression="jpeg", description=about, metadata=None
    )
    assert said_mpp(path) == (0.25, 0.25)
    assert quietly(path, pitch_um=20.0).n_obs > 5


@pytest.mark.parametrize(
    ("unit", "per_unit", "mpp"),
    [("CENTIMETER", 20_000, 0.5), ("INCH", 50_800, 0.5), ("INCH", 300, None), ("NONE", 20_000, None)],
)
def test_tags_say_it_where_they_can_be_those_of_a_microscope(tiff, unit, per_unit, mpp):
    path = tiff(resolution=(per_unit, per_unit), resolutionunit=unit)
    assert said_mpp(path) == (None if mpp is None else pytest.approx((mpp, mpp)))


def test_what_is_given_goes_before_what_the_file_says(tiff):
    path = tiff(resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert slide_mpp(path) == pytest.approx(0.5)
        assert slide_mpp(path, 0.502) == 0.502
    with pytest.warns(TriptychWarning, match=r"a pixel is 0\.5 µm wide; the mpp that is given, 0\.25, goes"):
        assert slide_mpp(path, 0.25) == 0.25


def test_pixels_that_are_not_square(tiff):
    path = tiff(resolution=(20_000, 10_000), resolutionunit="CENTIMETER")
    with pytest.raises(
        DataError, match=r"0\.5 µm wide and 1 µm high\. Pixels must be square: say with --mpp"
    ):
        slide_mpp(path)
    with pytest.warns(TriptychWarning):
        assert slide_mpp(path, 1.0) == 1.0


def test_a_picture_without_resolution(png):
    with pytest.raises(DataError, match=r"S1\.png does not say how large its pixels are\. Give .* --mpp"):
        read(png)


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf")])
def test_lengths_out_of_range(value):
    with pytest.raises(DataError, match=r"2 faults\n  - mpp is .*, not a positive number\n  - pitch_um is"):
        ReadOptions(mpp=value, pitch_um=value)


def test_mpp_of_what_is_no_slide(tmp_path, png):
    quietly(png, mpp=0.5, pitch_um=25.0).write_h5ad(tmp_path / "table.h5ad")
    with pytest.raises(DataError, match=r"not a slide alone, so its scale is that of its files, not 0\.5 µm"):
        read(tmp_path / "table.h5ad", ReadOptions(mpp=0.5))


# -- what is refused -----------------------------------------------------------------------------------


def test_a_slide_smaller_than_a_patch(png):
    with pytest.raises(DataError, match="of 450 × 330 px is smaller than a patch of 400 px"):
        read(png, ReadOptions(mpp=0.5, pitch_um=200.0))


def test_patches_smaller_than_a_pixel(png):
    with pytest.raises(DataError, match=r"A patch would be 0\.25 px wide\. Check mpp"):
        read(png, ReadOptions(mpp=4.0, pitch_um=1.0))


def test_a_blank_slide(tmp_path):
    path = tmp_path / "blank.png"
    Image.fromarray(np.full((300, 300, 3), 245, np.uint8)).save(path)
    with pytest.raises(
        DataError, match=r"holds no tissue.*245, above 200\. Check that it is the stained slide"
    ):
        read(path, ReadOptions(mpp=1.0, pitch_um=50.0))


def test_a_folder_with_the_name_of_a_slide(tmp_path):
    folder = tmp_path / "x.svs"
    folder.mkdir()
    assert not Slide().recognises(folder)
    with pytest.raises(DataError, match="no known layout. In it there is nothing"):
        read(folder)
    with pytest.raises(DataError, match="is no slide: it is a folder. Name a file that ends in .jpg"):
        read(folder, ReadOptions(reader="slide"))


def test_a_file_of_another_type(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x")
    with pytest.raises(DataError, match="is no slide: it is of type «.txt»"):
        read(path, ReadOptions(reader="slide"))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "svs"])
def test_a_file_cut_short(tmp_path, pixels, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix in ("tif", "svs"):
        tifffile.imwrite(path, pixels, photometric="rgb", tile=(64, 64), compression="zlib")
    else:
        Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut short|cannot be read|damaged"):
        read(path, ReadOptions(mpp=0.5, pitch_um=25.0))


@pytest.mark.parametrize("suffix", ["jpg", "tif", "svs", "mrxs", "png"])
def test_a_file_that_is_no_image(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"this is no image" * 20)
    with pytest.raises(DataError, match="cannot be read|not recognised"):
        read(path, ReadOptions(mpp=0.5))


# -- the grid --------------------------------------------------------------------------------------------


def test_the_grid_lies_in_the_middle():
    grid = Grid.over(105, 64, 20.0)
    assert (grid.rows, grid.columns, grid.left_px, grid.top_px) == (3, 5, 2.5, 2.0)
    assert np.array_equal(grid.x_edges, [2.5, 22.5, 42.5, 62.5, 82.5, 102.5])
    assert np.array_equal(grid.y_edges, [2, 22, 42, 62])


def test_places_of_the_patches_that_are_kept():
    keep = np.zeros((3, 5), bool)
    keep[0, 4] = keep[2, 1] = True
    row, column, px = Grid.over(105, 64, 20.0).places(keep)
    assert row.tolist() == [0, 2]
    assert column.tolist() == [4, 1]
    assert px.tolist() == [[92.5, 12.0], [32.5, 52.0]]


# -- the door and the command line -----------------------------------------------------------------------


def test_only_counts_may_be_missing_where_there_are_no_genes(png):
    table = quietly(png, mpp=0.5, pitch_um=25.0)
    table.obsm["spatial"][3] = np.nan
    table.obs_names = ["same"] * table.n_obs
    with pytest.raises(
        DataError, match=r"(?s)2 faults.*1 ids are there more than once.*no finite coordinates"
    ):
        admit(table, ReadOptions(), "here")


def test_the_options_of_the_command_line():
    made = reading("A, B", "", None, mpp=0.5, pitch_um=100.0)
    assert made == ReadOptions(samples=("A", "B"), mpp=0.5, pitch_um=100.0)
    assert reading("", "t", "x,y") == ReadOptions(truth="t", unlabelled=("x", "y"))
