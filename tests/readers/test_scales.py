import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.readers.scales import array_positions, axis_scales, similarity, visium_mpp, visium_um


@given(
    angle=st.floats(0, 6.3),
    scale=st.floats(0.05, 20),
    mirrored=st.booleans(),
    seed=st.integers(0, 100),
)
def test_a_similarity_is_found(angle, scale, mirrored, seed):
    px = np.random.default_rng(seed).random((12, 2)) * 1000
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    um = scale * (px * [1, -1] if mirrored else px) @ turn.T + [5, 7]
    found, residual = similarity(um, px)
    assert found == pytest.approx(scale)
    assert residual < 1e-3 * scale


def test_the_scale_is_the_least_squares_one(rng):
    px = rng.random((30, 2)) * 100
    um = px * 2 + rng.normal(size=px.shape)
    found, residual = similarity(um, px)
    angles = np.linspace(-0.05, 0.05, 201)
    a, p = um - um.mean(0), px - px.mean(0)
    turns = [p @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]).T for t in angles]
    grid = [
        np.sqrt(np.sum((a - s * q) ** 2) / 30) for q in turns for s in (found - 1e-3, found, found + 1e-3)
    ]
    assert residual <= min(grid) + 1e-12
    assert residual == pytest.approx(min(grid), rel=1e-3)


def test_positions_in_a_line_have_no_scale():
    line = np.column_stack([np.arange(5.0), np.arange(5.0)])
    assert np.isnan(similarity(line, line)[0])
    assert np.isnan(similarity(line[:2], line[:2])[0])


def test_axes_apart():
    px = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]])
    assert axis_scales(px * [2, -3], px) == pytest.approx((2, 3))
    assert np.isnan(axis_scales(px, px * [1, 0])[1])


def test_neighbours_of_a_visium_array_are_100_um_apart():
    um = visium_um(np.array([0, 0, 1]), np.array([0, 2, 1]))
    assert np.linalg.norm(um[0] - um[1]) == pytest.approx(100)
    assert np.linalg.norm(um[0] - um[2]) == pytest.approx(100)


def test_pixels_that_do_not_follow_the_array_give_no_scale(rng):
    row, col = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 2, 1, 3, 0, 2])
    assert visium_mpp(row, col, visium_um(row, col) * 2) == pytest.approx(0.5)
    assert np.isnan(visium_mpp(row, col, rng.random((6, 2))))
    assert np.isnan(visium_mpp(row, col + 1, visium_um(row, col)))


def test_array_positions_must_be_whole():
    assert array_positions(pd.DataFrame({"array_row": [1]})) is None
    assert array_positions(pd.DataFrame({"array_row": [1.5], "array_col": [1]})) is None
    assert array_positions(pd.DataFrame({"array_row": ["1"], "array_col": ["x"]})) is None
    assert array_positions(pd.DataFrame({"array_row": [1.0], "array_col": [2]})) is not None
