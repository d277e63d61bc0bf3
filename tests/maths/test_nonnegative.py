import numpy as np
import pytest
from scipy.optimize import nnls

from triptych.core.errors import NumericsError
from triptych.maths import nonnegative as module
from triptych.maths.nonnegative import nonnegative


def problem(rng, n=200, t=8, g=40, noise=1.0):
    a = rng.gamma(0.3, 1.0, (g, t))
    x = rng.gamma(1.0, 1.0, (n, t)) * (rng.random((n, t)) < 0.4)
    return a, x @ a.T + noise * rng.normal(size=(n, g))


@pytest.mark.parametrize("t", [1, 2, 7, 30])
@pytest.mark.parametrize("noise", [0.0, 0.5, 20.0])
def test_it_is_scipys_solution(rng, t, noise):
    a, y = problem(rng, t=t, noise=noise)
    expected = np.array([nnls(a, row)[0] for row in y])
    np.testing.assert_allclose(nonnegative(a.T @ a, y @ a), expected, atol=1e-6)


def test_nearly_dependent_columns(rng):
    """Where Gram matrix and scipy's own QR differ in rounding, the residual tells that both are solutions."""
    a, y = problem(rng, t=10)
    a[:, 1] = a[:, 0] * (1 + 1e-3 * rng.normal(size=len(a)))
    found = nonnegative(a.T @ a, y @ a)
    expected = np.array([nnls(a, row)[0] for row in y])
    norm = [np.linalg.norm(y - x @ a.T, axis=1) for x in (found, expected)]
    np.testing.assert_allclose(norm[0], norm[1], rtol=1e-9)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("patience", [0, 3])
def test_conditions_of_optimality(rng, patience, monkeypatch):
    """With no patience it goes one column at a time and must come to the same end."""
    monkeypatch.setattr(module, "PATIENCE", patience)
    a, y = problem(rng, t=20, noise=5.0)
    gram, b = a.T @ a, y @ a
    x = nonnegative(gram, b)
    gradient = x @ gram - b
    assert x.min() >= 0
    assert gradient.min() > -1e-9 * np.abs(b).max()
    assert np.abs(x * gradient).max() < 1e-9 * np.abs(b).max()


def test_small_blocks_change_nothing(rng, monkeypatch):
    a, y = problem(rng)
    whole = nonnegative(a.T @ a, y @ a)
    monkeypatch.setattr(module, "AT_ONCE", 100)
    np.testing.assert_array_equal(nonnegative(a.T @ a, y @ a), whole)


def test_scale_of_rows_and_columns(rng):
    a, y = problem(rng)
    row, column = 10.0 ** rng.integers(-6, 7, len(y)), 10.0 ** rng.integers(-6, 7, a.shape[1])
    wide = a * column
    found = nonnegative(wide.T @ wide, (y * row[:, None]) @ wide)
    np.testing.assert_allclose(found * column / row[:, None], nonnegative(a.T @ a, y @ a), atol=1e-9)


def test_rows_of_nothing_and_no_rows(rng):
    a, _ = problem(rng)
    gram = a.T @ a
    np.testing.assert_array_equal(nonnegative(gram, np.zeros((2, 8))), 0)
    np.testing.assert_array_equal(nonnegative(gram, -np.ones((2, 8))), 0)
    assert nonnegative(gram, np.empty((0, 8))).shape == (0, 8)


def test_dependent_columns_are_refused(rng):
    a, y = problem(rng)
    for bad in (np.column_stack([a, a[:, 0] + a[:, 1]]), np.column_stack([a, np.zeros(len(a))])):
        with pytest.raises(NumericsError, match="depend on each other"):
            nonnegative(bad.T @ bad, y @ bad)


def test_it_says_when_it_does_not_end(rng, monkeypatch):
    monkeypatch.setattr(module, "ROUNDS", 1)
    a, y = problem(rng, noise=5.0)
    with pytest.raises(NumericsError, match="did not end"):
        nonnegative(a.T @ a, y @ a)
