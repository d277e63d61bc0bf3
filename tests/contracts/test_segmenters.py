"""Every segmenter: nuclei numbered without gaps, chances of their types, and nothing learned but labels.

Those of a library need its packages, and are given a tiny encoder that begins at random.
"""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError, WeightsError
from triptych.core.models import ARRAYS, Fit
from triptych.core.nuclei import UNKNOWN, SegmenterModel, Tiles
from triptych.segmenters import registry

SIDE, MPP = 64, 0.25
OF_TIMM = {"weights": "none", "batch": 4, "crop_px": 32, "stain_jitter": 0.0}
PARAMS = {
    "unet-hv": {"width": 8, "depth": 2, "batch": 4, "crop_px": 48, "stain_jitter": 0.3},
    "hovernet": {"encoder": "resnet10t", "widths": (64, 64, 16, 16)} | OF_TIMM,
    "cellvit": {"encoder": "test_vit", "widths": (32, 16, 16, 16)} | OF_TIMM,
}
STEPS = {"unet-hv": 150, "hovernet": 60, "cellvit": 60}  # until white is told from nuclei
OPTIONAL = dict.fromkeys(("hovernet", "cellvit"), ("timm", "cellseg_models_pytorch"))
NAMES = pytest.mark.parametrize("name", list(registry))
ELSEWHERE = """
import sys
from pathlib import Path

import numpy as np

from triptych.segmenters import registry

folder = Path(sys.argv[1])
window = np.load(folder / "window.npy")
for name in sys.argv[2:]:
    found = registry.find(name)().restore(folder / name).segment(window)
    np.savez(folder / f"{name}.npz", instances=found.instances, probabilities=found.probabilities)
"""


class Painted:
    """Tiles in memory of discs of haematoxylin on eosin, those of one class with brown; the last is glass.

    Each disc lies in its square of 16 px. Nothing that `take` gives may be written to.
    """

    classes, mpp, tile_px = ("plain", "brown"), MPP, SIDE  # in an order that no sorting gives

    def __init__(self, count=6, seed=0):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:SIDE, :SIDE]
        self.instances = np.zeros((count, SIDE, SIDE), np.int32)
        self.types = np.zeros((count, SIDE, SIDE), np.uint8)
        for tile in range(count - 1):
            for number, corner in enumerate(np.argwhere(np.ones((4, 4))) * 16, 1):
                cy, cx = corner + rng.uniform(7, 9, 2)
                disc = (y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(5, 6.5) ** 2
                self.instances[tile][disc], self.types[tile][disc] = number, 1 + rng.integers(2)
        blue, brown = (np.array(of)[self.types][..., None] for of in ([0.0, 1.2, 1.2], [0.0, 0.0, 0.6]))
        eosin = 0.25 * (np.arange(count) < count - 1)[:, None, None, None]
        density = blue * [0.65, 0.70, 0.29] + brown * [0.27, 0.57, 0.78] + eosin * [0.07, 0.99, 0.11]
        light = 250 * np.exp(-density)
        self.image = np.clip(light + rng.normal(0, 3, light.shape), 0, 255).astype(np.uint8)
        self.ignore = np.zeros(self.types.shape, bool)
        self.about = pd.DataFrame(
            {"sample": "s", "donor": "d", "organ": "o", "x_px": 0, "y_px": 0, "nuclei": 16}, range(count)
        )

    def __len__(self):
        return len(self.image)

    def take(self, rows):
        taken = Tiles(*(of[rows] for of in (self.image, self.instances, self.types, self.ignore)))
        for part in (taken.image, taken.instances, taken.types, taken.ignore):
            part.flags.writeable = False
        return taken

    def but(self, **arrays):
        """The same with other labels."""
        other = Painted(0)
        other.__dict__ |= self.__dict__ | arrays
        return other


@pytest.fixture
def make(small):
    def build(name, **more):
        for package in OPTIONAL.get(name, ()):
            pytest.importorskip(package, reason="the extra nuclei is not installed", exc_type=ImportError)
        return small(registry, name, **{"steps": 2} | PARAMS.get(name, {}) | more)

    return build


@pytest.fixture
def component(name, make):
    return make(name)


@pytest.fixture(scope="module")
def kept():
    return {}


@pytest.fixture
def model(name, make, kept):
    """What was learned in so many steps that it is of use; once for all tests."""
    if name not in kept:
        component = make(name, steps=STEPS.get(name, 2))
        kept[name] = component.fit(Painted(), np.random.default_rng(0)).model
    return kept[name]


def content(model, folder):
    """The bytes of each file of a saved model."""
    model.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def learned(component, tmp_path):
    """From tiles to the bytes of the model that a few steps give."""
    count = iter(range(99))

    def fit(tiles, seed=0):
        given = component.fit(tiles, np.random.default_rng(seed)).model
        return content(given, tmp_path / f"learned{next(count)}")

    return fit


@NAMES
def test_contract(name, component, declares, unchanged):
    declares(registry, name, component)
    assert component.takes == "tiles"
    tiles = Painted()
    about = tiles.about.copy()
    unchanged(tiles.image, tiles.instances, tiles.types, tiles.ignore)
    fit = component.fit(tiles, np.random.default_rng(0))
    assert isinstance(fit, Fit)
    assert fit.value is None
    assert isinstance(fit.model, SegmenterModel)
    assert fit.model.classes in (tiles.classes, ())
    assert fit.model.mpp == MPP
    assert fit.model.halo_px >= 0
    assert fit.model.multiple_px >= 1
    pd.testing.assert_frame_equal(tiles.about, about)


@NAMES
def test_the_same_seed_gives_the_same_bytes(component, learned):
    tiles = Painted()
    one, again, other = (learned(tiles, seed) for seed in (1, 1, 2))
    assert one == again
    assert (one != other) == component.random


@NAMES
def test_nuclei_are_numbered_without_gaps_and_have_chances(name, model):
    window = Painted(2, seed=3).image[0]
    window.flags.writeable = False
    found, again = model.segment(window), model.segment(window)
    count = int(found.instances.max())
    assert found.instances.shape == (SIDE, SIDE)
    assert found.instances.dtype == np.int32
    assert np.array_equal(np.unique(found.instances[found.instances > 0]), np.arange(1, count + 1))
    assert found.probabilities.shape == (count, len(model.classes))
    assert found.probabilities.dtype == np.float32
    assert (found.probabilities >= 0).all()
    if model.classes:
        assert np.allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert found.instances.tobytes() == again.instances.tobytes()
    assert found.probabilities.tobytes() == again.probabilities.tobytes()


@NAMES
def test_painted_nuclei_are_found_and_on_glass_there_are_none(name, model):
    if name in OPTIONAL:
        pytest.skip(
            "so small a network over a random encoder learns more slowly: tests/segmenters/test_cellseg.py"
        )
    tiles = Painted(3, seed=4)
    for image, truth in zip(tiles.image[:2], tiles.instances[:2], strict=True):
        guess = model.segment(image).instances
        both = np.count_nonzero((guess > 0) & (truth > 0))
        assert 2 * both / (np.count_nonzero(guess) + np.count_nonzero(truth)) > 0.7
        assert 8 <= guess.max() <= 24  # of 16
    for white in (tiles.image[2], np.full((SIDE, SIDE, 3), 255, np.uint8)):
        found = model.segment(white)
        assert not found.instances.any()
        assert found.probabilities.shape == (0, len(model.classes))


@NAMES
def test_windows_may_have_other_sides(name, model):
    picture = np.tile(Painted(2, seed=5).image[0], (3, 3, 1))
    step = model.multiple_px
    for height, width in ((step, step), (step * (80 // step), step * (112 // step)), (2 * SIDE, step)):
        found = model.segment(np.ascontiguousarray(picture[:height, :width]))
        assert found.instances.shape == (height, width)
        assert len(found.probabilities) == found.instances.max()
    assert model.segment(picture[::-1, ::-1]).instances.any()  # whatever its strides


@NAMES
def test_what_is_not_a_picture_is_refused(name, model):
    window = Painted(2).image[0]
    for wrong, told in (
        (window[..., :2], r"shape \(.*64, 64, 2\)"),
        (window[..., 0], r"shape \(.*64, 64\)"),
        (window[:0], r"shape \(.*0, 64, 3\)"),
        (window / np.float32(255), "float32; they need uint8"),
    ):
        with pytest.raises(DataError, match=told):
            model.segment(wrong)


@NAMES
def test_a_restored_model_gives_the_same_bits(name, component, model, restored, tmp_path):
    again, window = restored(component, model), Painted(2, seed=6).image[0]
    assert isinstance(again, SegmenterModel)
    one, other = (of.segment(window) for of in (model, again))
    assert one.instances.tobytes() == other.instances.tobytes()
    assert one.probabilities.tobytes() == other.probabilities.tobytes()
    assert (again.classes, again.mpp) == (model.classes, model.mpp)
    assert (again.halo_px, again.multiple_px) == (model.halo_px, model.multiple_px)
    assert content(again, tmp_path / "again") == content(model, tmp_path / "model")


@NAMES
def test_damaged_models_are_refused(name, component, model, refuses_damage, tmp_path):
    refuses_damage(component, model)
    with pytest.raises(WeightsError, match=f"holds no {ARRAYS}"):
        component.restore(tmp_path / "nowhere")


def test_a_new_process_gives_the_same_bits(make, kept, tmp_path):
    """All models at once, for starting a process is what takes long."""
    window = Painted(2, seed=7).image[0]
    np.save(tmp_path / "window.npy", window)
    names = [name for name in registry if name not in OPTIONAL]  # timm needs what conftest declares
    for name in names:
        if name not in kept:
            kept[name] = make(name).fit(Painted(), np.random.default_rng(0)).model
        kept[name].save(tmp_path / name)
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(tmp_path), *names], check=True, timeout=200)
    for name in names:
        found, elsewhere = kept[name].segment(window), np.load(tmp_path / f"{name}.npz")
        assert elsewhere["instances"].tobytes() == found.instances.tobytes(), name
        assert elsewhere["probabilities"].tobytes() == found.probabilities.tobytes(), name


@NAMES
def test_numbers_of_nuclei_do_not_matter(name, learned):
    """Any will do, also such as are not in a row."""
    tiles, numbers = Painted(), np.random.default_rng(1).permutation(40000)[:17].astype(np.int32)
    numbers[0] = 0
    assert learned(tiles) == learned(tiles.but(instances=numbers[tiles.instances]))


@NAMES
def test_labels_that_are_to_be_ignored_play_no_part(name, learned):
    """Whatever they are, no bit of the model follows from them."""
    tiles, right = Painted(), np.zeros((6, SIDE, SIDE), bool)
    right[:, :, SIDE // 2 :] = True
    instances, types = tiles.instances.copy(), tiles.types.copy()
    instances[right], types[right] = 0, 0
    instances[:, 4:30, 40:60], types[:, 4:30, 40:60] = 77, 2
    one, other = tiles.but(ignore=right), tiles.but(ignore=right, instances=instances, types=types)
    assert learned(one) == learned(other)


@NAMES
@pytest.mark.parametrize("what", ["unknown types", "no classes", "no nuclei", "one tile", "all ignored"])
def test_tiles_of_which_little_is_known_do_no_harm(name, component, what):
    tiles = Painted()
    nothing = np.zeros_like(tiles.types)
    given = {
        "unknown types": tiles.but(types=np.where(tiles.types, UNKNOWN, 0).astype(np.uint8)),
        "no classes": tiles.but(classes=(), types=np.where(tiles.types, UNKNOWN, 0).astype(np.uint8)),
        "no nuclei": tiles.but(instances=nothing.astype(np.int32), types=nothing),
        "one tile": Painted(2).but(
            **{key: getattr(tiles, key)[:1] for key in ("image", "instances", "types", "ignore", "about")}
        ),
        "all ignored": tiles.but(ignore=~nothing.astype(bool)),
    }[what]
    if (name, what) == ("watershed-stain", "all ignored"):  # it needs some picture
        with pytest.raises(DataError, match="all pixels of the tiles are to be ignored"):
            component.fit(given, np.random.default_rng(0))
        return
    model = component.fit(given, np.random.default_rng(0)).model
    found = model.segment(tiles.image[0])
    assert np.isfinite(found.probabilities).all()
    assert model.classes in (given.classes, ())


@NAMES
def test_tiles_from_which_nothing_can_be_learned_are_refused(name, component):
    with pytest.raises(DataError, match="here are no labelled tiles"):
        component.fit(Painted(0), np.random.default_rng(0))
    for mpp in (np.nan, 0.0):
        with pytest.raises(DataError, match=f"the tiles have {mpp} µm per pixel"):
            component.fit(Painted().but(mpp=mpp), np.random.default_rng(0))


@NAMES
def test_numbers_out_of_range_are_refused_by_name(name, component, refuses_nonsense):
    assert refuses_nonsense(registry, component, name)


@pytest.mark.parametrize("name", [name for name in registry if name != "watershed-stain"])
def test_tiles_smaller_than_what_is_seen_of_them_are_refused(name, component):
    with pytest.raises(DataError, match=f"sides of {SIDE} px, and crop_px is 96"):
        replace(component, crop_px=96).fit(Painted(), np.random.default_rng(0))
