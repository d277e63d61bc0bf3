"""The control of every segmenter: found nuclei, the three thresholds, windows, saving, messages."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage.color import rgb2hed

from triptych.core.errors import DataError, WeightsError
from triptych.core.models import Fit
from triptych.core.nuclei import Segmenter, SegmenterModel, Tiles
from triptych.maths.stitching import painted
from triptych.segmenters.watershed_stain import FittedWatershedStain, WatershedStain, haematoxylin
from triptych.tiles.segmented import segmented, windows_for

RNG = np.random.default_rng(0)


class Source:
    """Labelled tiles in memory."""

    classes, mpp = (), 0.25

    def __init__(self, images, mpp=0.25):
        self.images, self.mpp = np.asarray(images, np.uint8), mpp
        self.tile_px = self.images.shape[1] if len(self.images) else 0
        self.about = pd.DataFrame(index=range(len(self.images)))

    def __len__(self):
        return len(self.images)

    def take(self, rows):
        image = self.images[rows]
        none = np.zeros(image.shape[:3], np.int32)
        return Tiles(image, none, none.astype(np.uint8), none > 0)


class Slide:
    """A picture in memory."""

    def __init__(self, pixels):
        self.pixels, self.shape_px = pixels, pixels.shape[:2]

    def read(self, x0, y0, width, height):
        return self.pixels[y0 : y0 + height, x0 : x0 + width]


def stained(seed=0, shape=(256, 256), pitch=26, amount=1.0):
    """Discs of haematoxylin on eosin, with noise, and which pixel is in which disc."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.int32)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for number, (row, column) in enumerate(
        (r, c) for r in range(13, shape[0] - 8, pitch) for c in range(13, shape[1] - 8, pitch)
    ):
        cy, cx, radius = row + rng.uniform(-3, 3), column + rng.uniform(-3, 3), rng.uniform(6, 9)
        truth[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = number + 1
    density = (truth > 0)[..., None] * amount * np.array([0.65, 0.70, 0.29]) + 0.3 * np.array(
        [0.07, 0.99, 0.11]
    )
    light = 255 * np.exp(-density) + rng.normal(0, 4, (*shape, 3))
    return np.clip(light, 0, 255).astype(np.uint8), truth


@pytest.fixture(scope="module", params=["local", "fit", "window"])
def model(request):
    tiles = Source([stained(seed)[0] for seed in range(3)])
    return WatershedStain(threshold=request.param).fit(tiles, RNG).model


def test_it_is_a_segmenter(model):
    assert isinstance(WatershedStain(), Segmenter)
    assert isinstance(model, SegmenterModel)
    fit = WatershedStain().fit(Source([stained()[0]]), RNG)
    assert isinstance(fit, Fit)
    assert fit.value is None


def test_it_finds_discs_of_haematoxylin(model):
    pixels, truth = stained(7)
    found = model.segment(pixels)
    count = len(np.unique(truth)) - 1
    assert found.instances.max() == count
    assert found.probabilities.shape == (count, 0)
    both = np.count_nonzero((found.instances > 0) & (truth > 0))
    assert 2 * both / (np.count_nonzero(found.instances) + np.count_nonzero(truth)) > 0.9


def test_discs_that_touch_are_cut():
    y, x = np.mgrid[:60, :80]
    truth = np.where((y - 30) ** 2 + (x - 25) ** 2 <= 144, 1, 0)
    truth[(y - 30) ** 2 + (x - 46) ** 2 <= 144] = 2
    density = (truth > 0)[..., None] * np.array([0.65, 0.70, 0.29])
    pixels = (255 * np.exp(-density)).astype(np.uint8)
    model = WatershedStain(threshold="fit").fit(Source(pixels[None]), RNG).model
    found = model.segment(pixels).instances
    assert found.max() == 2
    assert abs(np.bincount(found.ravel())[1] - np.bincount(found.ravel())[2]) < 40


def test_a_paler_slide_is_seen_by_all_but_the_threshold_of_the_fit():
    pixels, truth = stained(5, amount=0.35)
    tiles = Source([stained(seed, amount=1.6)[0] for seed in range(2)])
    found = {
        one: WatershedStain(threshold=one).fit(tiles, RNG).model.segment(pixels).instances.max()
        for one in ("local", "fit", "window")
    }
    assert found["fit"] == 0
    assert found["local"] == found["window"] == len(np.unique(truth)) - 1


def test_haematoxylin_is_that_of_scikit_image():
    pixels = np.random.default_rng(1).integers(60, 255, (9, 8, 3)).astype(np.uint8)
    # its rows have no length of 1, its light is I / 255, and it is of base 10^-6: another scale and offset
    found, other = haematoxylin(pixels, 0).ravel(), _unclipped(pixels).ravel()
    assert np.corrcoef(found, other)[0, 1] > 0.999
    assert haematoxylin(np.full((2, 2, 3), 255, np.uint8), 0).tolist() == [[0, 0], [0, 0]]


def _unclipped(pixels):
    from skimage.color import hed_from_rgb

    assert rgb2hed(pixels).shape == pixels.shape
    return (np.log(np.maximum(pixels / 255, 1 / 255)) @ hed_from_rgb * -1)[..., 0]


def test_windows_of_any_side_find_the_same():
    pixels, _ = stained(3, (330, 400))
    model = WatershedStain().fit(Source([stained(seed)[0] for seed in range(2)]), RNG).model
    slide = Slide(pixels)
    sides = {side: windows_for(slide, model, side_px=side) for side in (256, 300, 900)}
    with ThreadPoolExecutor(2) as pool:
        found = {
            side: painted(segmented(slide, model, windows, pool=pool), 400, 330).instances
            for side, windows in sides.items()
        }
    serial = painted(segmented(slide, model, sides[256]), 400, 330).instances
    assert np.array_equal(serial, found[256])
    assert found[256].max() == found[300].max() == found[900].max()
    for side in (256, 300):
        assert np.mean((found[side] > 0) == (found[900] > 0)) > 0.999


def test_windows_that_are_not_wanted_are_not_looked_at():
    pixels, _ = stained(3, (300, 600))
    model = WatershedStain().fit(Source([stained()[0]]), RNG).model
    slide, windows = Slide(pixels), windows_for(Slide(pixels), model, side_px=256)
    looked = []

    class Watched:
        def segment(self, window):
            looked.append(window.shape)
            return model.segment(window)

    parts = list(segmented(slide, Watched(), windows, wanted=lambda core: core.x0 < 128))
    assert 0 < len(looked) < len(windows)
    assert painted(parts, 600, 300).instances[:, 300:].max() == 0
    assert list(segmented(slide, Watched(), windows, wanted=lambda _: False)) == []
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        next(segmented(slide, model, depth=0))


def test_what_lies_beyond_the_picture_is_its_reflection():
    shapes = []

    class Pooling:
        classes, mpp, halo_px, multiple_px = (), 0.25, 20, 16

        def segment(self, window):
            shapes.append(window.shape)
            return model.segment(window)

    pixels, _ = stained(3, (130, 205))
    model = WatershedStain().fit(Source([stained()[0]]), RNG).model
    for part in segmented(Slide(pixels), Pooling(), windows_for(Slide(pixels), Pooling(), side_px=128)):
        height, width = part.found.instances.shape
        assert part.x0 + width <= 205
        assert part.y0 + height <= 130
    assert all(side % 16 == 0 for shape in shapes for side in shape[:2])


def test_it_comes_back_from_its_folder(model, tmp_path):
    model.save(tmp_path / "model")
    again = WatershedStain().restore(tmp_path / "model")
    assert (again.settings, again.density, again.classes) == (model.settings, model.density, ())
    pixels, _ = stained(9)
    assert np.array_equal(again.segment(pixels).instances, model.segment(pixels).instances)
    text = (tmp_path / "model" / "model.json").read_text("utf-8").replace('"mpp": 0.25', '"mpp": -1.0')
    (tmp_path / "model" / "model.json").write_text(text, "utf-8")
    with pytest.raises(WeightsError, match=r"its resolution -1.0 or density .* makes no sense"):
        FittedWatershedStain.load(tmp_path / "model")


def test_lengths_follow_the_resolution():
    pixels, _ = stained(2)
    fine = np.repeat(np.repeat(pixels, 2, axis=0), 2, axis=1)
    counts = [
        WatershedStain().fit(Source([image], mpp), RNG).model.segment(image).instances.max()
        for image, mpp in ((pixels, 0.25), (fine, 0.125))
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spread": 9}, "spread must be from -2 to 4, got 9"),
        ({"around_um": 2}, "around_um must be from 8 to 512, got 2"),
        ({"apart_um": -1}, "apart_um must be from 0 to 16, got -1"),
        ({"smoothing_um": 20}, "smoothing_um must be from 0 to 16, got 20"),
        ({"opening_um": 17}, "opening_um must be from 0 to 16, got 17"),
        ({"least_um2": -3}, "least_um2 must be at least 0, got -3"),
    ],
)
def test_parameters_that_make_no_sense(given, message):
    with pytest.raises(ValueError, match=message):
        WatershedStain(**given)


def test_what_cannot_be_learned_from_or_looked_at():
    with pytest.raises(DataError, match="watershed-stain: there are no labelled tiles"):
        WatershedStain().fit(Source(np.zeros((0, 4, 4, 3))), RNG)
    with pytest.raises(DataError, match="the tiles have nan µm per pixel"):
        WatershedStain().fit(Source([stained()[0]], np.nan), RNG)
    with pytest.raises(DataError, match="the tiles hold one shade only"):
        WatershedStain().fit(Source(np.full((2, 8, 8, 3), 200)), RNG)
    model = WatershedStain().fit(Source([stained()[0]]), RNG).model
    with pytest.raises(
        DataError, match=r"2 faults(.|\n)*the window has shape \(4, 4\)(.|\n)*the pixels are float"
    ):
        model.segment(np.zeros((4, 4)))


def test_an_empty_picture_holds_nothing():
    white = np.full((64, 64, 3), 250, np.uint8)
    for threshold in ("local", "fit", "window"):
        model = WatershedStain(threshold=threshold).fit(Source([stained()[0]]), RNG).model
        assert model.segment(white).instances.max() == 0


def quality(truth, guess):
    """Panoptic quality of two pictures of labels."""
    pairs, areas = np.unique(np.stack([truth.ravel(), guess.ravel()]), axis=1, return_counts=True)
    union = np.bincount(truth.ravel())[pairs[0]] + np.bincount(guess.ravel())[pairs[1]] - areas
    iou = (areas / union)[pairs.all(axis=0)]
    return 2 * iou[iou > 0.5].sum() / (truth.max() + guess.max())


@pytest.mark.data
@pytest.mark.slow
def test_windows_of_three_sides_find_the_same_in_real_tissue():
    folder = Path(os.environ.get("TRIPTYCH_DATA", "")) / "monuseg" / "images"
    if "TRIPTYCH_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("TRIPTYCH_DATA does not name a folder with monuseg")
    pixels = np.asarray(Image.open(sorted(folder.glob("kidney*"))[0]))
    tiles = [pixels[y : y + 250, x : x + 250] for y in range(0, 1000, 250) for x in range(0, 1000, 250)]
    model, slide = WatershedStain().fit(Source(tiles), RNG).model, Slide(pixels)
    found = {
        side: painted(segmented(slide, model, windows_for(slide, model, side_px=side)), 1000, 1000).instances
        for side in (256, 512, 1024)
    }
    assert found[1024].max() > 100
    assert min(quality(found[256], found[1024]), quality(found[512], found[1024])) >= 0.98
