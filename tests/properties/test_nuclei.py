"""What must hold for any nuclei: their maps, outlines and overlaps, and the chances of their types."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage as ndi

from triptych.annotators import registry as annotators
from triptych.core.nuclei import Outlines
from triptych.core.protocols import Counts
from triptych.maths.hv import hv_targets, instances_of, probabilities_of
from triptych.maths.overlaps import overlaps_of
from triptych.maths.polygons import areas_px, centroids_px, rasterised, traced
from triptych.metrics import registry as metrics
from triptych.nets.hv_sampling import class_weights

quick = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 14), st.integers(1, 14))
labels = arrays(np.int32, shapes, elements=st.integers(0, 5))
masks = arrays(np.bool_, shapes)
SHARES = (
    "dice", "aji", "pq", "pq-pooled", "mpq", "mpq-pooled", "type-f1",
    "detection-precision", "detection-recall", "detection-f1",
)  # fmt: skip
MIRRORED = {
    "dice": "dice",
    "pq": "pq",
    "detection-f1": "detection-f1",
    "detection-precision": "detection-recall",
}
FILE = """
organism: none
sources: {book: A book}
classes:
  inflammatory: {programmes: {t: {positive: [A, B], negative: [C], source: book}}}
  connective: {programmes: {f: {positive: [C, D], source: book}, g: {positive: [D, E], source: book}}}
"""


def blobs(mask):
    """Nuclei whose pixels hang together by edges, and that have no holes."""
    return ndi.label(ndi.binary_fill_holes(mask))[0].astype(np.int32)


def overlaps(truth, guess):
    """Of one image, in which all nuclei are of one class."""
    typed = [(one, np.zeros(int(one.max(initial=0)), int)) for one in (truth, guess)]
    return overlaps_of(typed[:1], typed[1:], classes=("a",), organs=["colon"], samples=["A"], mpp=0.25)


@quick
@given(labels)
def test_maps_lie_between_one_and_one_and_are_zero_outside(instances):
    maps = hv_targets(instances)
    assert maps.shape == (2, *instances.shape)
    assert (np.abs(maps) <= 1).all()
    assert not maps[:, instances == 0].any()
    mirrored = hv_targets(np.ascontiguousarray(instances[:, ::-1]))
    assert np.allclose(mirrored[0][:, ::-1], -maps[0], atol=1e-6)
    assert np.allclose(mirrored[1][:, ::-1], maps[1], atol=1e-6)
    assert hv_targets((instances > 0) * (100 - instances)).tobytes() == maps.tobytes()


@quick
@given(shapes, seeds, st.integers(0, 20), st.floats(0.2, 0.8))
def test_any_maps_give_nuclei_without_gaps_that_are_large_enough(shape, seed, least, threshold):
    rng = np.random.default_rng(seed)
    probability = rng.random(shape, np.float32)
    hv = rng.uniform(-2, 2, (2, *shape)).astype(np.float32)
    instances = instances_of(probability, hv, threshold=threshold, least_px=least)
    size = np.bincount(instances.ravel(), minlength=1)[1:]
    assert instances.shape == shape
    assert (size >= max(least, 1)).all()
    assert not instances[~ndi.binary_fill_holes(probability > threshold) & _far_from_border(shape)].any()
    types = rng.normal(0, 50, (3, *shape)).astype(np.float32)
    chances = probabilities_of(instances, types)
    assert chances.shape == (len(size), 3)
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-5)


def _far_from_border(shape):
    """Pixels that a hole open to the border, but small, cannot hold."""
    inner = np.zeros(shape, bool)
    inner[8:-8, 8:-8] = True
    return inner


@quick
@given(masks)
def test_outlines_give_their_nuclei_back(mask):
    instances = blobs(mask)
    outlines = traced(instances)
    height, width = instances.shape
    assert np.array_equal(rasterised(outlines, 0, 0, width, height), instances)
    assert np.allclose(areas_px(outlines), np.bincount(instances.ravel(), minlength=1)[1:])
    numbers = np.arange(1, instances.max() + 1)
    middle = np.array(ndi.center_of_mass(instances > 0, instances, numbers)).reshape(-1, 2)[:, ::-1] + 0.5
    assert np.allclose(centroids_px(outlines), middle, atol=1e-4)


@quick
@given(masks, st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 3))
def test_windows_are_parts_of_one_picture(mask, x, y, factor):
    """Moved by whole pixels, and with each pixel as a square of several."""
    instances = blobs(mask)
    outlines, (height, width) = traced(instances), instances.shape
    moved = Outlines(outlines.px + np.array([x, y], np.float32), outlines.first, outlines.row)
    assert np.array_equal(rasterised(moved, x, y, width, height), instances)
    large = rasterised(outlines, 0, 0, factor * width, factor * height, scale=float(factor))
    assert np.array_equal(large, np.kron(instances, np.ones((factor, factor), np.int32)))
    assert np.array_equal(rasterised(outlines, 1, 2, width, height)[:-2, :-1], instances[2:, 1:])


@quick
@given(labels, seeds)
def test_shares_lie_between_nothing_and_all_and_the_truth_has_all(truth, seed):
    guess = np.random.default_rng(seed).permutation(truth.ravel()).reshape(truth.shape)
    some, best, image = overlaps(truth, guess), overlaps(truth, truth), np.arange(1)
    for name in SHARES:
        metric = metrics.make(name)
        found = metric.score(image, some)
        assert -1e-12 <= found <= 1 + 1e-12 or (np.isnan(found) and not truth.any()), name
        assert metric.score(image, best) == pytest.approx(1, nan_ok=True) or not truth.any(), name


@quick
@given(labels, labels.map(np.ravel))
def test_truth_and_guess_change_places(truth, other):
    guess = np.resize(other, truth.shape)
    one, two = overlaps(truth, guess), overlaps(guess, truth)
    for name, mirrored in MIRRORED.items():
        there, back = (
            metrics.make(of).score(np.arange(1), images) for of, images in ((name, one), (mirrored, two))
        )
        assert there == pytest.approx(back, nan_ok=True), name


@quick
@given(arrays(np.float64, st.integers(1, 6), elements=st.integers(0, 10**6)), st.floats(0, 1))
def test_weights_of_classes_have_a_mean_of_one_over_the_pixels(pixels, strength):
    weights = class_weights(pixels, strength)
    assert (weights >= 0).all()
    assert np.isfinite(weights).all()
    assert ((weights > 0) == (pixels > 0)).all()
    if pixels.any():
        assert np.average(weights, weights=pixels) == pytest.approx(1)


@pytest.fixture(scope="module")
def marker_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("markers") / "markers.yaml"
    path.write_text(FILE)
    return str(path)


@quick
@given(
    arrays(np.int64, st.tuples(st.integers(1, 12), st.just(7)), elements=st.integers(0, 10**5)),
    st.integers(0, 2),
)
def test_chances_of_any_counts_add_to_one(marker_file, dense, rounds):
    counts = Counts(sp.csr_matrix(dense), np.array([*"ABCDEFG"]), np.zeros(len(dense), int))
    annotator = annotators.make("marker-score", {"markers": marker_file, "rounds": rounds})
    found = annotator.annotate(counts, counts.batch, None, np.random.default_rng(0)).probabilities
    empty = ~dense.any(axis=1)
    assert np.isnan(found[empty]).all()
    assert np.allclose(found[~empty].sum(axis=1), 1)
    assert (found[~empty] >= 0).all()
