"""Counts of nuclei in windows, against loops over the nuclei that the segmenter finds."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import RecipeError, WeightsError
from triptych.core.models import ABOUT, ARRAYS
from triptych.core.nuclei import Found, Tiles
from triptych.core.protocols import ImageEncoder
from triptych.encoders import registry
from triptych.encoders.images.nuclei_counts import counted
from triptych.segmenters.unet_hv import UnetHv

MPP, SIDE = 0.5, 48


class Squares:
    """Tiles of nine square nuclei: dark ones of one class, pale ones of another."""

    classes, mpp, tile_px = ("dark", "pale"), MPP, SIDE

    def __init__(self, number=4):
        rng = np.random.default_rng(0)
        self.image = np.full((number, SIDE, SIDE, 3), 230, np.uint8)
        self.instances = np.zeros((number, SIDE, SIDE), np.int32)
        self.types = np.zeros((number, SIDE, SIDE), np.uint8)
        for tile in range(number):
            for nucleus, (row, column) in enumerate(np.ndindex(3, 3), start=1):
                y, x = 16 * row + rng.integers(1, 5), 16 * column + rng.integers(1, 5)
                inside, kind = np.s_[tile, y : y + 10, x : x + 10], rng.integers(2)
                self.instances[inside], self.types[inside] = nucleus, 1 + kind
                self.image[inside] = ((60, 30, 110), (150, 90, 190))[kind]
        about = {"sample": "s", "donor": "d", "organ": "o", "x_px": 0, "y_px": 0, "nuclei": 9}
        self.about = pd.DataFrame(about, index=range(number))

    def __len__(self):
        return len(self.image)

    def take(self, rows):
        known = np.zeros(self.instances[rows].shape, bool)
        return Tiles(self.image[rows], self.instances[rows], self.types[rows], known)


@pytest.fixture(scope="module")
def model():
    how = UnetHv(width=8, depth=2, steps=100, batch=4, crop_px=SIDE, stain_jitter=0.0, learning_rate=5e-3)
    return how.fit(Squares(), np.random.default_rng(0)).model


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "segmenter")
    return tmp_path / "segmenter"


@pytest.fixture
def run(model, tmp_path):
    """What a run leaves behind, as far as it matters here."""
    steps = [
        {"do": "register", "use": "none"},
        {"do": "annotate", "use": "x"},
        {"do": "segment", "use": "unet-hv"},
    ]
    links = [{"index": 1, "learned": False}, {"index": 2, "learned": True}, {"index": 3, "learned": True}]
    model.save(tmp_path / "out" / "model" / "step-03")
    chain = {"recipe": {"steps": steps}, "links": links}
    (tmp_path / "out" / "model" / "chain.json").write_text(json.dumps(chain))
    return tmp_path / "out"


def make(folder, **params):
    return registry.make(
        "nuclei-counts", {"model": str(folder), "window_um": SIDE * MPP, "spot_um": 0.0} | params
    )


def naive(found, classes, radius_px):
    """One nucleus after the other."""
    side, numbers, areas = found.instances.shape[0], [0] * classes, []
    for number in range(1, len(found.probabilities) + 1):
        y, x = np.nonzero(found.instances == number)
        if np.hypot(y.mean() + 0.5 - side / 2, x.mean() + 0.5 - side / 2) <= radius_px:
            areas.append(len(x))
            if classes:
                numbers[int(found.probabilities[number - 1].argmax())] += 1
    return [*numbers, len(areas), np.mean(areas) if areas else 0]


@pytest.mark.parametrize("classes", [0, 1, 4])
@pytest.mark.parametrize("radius_px", [0.0, 12.0, np.inf])
def test_counted_is_a_loop_over_the_nuclei(classes, radius_px):
    rng = np.random.default_rng(classes)
    blocks = np.kron(rng.permutation(49).reshape(7, 7), np.ones((6, 6), int))
    instances = np.where(rng.random(blocks.shape) < 0.6, blocks, 0).astype(np.int32)
    found = Found(instances, rng.random((48, classes)).astype(np.float32))
    assert counted(found, classes, radius_px) == pytest.approx(naive(found, classes, radius_px))


@pytest.mark.parametrize("spot_um", [0.0, 12.0, 24.0])
def test_windows_are_counted_as_the_segmenter_finds_them(model, folder, spot_um):
    encoder, windows = make(folder, spot_um=spot_um), Squares().image
    assert isinstance(encoder, ImageEncoder)
    found = encoder.load("cpu")(windows)
    assert found.dtype == np.float32
    radius_px = spot_um / 2 / MPP or np.inf
    wanted = np.array([naive(model.segment(window), 2, radius_px) for window in windows])
    wanted[:, -1] *= MPP**2
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert found[:, 2].min() >= 1
    assert np.array_equal(found[:, :2].sum(axis=1), found[:, 2])
    assert encoder.names == ("dark", "pale", "all", "area_um2")


def test_all_nuclei_are_counted(folder):
    """Nine squares in each window, of 10 px = 5 µm: 25 µm² each."""
    found = make(folder).load("cpu")(Squares().image)
    assert np.abs(found[:, 2] - 9).max() <= 1
    assert np.abs(found[:, 3] - 25).max() < 6


def test_no_window_and_no_nucleus(folder):
    encode = make(folder).load("cpu")
    assert encode(np.empty((0, SIDE, SIDE, 3), np.uint8)).shape == (0, 4)
    assert np.array_equal(encode(np.full((1, SIDE, SIDE, 3), 230, np.uint8)), np.zeros((1, 4)))


def test_windows_are_read_at_the_resolution_of_the_segmenter(folder):
    assert make(folder).tile_px == SIDE
    assert make(folder, window_um=75.0).tile_px == 150
    assert registry.make("nuclei-counts").window_um > registry.make("nuclei-counts").spot_um == 55


def test_a_run_is_searched_for_its_segment_step(run, folder):
    windows = Squares(2).image
    wanted = make(folder).load("cpu")(windows)
    for place in (run, run / "model", run / "model" / "step-03"):
        encoder = make(place)
        assert encoder.fingerprint() == make(folder).fingerprint()
        assert encoder.load("cpu")(windows).tobytes() == wanted.tobytes()
    assert registry.make("nuclei-counts", json.loads(json.dumps(asdict(encoder)))) == encoder


def test_fingerprint_is_of_the_content(model, folder, tmp_path):
    replace(model, threshold=0.6).save(tmp_path / "other")
    model.save(tmp_path / "copy")
    assert make(tmp_path / "copy").fingerprint() == make(folder).fingerprint()
    assert make(tmp_path / "other").fingerprint() != make(folder).fingerprint()


def test_nothing_named():
    assert registry.make("nuclei-counts").tile_px == 0
    for ask in (lambda e: e.names, lambda e: e.fingerprint(), lambda e: e.load("cpu")):
        with pytest.raises(WeightsError, match="nuclei-counts has no segmenter. Set model to the folder"):
            ask(registry.make("nuclei-counts"))


def test_folders_without_a_segmenter(folder, tmp_path):
    with pytest.raises(WeightsError, match="absent holds no fitted segmenter: there is no model.json. Name"):
        make(tmp_path / "absent").load("cpu")
    with pytest.raises(WeightsError, match="there is no model.json. It holds: segmenter. Name the folder"):
        make(tmp_path).load("cpu")
    (folder / ARRAYS).unlink()
    with pytest.raises(WeightsError, match="there is no arrays.safetensors. It holds: model.json"):
        make(folder).load("cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda about: about | {"model": "FittedPca"},
            "holds a FittedPca, which is no network that finds nuclei. Fit unet-hv",
        ),
        (lambda about: about | {"model": ["HvModel"]}, r"holds a \['HvModel'\], which is no network"),
        (lambda about: about | {"values": {}}, "is damaged. Fit and save it again"),
        (lambda about: about | {"values": {"mpp": 0, "classes": []}}, "is damaged. Fit and save it again"),
        (lambda about: [about], "should hold names and values"),
    ],
)
def test_models_that_are_none(folder, change, message):
    about = json.loads((folder / ABOUT).read_text())
    (folder / ABOUT).write_text(json.dumps(change(about)))
    with pytest.raises(WeightsError, match=message):
        make(folder).fingerprint()


def test_damaged_weights(folder):
    (folder / ARRAYS).write_bytes(b"no arrays")
    with pytest.raises(WeightsError, match="is not a saved HvModel"):
        make(folder).load("cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda chain: chain["links"].pop(), "has 0 segment steps, and one is needed. Run st-nuclei first"),
        (
            lambda chain: chain["recipe"]["steps"][1].update(do="segment"),
            "has 2 segment steps.* Name the folder",
        ),
        (lambda chain: chain["links"][0].pop("learned"), "chain.json is damaged"),
        (lambda chain: chain.pop("recipe"), "chain.json is damaged"),
        (lambda chain: chain["links"][2].update(index=9), "chain.json is damaged"),
    ],
)
def test_runs_without_one_segment_step(run, change, message):
    chain = json.loads((run / "model" / "chain.json").read_text())
    change(chain)
    (run / "model" / "chain.json").write_text(json.dumps(chain))
    with pytest.raises(WeightsError, match=message):
        make(run).fingerprint()


def test_windows_that_are_too_large(folder):
    with pytest.raises(
        WeightsError, match="5000.0 µm are 10000 px of the segmenter in .*, at 0.5 µm per pixel"
    ):
        make(folder, window_um=5000.0).fingerprint()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"window_um": 0.0}, "window_um must be positive"),
        ({"window_um": float("nan")}, "window_um must be positive"),
        ({"spot_um": -1.0}, "spot_um must be from 0 to window_um"),
        ({"spot_um": 80.0}, "spot_um must be from 0 to window_um, 75.0, got 80.0"),
    ],
)
def test_out_of_range(params, message):
    with pytest.raises(RecipeError, match=message):
        registry.make("nuclei-counts", params)
