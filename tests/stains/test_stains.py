"""Both normalisers: against torchstain, on copies of one image stained in other ways, on real sections."""

from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.stains.macenko import AMOUNTS, REFERENCE, Macenko
from triptych.stains.reinhard import Reinhard

COLOURS = np.array([[0.65, 0.70, 0.29], [0.15, 0.90, 0.36]])  # of another stainer than the reference
COLOURS /= np.linalg.norm(COLOURS, axis=1, keepdims=True)
OTHERS = np.array([[0.72, 0.60, 0.35], [0.22, 0.85, 0.48]])
OTHERS /= np.linalg.norm(OTHERS, axis=1, keepdims=True)
BOTH = pytest.mark.parametrize("normaliser", [Macenko(), Reinhard()], ids=["macenko", "reinhard"])


def stained(colours, strength=(1.0, 1.0), windows=4, glass=0.0, seed=0):
    """Windows of 48 px: nuclei on eosin, where ``glass`` is the share of columns without tissue."""
    rng = np.random.default_rng(seed)
    shape = (windows, 48, 48)
    haematoxylin = np.where(rng.random(shape) < 0.3, rng.gamma(16, 0.09, shape), rng.gamma(2, 0.02, shape))
    eosin = rng.gamma(16, 0.045, shape) * (1 - 0.8 * (haematoxylin > 0.5))
    amounts = np.stack([haematoxylin, eosin], axis=-1) * strength
    amounts[:, :, : round(48 * glass)] = 0
    light = 240 * np.exp(-amounts @ np.asarray(colours)) - 1
    light[:, :, : round(48 * glass)] = 255
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def tissue_mean(windows):
    return windows[windows.max(axis=-1) < 250].mean(axis=0)


def torchstains(normaliser):
    torchstain = pytest.importorskip("torchstain")
    if isinstance(normaliser, Macenko):
        return torchstain.normalizers.MacenkoNormalizer(backend="numpy")
    return torchstain.normalizers.ReinhardNormalizer(backend="numpy")


def test_macenko_is_torchstain_on_one_image_of_tissue():
    image = stained(COLOURS, (1.3, 1.6), windows=1)
    dense = (-np.log((image + 1.0) / 240) >= 0.15).all(axis=-1)
    image = image[dense][: 40 * 40].reshape(1, 40, 40, 3)  # torchstain takes amounts of the ground as well
    theirs = torchstains(Macenko()).normalize(image[0], stains=False)[0].astype(int)
    ours = Macenko().section(image)(image)[0].astype(int)
    # It forgets to take off the one that it added to the light, and rounds down.
    assert np.abs(ours + 1 - theirs - 0.5).max() <= 0.5
    assert np.abs(ours - image[0]).mean() > 5


def test_macenko_has_the_constants_of_torchstain():
    theirs = torchstains(Macenko())
    np.testing.assert_array_equal(REFERENCE, theirs.HERef)
    np.testing.assert_array_equal(AMOUNTS, theirs.maxCRef)


@pytest.mark.parametrize("alpha", [0.5, 5.0])
def test_macenko_parameters_reach_the_estimate(alpha):
    image = stained(COLOURS)
    theirs = torchstains(Macenko())
    dense = (-np.log((image + 1.0) / 240) >= 0.3).all(axis=-1)
    theirs.fit(image[dense][:, None], alpha=alpha, beta=0.3)
    stains, amounts = Macenko(beta=0.3, alpha=alpha)._estimate(image[dense])
    np.testing.assert_array_equal(stains, theirs.HERef)
    np.testing.assert_array_equal(amounts, theirs.maxCRef)


def test_macenko_finds_the_stains_that_were_used():
    image = stained(COLOURS).reshape(-1, 3)
    stains, _ = Macenko()._estimate(image[(image < 200).all(axis=-1)])
    angles = np.degrees(np.arccos(np.clip((stains.T * COLOURS).sum(axis=1), -1, 1)))
    assert angles.max() < 5


def test_reinhard_is_torchstain_on_one_image_of_tissue():
    target, image = stained(OTHERS, windows=1, seed=1), stained(COLOURS, (1.5, 1.5), windows=1)
    light = (-np.log((image + 1.0) / 240)).mean(axis=-1) < 0.15
    image[light] = image[~light][0]
    theirs = torchstains(Reinhard())
    theirs.fit(target[0])
    ours = Reinhard(tuple(theirs.target_means.tolist()), tuple(theirs.target_stds.tolist()))
    found = ours.section(image)(image)[0].astype(int)
    difference = found - theirs.normalize(image[0])  # which rounds down
    assert 0 <= np.median(difference) <= 1
    assert np.quantile(np.abs(difference), 0.999) <= 1
    assert np.abs(found - image[0].astype(int)).mean() > 5


@BOTH
def test_what_is_at_the_reference_stays(normaliser):
    image = stained(COLOURS, (1.4, 1.2), glass=0.25)
    once = normaliser.section(image)(image)
    twice = normaliser.section(once)(once)
    moved, again = (np.abs(a.astype(int) - b.astype(int)).mean() for a, b in ((once, image), (twice, once)))
    assert moved > 5
    assert again < 0.12 * moved


def test_macenko_leaves_its_reference_as_it_is():
    rng = np.random.default_rng(0)
    amounts = rng.uniform(0.02, 1, (4, 48, 48, 2)) * AMOUNTS / 0.99
    amounts[:, ::8, :, 0], amounts[:, 1::8, :, 1] = 0, 0  # of one stain alone, for the extremes of the angle
    image = np.clip(np.rint(240 * np.exp(-amounts @ REFERENCE.T) - 1), 0, 255).astype(np.uint8)
    assert np.abs(Macenko().section(image)(image).astype(int) - image).mean() < 2


@BOTH
@pytest.mark.parametrize(
    ("colours", "strength"),
    [(COLOURS, (1.8, 0.9)), (COLOURS, (0.8, 1.7)), (OTHERS, (1, 1)), (OTHERS, (1.5, 0.7))],
)
def test_copies_stained_in_other_ways_become_close(normaliser, colours, strength):
    one, other = stained(COLOURS, glass=0.2), stained(colours, strength, glass=0.2)
    before = np.linalg.norm(tissue_mean(one) - tissue_mean(other))
    normal = [normaliser.section(image)(image) for image in (one, other)]
    after = np.linalg.norm(tissue_mean(normal[0]) - tissue_mean(normal[1]))
    assert before > 10
    assert after < before / 3
    pixels = [np.abs(a.astype(int) - b.astype(int)).mean() for a, b in ((one, other), normal)]
    assert pixels[1] < 0.75 * pixels[0]


@BOTH
def test_white_stays_white_and_tissue_does_not_depend_on_the_share_of_glass(normaliser):
    bare, framed = stained(COLOURS, (1.5, 1)), stained(COLOURS, (1.5, 1), glass=0.5)
    mapped = normaliser.section(framed)(framed)
    assert (mapped[:, :, :24] == 255).all()
    alone = normaliser.section(bare)(bare)
    assert np.abs(mapped[:, :, 24:].astype(int) - alone[:, :, 24:].astype(int)).mean() < 4


@BOTH
def test_greys_stay_in_order_from_tissue_to_glass(normaliser):
    image = stained(COLOURS)
    ramp = np.repeat(np.arange(180, 256, dtype=np.uint8)[None, None, :, None], 3, axis=-1)
    mapped = normaliser.section(image)(ramp).astype(int)
    assert np.diff(mapped[0, 0].mean(axis=-1)).min() >= -1  # no step down where the background begins
    assert np.abs(np.diff(mapped[0, 0], axis=0)).max() < 12


@BOTH
def test_a_window_is_mapped_by_its_section_and_not_by_itself(normaliser):
    section = stained(COLOURS, (1.5, 1.2))
    normal = normaliser.section(section)
    pale, dark = section // 2 + 100, section // 2
    assert normal(pale).mean() > normal(dark).mean() + 40  # what differs within the section still does
    np.testing.assert_array_equal(normal(section)[2:3], normal(section[2:3]))
    assert normal(section[:0]).shape == (0, 48, 48, 3)
    copied = ForkingPickler.loads(ForkingPickler.dumps(normal))  # as executors send it
    np.testing.assert_array_equal(copied(section), normal(section))


@BOTH
def test_hardly_any_tissue(normaliser):
    white = np.full((2, 50, 50, 3), 250, np.uint8)
    white[0, :2, :10] = stained(COLOURS)[0, :2, :10] // 2
    with pytest.raises(DataError, match=r"0\.4 % of the sample is tissue; 1 % are needed .*Draw windows"):
        normaliser.section(white)
    with pytest.raises(DataError, match=r"0\.0 % of the sample"):
        normaliser.section(white[:0])


@BOTH
def test_one_colour(normaliser):
    with pytest.raises(DataError, match=r"the tissue has one colour.*leave this section as it is"):
        normaliser.section(np.full((1, 20, 20, 3), (150, 100, 140), np.uint8))


def test_one_stain():
    depth = np.random.default_rng(0).uniform(0.4, 2, (1, 60, 60, 1))
    brown = np.rint(240 * np.exp(-depth * [0.5, 0.9, 1.1]) - 1).astype(np.uint8)
    with pytest.raises(DataError, match=r"the tissue has one stain; the two found are \d\.\d° apart"):
        Macenko().section(brown)


@BOTH
def test_not_pixels_with_every_fault(normaliser):
    with pytest.raises(DataError, match=r"(?s)2 faults.*shape \(20, 20, 4\).*float64; they need uint8"):
        normaliser.section(np.zeros((20, 20, 4)))
    normal = normaliser.section(stained(COLOURS))
    with pytest.raises(DataError, match="need uint8"):
        normal(np.zeros((1, 20, 20, 3)))


@pytest.mark.parametrize(
    ("cls", "params", "words"),
    [
        (Macenko, {"beta": 0}, "beta must be between 0 and 2"), (Macenko, {"beta": 2.5}, "beta must"),
        (Macenko, {"alpha": 50}, "alpha must be from 0"), (Macenko, {"alpha": -1}, "alpha must"),
        (Reinhard, {"beta": 0}, "beta must be between 0 and 2"),
        (Reinhard, {"sds": (1, 0, 1)}, "sds must be positive"),
        (Reinhard, {"means": (101, 0, 0)}, "means must be finite, with L"),
        (Reinhard, {"means": (50, float("nan"), 0)}, "means must be finite"),
    ],
)  # fmt: skip
def test_parameters_out_of_range(cls, params, words):
    with pytest.raises(ValueError, match=words):
        cls(**params)


def test_macenko_without_torchstain(monkeypatch):
    import sys

    from triptych.core.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "torchstain", None)
    with pytest.raises(MissingExtraError, match=r"triptych\[stains\]"):
        Macenko().section(stained(COLOURS))


def windows_of(image, number=48, side=128):
    """Windows of a regular array over the section, from its darkest third, where the tissue is."""
    places = [
        (y, x) for y in range(0, image.shape[0] - side, side) for x in range(0, image.shape[1] - side, side)
    ]
    found = np.stack([image[y : y + side, x : x + side] for y, x in places])
    order = np.argsort(found.mean(axis=(1, 2, 3)), kind="stable")
    return found[order[: len(order) // 3]][:: max(1, len(order) // 3 // number)]


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:Image size")
@BOTH
def test_sections_of_one_study_come_closer(normaliser, real_data):
    from PIL import Image

    sections = []
    for path in sorted((real_data / "her2st" / "images").glob("*.jpg")):
        with Image.open(path) as image:
            image.draft("RGB", (2400, 2400))  # a quarter of the resolution
            sections.append(windows_of(np.asarray(image.convert("RGB"))))
    normal = [normaliser.section(windows)(windows) for windows in sections]
    spread = []
    for several in (sections, normal):
        dark = [(-np.log((windows + 1.0) / 240)).mean(axis=-1) > 0.3 for windows in sections]
        means = np.array([windows[mask].mean(axis=0) for windows, mask in zip(several, dark, strict=True)])
        spread.append(np.mean([np.linalg.norm(a - b) for i, a in enumerate(means) for b in means[:i]]))
    assert spread[1] < 0.75 * spread[0], spread


@pytest.mark.data
def test_the_reference_of_reinhard_is_that_of_real_images(real_data):
    from PIL import Image
    from skimage.color import rgb2lab

    found = []
    for path in sorted((real_data / "monuseg" / "images").glob("*.jpg")):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        lab = rgb2lab(pixels[(-np.log((pixels + 1.0) / 240)).mean(axis=-1) >= 0.15] / 255.0)
        found.append(np.concatenate([lab.mean(axis=0), lab.std(axis=0)]))
    assert len(found) == 16
    np.testing.assert_allclose(np.mean(found, axis=0), [*Reinhard().means, *Reinhard().sds], atol=0.06)
