"""Every normaliser: pixels in, pixels out, the same for a window in any batch, inputs untouched."""

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.stains import registry

NAMES = pytest.mark.parametrize("name", list(registry))


@pytest.fixture(scope="module")
def windows():
    """Six windows of 64 px: haematoxylin and eosin in amounts drawn for each pixel, and a strip of glass."""
    rng = np.random.default_rng(0)
    amounts = rng.gamma([1.0, 4.0], [0.5, 0.15], (6, 64, 64, 2))
    amounts[:, :8] = 0
    light = 245 * np.exp(-amounts @ np.array([[0.65, 0.70, 0.29], [0.15, 0.90, 0.36]]))
    pixels = np.clip(np.rint(light), 0, 255).astype(np.uint8)
    pixels.flags.writeable = False
    return pixels


@NAMES
def test_contract(name, small, declares, windows):
    component = small(registry, name)
    declares(registry, name, component)
    normal = component.section(windows)
    found = normal(windows)
    assert found.shape == windows.shape
    assert found.dtype == np.uint8
    assert found.tobytes() == component.section(windows)(windows).tobytes()


@NAMES
def test_windows_do_not_depend_on_their_batch(name, small, windows):
    normal = small(registry, name).section(windows)
    alone = np.concatenate([normal(windows[i : i + 1]) for i in range(len(windows))])
    np.testing.assert_array_equal(normal(windows), alone)
    other = normal(np.ascontiguousarray(windows[:, 5:30, 10:31]))
    np.testing.assert_array_equal(normal(windows)[:, 5:30, 10:31], other)


@NAMES
def test_order_of_the_sample_does_not_matter(name, small, windows, rng):
    component, order = small(registry, name), rng.permutation(len(windows))
    one, other = component.section(windows), component.section(windows[order])
    assert np.abs(one(windows).astype(int) - other(windows).astype(int)).max() <= 1  # sums round otherwise


@NAMES
def test_glass_stays_glass(name, small, windows):
    white = np.full((1, 32, 32, 3), 255, np.uint8)
    assert (small(registry, name).section(windows)(white) == 255).all()


@NAMES
def test_a_section_without_tissue_is_refused(name, small):
    with pytest.raises(DataError, match="of the sample is tissue"):
        small(registry, name).section(np.full((2, 32, 32, 3), 250, np.uint8))
