"""CellProfiler's features: against cp_measure on one crop at a time, and against its definitions in loops."""

import sys
import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from triptych.core.errors import DataError, MissingExtraError, TriptychWarning
from triptych.core.protocols import Crops
from triptych.encoders.crops import (
    cellprofiler,
    cellprofiler_objects,
    cellprofiler_quality,
    cellprofiler_rings,
)
from triptych.encoders.crops.cellprofiler import CellProfiler
from triptych.encoders.crops.cellprofiler_granules import granularity

pytest.importorskip("cp_measure", reason="the extra profiling is not installed")
pytest.importorskip("numba", reason="the extra profiling is not installed")
STAINS = ("DAPI", "membrane")
ALL = ("intensity", "radial", "zernike", "texture", "granularity", "quality")


def picture(seed, shape=(130, 150), top=9000):
    rng = np.random.default_rng(seed)
    spots = gaussian_filter((rng.random(shape) > 0.99).astype(float), 3) + 0.01 * rng.random(shape)
    return (spots / spots.max() * top + 200).astype(np.uint16)


@pytest.fixture
def crops(rng):
    """Two sections of twelve cells."""
    pixels = tuple((picture(s), picture(s + 1, top=800)) for s in (0, 2))
    return Crops(rng.uniform(21, 109, (24, 2)), np.arange(24) % 2, (0.1, 0.1), STAINS, pixels)


@pytest.fixture
def planes():
    whole = picture(4) / 9200
    return np.stack([whole[a : a + 64, b : b + 64] for a, b in ((0, 0), (20, 33), (60, 80), (7, 50))])


def masks(side):
    return {kind: CellProfiler(crop_px=side, mask=kind)._mask() for kind in ("crop", "disk")}


def encoded(crops, **settings):
    return CellProfiler(**({"crop_px": 40} | settings)).encode(crops, np.random.default_rng(0))


def alone(family, plane, mask):
    """What cp_measure says of one crop in a picture of its own, under its names."""
    from cp_measure.core.measuregranularity import get_granularity
    from cp_measure.core.measureobjectintensity import get_intensity
    from cp_measure.core.measureobjectintensitydistribution import (
        get_radial_distribution,
        get_radial_zernikes,
    )
    from cp_measure.core.measuretexture import get_texture

    if family == "granularity":  # of the crop as it is: a dark frame would be part of the picture
        return get_granularity(mask.astype(int), plane.copy())
    measure = {
        "intensity": get_intensity, "radial": get_radial_distribution,
        "zernike": get_radial_zernikes, "texture": get_texture,
    }[family]  # fmt: skip
    return measure(np.pad(mask.astype(int), 1), np.pad(plane, 1))


@pytest.mark.parametrize("kind", ["crop", "disk"])
@pytest.mark.parametrize("side", [64, 37])
@pytest.mark.parametrize("family", ["intensity", "radial", "zernike", "texture", "granularity"])
def test_many_crops_are_measured_as_cp_measure_measures_one(family, side, kind, planes):
    planes, component = (
        planes[:, :side, :side],
        CellProfiler(side, families=(family,), mask=kind, blocklist=False),
    )
    (measure,) = component._measures()
    found = measure(planes)
    for row, plane in zip(found, planes, strict=True):
        expected = alone(family, plane, component._mask())
        for name, value in zip(component._named(family), row, strict=True):
            key = name.replace("_{}", "").removeprefix("Texture_")
            shift = 1 if name.startswith("Location") else 0  # the frame of one pixel
            assert value == pytest.approx(expected[key][0] - shift, rel=1e-6, abs=1e-7), name


def naive_quality(plane):
    side = len(plane)
    blocks = int(np.ceil(side / 20))
    scores = []
    for i in range(blocks):
        for j in range(blocks):
            rows = [r for r in range(side) if int(r * blocks / side) == i]
            columns = [c for c in range(side) if int(c * blocks / side) == j]
            block = plane[np.ix_(rows, columns)]
            scores.append(((block - block.mean()) ** 2).sum() / (block.size * block.mean()))
    power = np.abs(np.fft.fft2(plane - plane.mean())) ** 2
    summed = {}
    for i in range(side):
        for j in range(side):
            y, x = min(i, side - 1 - i), min(j, side - 1 - j)
            radius = int(np.sqrt(y * y + x * x)) + 1
            summed[radius] = summed.get(radius, 0) + power[i, j]
    radii = np.arange(2, side // 8)
    slope = np.polyfit(np.log(radii), np.log([summed[radius] for radius in radii]), 1)[0]
    return [
        plane.var() / plane.mean(), np.var(scores) / np.median(scores),
        100 * np.mean(plane == plane.max()), 100 * np.mean(plane == plane.min()), slope,
    ]  # fmt: skip


@pytest.mark.parametrize("side", [64, 41, 60])
def test_image_quality_is_that_of_its_definition(side, planes):
    planes = np.round(planes[:, :side, :side], 2)
    expected = [naive_quality(plane) for plane in planes]
    assert np.allclose(cellprofiler_quality.image_quality(planes), expected, rtol=1e-8)


def test_a_block_without_light_has_no_focus_score(planes):
    dark = planes.copy()
    dark[:, :16, :16] = 0  # the first of four by four blocks
    scores = [[b.var() / b.mean() for r in np.split(p, 4) for b in np.split(r, 4, axis=1)] for p in planes]
    rest = np.array(scores)[:, 1:]
    expected = rest.var(axis=1) / np.median(rest, axis=1)
    assert np.allclose(cellprofiler_quality.image_quality(dark)[:, 1], expected)


@pytest.mark.parametrize("families", [ALL, ("quality", "intensity")])
@pytest.mark.parametrize("scales", [(3,), (1, 5)])
def test_names_fit_the_columns(families, scales, crops):
    component = CellProfiler(40, families=families, scales=scales)
    names = component.names(STAINS)
    assert len(set(names)) == len(names) == component.encode(crops, np.random.default_rng(0)).shape[1]
    assert names[: len(names) // 2] == component.names(("DAPI",))


def test_names_are_those_of_cellprofiler():
    names = CellProfiler(families=ALL, scales=(3, 7)).names(("DAPI",))
    for name in (
        "Intensity_MeanIntensity_DAPI", "Intensity_MADIntensity_DAPI", "Location_CenterMassIntensity_X_DAPI",
        "RadialDistribution_FracAtD_DAPI_1of4", "RadialDistribution_RadialCV_DAPI_4of4",
        "RadialDistribution_ZernikeMagnitude_DAPI_9_9", "Texture_Contrast_DAPI_3_00_256",
        "Texture_InfoMeas2_DAPI_7_03_256", "Granularity_13_DAPI", "ImageQuality_PowerLogLogSlope_DAPI",
        "ImageQuality_LocalFocusScore_DAPI_20",
    ):  # fmt: skip
        assert name in names


def test_a_column_holds_what_its_name_says(crops):
    component = CellProfiler(40, brightest=100)
    x = component.encode(crops, np.random.default_rng(0))
    names = component.names(STAINS)
    corner = np.floor(crops.centres_px - 20 + 0.5).astype(int)
    for row, ((left, top), section) in enumerate(zip(corner, crops.sample, strict=True)):
        for stain, whole in zip(STAINS, crops.pixels[section], strict=True):
            framed = whole[top : top + 40, left : left + 40] / whole.max()
            for name, value in {
                f"Intensity_MeanIntensity_{stain}": framed.mean(),
                f"Intensity_MinIntensityEdge_{stain}": min(
                    framed[0].min(), framed[-1].min(), framed[:, 0].min(), framed[:, -1].min()
                ),
                f"Location_MaxIntensity_X_{stain}": np.unravel_index(framed.argmax(), (40, 40))[1],
                f"Location_MaxIntensity_Y_{stain}": np.unravel_index(framed.argmax(), (40, 40))[0],
                f"ImageQuality_PercentMinimal_{stain}": 100 * np.mean(framed == framed.min()),
            }.items():
                assert x[row, names.index(name)] == pytest.approx(value, rel=1e-5), name


def test_the_blocklist_is_the_published_one():
    """Its names hold a compartment and a stain of Cell Painting, of which the features are named alike."""
    blocklist = pytest.importorskip("pycytominer.cyto_utils.blocklist").get_blocklist_features()
    blocked = {name.removeprefix("Nuclei_").rsplit("_", 1)[0] for name in blocklist}
    everything = {
        name.removesuffix("_DAPI") for name in CellProfiler(families=ALL, blocklist=False).names(("DAPI",))
    }
    kept = {name.removesuffix("_DAPI") for name in CellProfiler(families=ALL).names(("DAPI",))}
    assert everything - kept == everything & blocked == {f"Granularity_{step}" for step in (14, 15, 16)}


def test_crops_do_not_depend_on_those_measured_with_them(crops, monkeypatch):
    together = encoded(crops, families=ALL)
    monkeypatch.setattr(cellprofiler, "AT_ONCE_PX", 1)
    assert np.allclose(together, encoded(crops, families=ALL), rtol=1e-5, atol=1e-6, equal_nan=True)


def test_each_section_is_by_itself(crops):
    rows = np.flatnonzero(crops.sample == 1)
    part = Crops(crops.centres_px[rows], np.zeros(len(rows), int), (0.1,), STAINS, crops.pixels[1:])
    assert np.array_equal(encoded(part), encoded(crops)[rows], equal_nan=True)


def test_how_bright_a_section_is_does_not_matter(crops):
    brighter = tuple(tuple(plane * np.float64(3) for plane in section) for section in crops.pixels)
    other = Crops(crops.centres_px, crops.sample, crops.mpp, STAINS, brighter)
    assert np.allclose(encoded(crops), encoded(other), rtol=1e-4, atol=1e-4, equal_nan=True)


def test_the_brightest_pixels_of_large_sections_are_looked_for_in_some(crops, monkeypatch):
    whole = cellprofiler._brightest(crops, STAINS, 99.9)
    for section in (0, 1):
        for k in (0, 1):
            assert whole[section, k] == np.percentile(crops.pixels[section][k], 99.9)
    monkeypatch.setattr(cellprofiler, "LOOKED_AT_PX", 5000)  # every second row and column
    assert np.array_equal(
        cellprofiler._brightest(crops, STAINS[1:], 50)[:, 0],
        [np.percentile(section[1][::2, ::2], 50) for section in crops.pixels],
    )


def test_crops_beyond_the_image_are_dark_there_and_said(crops):
    cells = Crops(np.array([[50.0, 50.0], [10.0, 60.0]]), np.zeros(2, int), (0.1,), STAINS, crops.pixels[:1])
    with pytest.warns(
        TriptychWarning, match="cellprofiler: 1 of 2 crops reach beyond the image, where they are 0"
    ):
        found = encoded(cells, brightest=100)
    padded = tuple(np.pad(plane, ((0, 0), (20, 0))) for plane in crops.pixels[0])
    inside = Crops(cells.centres_px + np.array([20, 0]), cells.sample, (0.1,), STAINS, (padded,))
    assert np.allclose(found, encoded(inside, brightest=100), rtol=1e-5, equal_nan=True)


def test_stains_are_taken_in_the_order_named(crops):
    one, both = encoded(crops, stains=("membrane",)), encoded(crops)
    assert np.array_equal(one, both[:, both.shape[1] // 2 :], equal_nan=True)
    turned = encoded(crops, stains=("membrane", "DAPI"))
    assert np.array_equal(turned[:, : one.shape[1]], one, equal_nan=True)


@pytest.mark.parametrize("level", [0, 7])
def test_what_is_not_defined_on_a_flat_crop_is_missing(level):
    """Without a word from numpy; what is defined stays."""
    flat = Crops(np.full((2, 2), 50.0), np.zeros(2, int), (0.1,), ("DAPI",), ((np.full((100, 100), level),),))
    component = CellProfiler(40, families=ALL, brightest=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = component.encode(flat, np.random.default_rng(0))
    lost = {
        name for name, column in zip(component.names(("DAPI",)), x.T, strict=True) if np.isnan(column).any()
    }
    assert "ImageQuality_PowerLogLogSlope_DAPI" in lost
    assert {"Intensity_MeanIntensity_DAPI", "ImageQuality_FocusScore_DAPI", "Granularity_1_DAPI"}.isdisjoint(
        lost
    )
    dark = {
        "Texture_Contrast_DAPI_3_00_256",
        "RadialDistribution_FracAtD_DAPI_1of4",
        "Intensity_MassDisplacement_DAPI",
    }
    assert dark <= lost if level == 0 else dark.isdisjoint(lost)


def test_the_disk_lies_within_the_crop():
    for side in (40, 41):
        whole, disk = masks(side).values()
        assert whole.all()
        assert disk.mean() == pytest.approx(np.pi / 4, abs=0.02)
        assert (disk == disk.T).all()
        assert (disk == disk[::-1]).all()
        assert disk[0].any()


def test_rings_part_the_mask():
    for mask in masks(50).values():
        part = cellprofiler_rings._parts(mask)
        assert ((part >= 0) == mask).all()
        assert part.max() == cellprofiler_rings.RINGS * cellprofiler_rings.WEDGES - 1


def test_crops_lie_side_by_side_without_touching(planes):
    labels, pixels = cellprofiler_objects.side_by_side(planes, np.ones((64, 64), bool))
    assert labels.shape == pixels.shape == (66, 4 * 65 + 1)
    assert [(labels == k).sum() for k in (1, 2, 3, 4)] == [64 * 64] * 4
    for k in range(4):
        assert (pixels[labels == k + 1].reshape(64, 64) == planes[k]).all()
    assert not pixels[labels == 0].any()


@pytest.mark.parametrize("radius_px", [4, 8, 12])
def test_the_granular_spectrum_finds_the_size_of_spots(radius_px):
    """On a grid four times coarser, spots of radius r are gone when r / 4 + 1 pixels are eroded."""
    i, j = np.indices((96, 96))
    spot = ((i % 48 - 24) ** 2 + (j % 48 - 24) ** 2 <= radius_px**2) * 0.8 + 0.1
    spectrum = granularity(np.ones((96, 96), bool), 13)(spot[None])[0]
    ground, step = spectrum[0], radius_px // 4  # the first step loses the background with what it erodes
    assert np.flatnonzero(spectrum > 1e-9).tolist() == [0, step]
    assert ground + spectrum[step] == pytest.approx(100)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop_px": 31}, "crop_px must be from 32 to 1024, got 31"),
        ({"crop_px": 2000}, "crop_px must be from"),
        ({"families": ()}, "families must name at least one"),
        ({"families": ("texture", "texture")}, "each once"),
        ({"scales": ()}, "texture needs at least one of scales"),
        ({"scales": (3, 3)}, "scales must differ"),
        ({"scales": (0,)}, "above 0"),
        ({"scales": (50,)}, "below half of crop_px"),
        ({"brightest": 0}, "brightest must be above 0 and at most 100, got 0"),
    ],
)
def test_parameters_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CellProfiler(**settings)


def test_data_without_stains_are_refused(crops):
    bare = Crops(crops.centres_px, crops.sample, crops.mpp)
    with pytest.raises(DataError, match="cellprofiler: the data have no stains"):
        encoded(bare)
    with pytest.raises(DataError, match="there is no stain PolyT; there is DAPI, membrane"):
        encoded(crops, stains=("PolyT",))


def test_crops_with_pixels_that_are_no_numbers_are_refused(crops):
    broken = crops.pixels[1][1].astype(np.float32)
    broken[60:70, 60:70] = np.nan
    pixels = (crops.pixels[0], (crops.pixels[1][0], broken))
    cells = Crops(np.array([[20.0, 20.0], [65.0, 65.0]]), np.ones(2, int), crops.mpp, STAINS, pixels)
    with pytest.raises(
        DataError, match="cellprofiler: some crops of membrane have pixels that are not finite"
    ):
        encoded(cells)
    elsewhere = Crops(np.full((2, 2), 25.0), np.ones(2, int), crops.mpp, STAINS, pixels)
    assert np.isfinite(encoded(elsewhere)).all()  # NaN outside the tissue harms nobody


def test_without_cp_measure_the_extra_is_named(crops, monkeypatch):
    monkeypatch.setitem(sys.modules, "cp_measure.core.measureobjectintensity", None)
    with pytest.raises(MissingExtraError, match=r"triptych\[profiling\]"):
        encoded(crops)


@pytest.mark.data
@pytest.mark.parametrize("crop_px", [100, 300])
def test_real_stains_miss_nothing(crop_px, real_data, rng):
    import tifffile

    folder, stains = real_data / "merscope" / "input_images", ("DAPI", "Cellbound1")
    pixels = tuple(tifffile.imread(folder / f"mosaic_{stain}_z3.tif") for stain in stains)
    centres = rng.uniform(crop_px / 2, 512 - crop_px / 2, (12, 2))
    component = CellProfiler(crop_px)
    x = component.encode(Crops(centres, np.zeros(12, int), (0.108,), stains, (pixels,)), rng)
    assert x.shape == (12, 202) == (12, len(component.names(stains)))
    assert np.isfinite(x).all()
