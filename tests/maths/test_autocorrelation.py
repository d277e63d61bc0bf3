"""Bivariate Moran's R against double sums, shifts against loops, and p-values of maps that have no tie."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from triptych.core.protocols import Places
from triptych.maths import autocorrelation, toroidal
from triptych.maths.autocorrelation import bivariate, pitch_um, sections, weights
from triptych.maths.correlations import by_column, unit_columns
from triptych.maths.seams import bins, kept_variance
from triptych.maths.toroidal import Shift, null, shifts


def scattered(rng, n=120, samples=2):
    return Places(rng.uniform(0, 500, (n, 2)), rng.integers(0, samples, n))


def array(side, kind="square"):
    row, column = np.divmod(np.arange(side * side), side)
    if kind == "hex":
        grid = np.c_[2 * column + row % 2, row]
        return Places(grid * [50.0, 100 * np.sqrt(0.75)], np.zeros(side * side, int), grid, "hex")
    grid = np.c_[column, row]
    return Places(grid * 200.0, np.zeros(side * side, int), grid, "square")


def smooth(side, sigma, types, rng):
    """Independent maps that do not close to a torus, shape (side, side, types)."""
    edge = int(4 * sigma) + 1
    maps = (gaussian_filter(rng.normal(size=[side + 2 * edge] * 2), sigma) for _ in range(types))
    return np.stack([one[edge:-edge, edge:-edge] for one in maps], axis=-1)


def naive_weights(places, length, cutoff, *, with_itself):
    n = len(places.sample)
    w = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            d = np.linalg.norm(places.um[i] - places.um[j])
            if places.sample[i] == places.sample[j] and d <= cutoff * length and (i != j or with_itself):
                w[i, j] = np.exp(-(d**2) / (2 * length**2))
    for code in np.unique(places.sample):
        rows = np.ix_(places.sample == code, places.sample == code)
        w[rows] *= (places.sample == code).sum() / w[rows].sum()
    return w


@pytest.mark.parametrize("with_itself", [False, True])
@pytest.mark.parametrize("rows", [7, 4096])
def test_weights_against_a_naive_double_loop(with_itself, rows, rng, monkeypatch):
    monkeypatch.setattr(autocorrelation, "ROWS", rows)
    places = scattered(rng, 70)
    w = weights(places, 60.0, cutoff=2.0, with_itself=with_itself)
    assert np.abs(w.toarray() - naive_weights(places, 60.0, 2.0, with_itself=with_itself)).max() < 1e-12
    assert (w != w.T).nnz == 0
    assert w.has_sorted_indices


def test_weights_of_each_section_sum_to_its_observations(rng):
    places = scattered(rng, 200, 3)
    total = np.asarray(weights(places, 50.0).sum(axis=1)).ravel()
    assert np.allclose(np.bincount(places.sample, total), np.bincount(places.sample))
    apart = Places(np.arange(8.0).reshape(4, 2) * 1000, np.zeros(4, int))
    assert weights(apart, 1.0).nnz == 0
    assert weights(apart, 1.0, with_itself=True).diagonal().sum() == 4


def test_spots_at_the_cutoff_itself_are_neighbours_whatever_the_rounding():
    places = array(9)
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    turned = Places(places.um @ turn, places.sample)
    assert weights(places, 200.0, cutoff=3).nnz == weights(turned, 200.0, cutoff=3).nnz
    inner = weights(places, 200.0, cutoff=3)[40]
    assert inner.nnz == 28


def test_the_pitch(rng):
    assert pitch_um(array(6)) == pytest.approx(200)
    assert pitch_um(array(6, "hex")) == pytest.approx(100)
    places = scattered(rng, 40, 3)
    nearest = [
        min(np.linalg.norm(places.um[i] - places.um[j]) for j in range(40) if j != i and same[j])
        for i, same in ((i, places.sample == places.sample[i]) for i in range(40))
    ]
    assert pitch_um(places) == pytest.approx(np.median(nearest))
    assert np.isnan(pitch_um(Places(np.zeros((2, 2)), np.array([0, 1]))))


def test_sections_are_told_by_code():
    assert [list(rows) for rows in sections(np.array([2, 0, 2, 5]))] == [[1], [0, 2], [3]]


def test_r_against_a_naive_double_sum(rng):
    places = scattered(rng, 60, 1)
    x, w = rng.gamma(1.0, size=(60, 5)), naive_weights(places, 70.0, 3.0, with_itself=False)
    centred = x - x.mean(axis=0)
    r = np.zeros((5, 5))
    for a in range(5):
        for b in range(5):
            for i in range(60):
                for j in range(60):
                    r[a, b] += w[i, j] * centred[i, a] * centred[j, b]
            r[a, b] /= np.sqrt((centred[:, a] ** 2).sum() * (centred[:, b] ** 2).sum())
    found = bivariate(x, weights(places, 70.0))
    assert np.abs(found - r).max() <= 1e-8
    assert np.array_equal(found, found.T)


def test_r_sees_neither_scale_nor_offset_and_constants_have_none(rng):
    places = scattered(rng, 80, 1)
    x, w = rng.normal(size=(80, 3)), weights(places, 70.0)
    assert np.allclose(bivariate(5 + 100 * x, w), bivariate(x, w), atol=1e-10)
    x[:, 1] = 0.1 * 3
    found = bivariate(x, w)
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    assert np.isfinite(found[::2, ::2]).all()
    assert np.isnan(bivariate(x, w * 0).astype(float)[1, 1])


def test_a_checkerboard_avoids_itself_and_a_gradient_does_not():
    places = array(10)
    x = np.c_[places.grid.sum(axis=1) % 2, places.grid[:, 0]].astype(float)
    r = bivariate(x, weights(places, 80.0, cutoff=2.6))
    assert r[0, 0] < -0.9
    assert r[1, 1] > 0.8


def test_correlations_of_columns(rng):
    x, y = rng.normal(size=(30, 4)) + 1e6, rng.normal(size=(30, 4))
    want = [np.corrcoef(x[:, j], y[:, j])[0, 1] for j in range(4)]
    assert np.allclose(by_column(x, y), want, atol=1e-9)
    assert np.allclose((unit_columns(y) ** 2).sum(axis=0), 1)
    y[:, 0], x[:, 1] = 0.7, 1e6 / 3
    assert by_column(x, y)[0] == 0
    assert np.isnan(by_column(x, y)[1])


@pytest.mark.parametrize("kind", ["square", "hex"])
def test_shifts_of_an_array_against_a_loop(kind, rng):
    places = array(7, kind)
    kept = np.sort(rng.permutation(49)[:40])
    at = places.grid[kept] - places.grid[kept].min(axis=0)
    drawn = list(
        shifts(
            Places(places.um[kept], np.zeros(40, int), places.grid[kept], places.lattice),
            30,
            rng,
            within_um=1,
        )
    )
    even = 2 if kind == "hex" else 1
    shape = [-(-(side + 1) // even) * even for side in at.max(axis=0)]
    of = {tuple(place): row for row, place in enumerate(at)}
    steps = set()
    for shift in drawn:
        step = (at[shift.there[0]] - at[shift.here[0]]) % shape
        steps.add(tuple(step))
        want = [of.get(tuple((place + step) % shape), -1) for place in at]
        got = np.full(40, -1)
        got[shift.here] = shift.there
        assert list(got) == want
    assert len(steps) == len(drawn) == 30  # none twice
    assert (0, 0) not in steps


def test_small_arrays_have_fewer_shifts():
    assert len(list(shifts(array(3), 199, np.random.default_rng(0), within_um=1))) == 8


def test_shifts_of_coordinates_against_a_loop(rng):
    places, seed = scattered(rng, 50, 1), 3
    low, extent = places.um.min(axis=0), np.ptp(places.um, axis=0)
    drawn = list(shifts(places, 5, np.random.default_rng(seed), within_um=60.0))
    by = np.random.default_rng(seed).uniform(size=(5, 2)) * extent
    assert len(drawn) == 5
    for step, shift in zip(by, drawn, strict=True):
        got = dict(zip(shift.here.tolist(), shift.there.tolist(), strict=True))
        for row in range(50):
            distance = np.linalg.norm(places.um - (low + (places.um[row] - low + step) % extent), axis=1)
            assert got.get(row) == (int(distance.argmin()) if distance.min() < 60 else None)


def test_places_in_a_row_can_be_shifted(rng):
    line = Places(np.c_[np.arange(30.0), np.zeros(30)], np.zeros(30, int))
    x = rng.normal(size=(30, 3))
    found = null(line, x, weights(line, 1.0), shifts(line, 40, rng, within_um=2.0))
    assert np.isfinite(found.pvalue).all()


def test_an_array_that_is_nearly_empty_is_none(rng):
    places = Places(rng.uniform(0, 9, (70, 2)), np.zeros(70, int), rng.integers(0, 10**6, (70, 2)), "square")
    assert not toroidal.on_array(places)
    assert toroidal.on_array(array(5))
    assert len(list(shifts(places, 3, rng, within_um=5.0))) == 3


def test_p_values_against_a_loop_over_shifts_and_pairs(rng):
    places = array(8)
    x = smooth(8, 1.0, 4, rng).reshape(64, 4)
    x[:, 3] = 0.5
    w, kept = weights(places, 200.0), np.sort(rng.permutation(64)[:50])
    drawn = [Shift(kept, rng.permutation(64)[:50]) for _ in range(40)]
    z = unit_columns(x)
    part = kept_variance(bins(places, array=True), w @ z, z)
    found = null(places, x, w, iter(drawn))
    for a in range(3):
        for b in range(3):
            hits, observed = 0, z[:, a] @ w @ z[:, b] * np.sqrt(part[a, b])
            for shift in drawn:
                y = np.zeros(64)
                y[shift.here] = z[shift.there, b] - z[shift.there, b].mean()
                hits += abs(z[:, a] @ w @ (y / np.linalg.norm(y))) >= abs(observed)
            assert found.pvalue[a, b] == pytest.approx((1 + hits) / 41)
    assert np.isnan(found.pvalue[3]).all()
    assert np.isnan(found.pvalue[:, 3]).all()
    assert found.shifts == 40
    assert found.partners == pytest.approx(50 / 64)


def test_a_map_that_shifts_leave_constant_has_no_p_value(rng):
    places, x = array(5), rng.normal(size=(25, 2))
    x[:, 1] = np.arange(25) == 0
    drawn = [Shift(np.arange(20), np.arange(1, 21))] * 30
    p = null(places, x, weights(places, 200.0), iter(drawn)).pvalue
    assert np.isnan(p[:, 1]).all()
    assert np.isfinite(p[:, 0]).all()


def test_the_variance_kept_against_a_loop_over_lags(rng):
    at = np.argwhere(rng.uniform(size=(6, 7)) < 0.8)
    at -= at.min(axis=0)
    n = len(at)
    v, y = rng.normal(size=(n, 1)), rng.normal(size=(n, 1))
    v[:, 0] += 3 * (at[:, 0] > 2)
    y[:, 0] += 3 * (at[:, 0] > 2)
    v, y = v - v.mean(), y - y.mean()
    of, kept, whole = {tuple(place): row for row, place in enumerate(at)}, 0.0, 0.0
    for dx in range(-6, 7):
        for dy in range(-7, 8):
            pairs = [(row, of.get((p + dx, q + dy), -1)) for (p, q), row in of.items()]
            pairs = np.array([pair for pair in pairs if pair[1] >= 0]).reshape(-1, 2)
            if len(pairs) >= n / 2:
                both = (v[pairs[:, 0], 0] @ v[pairs[:, 1], 0]) * (y[pairs[:, 0], 0] @ y[pairs[:, 1], 0])
                kept, whole = kept + both / n, whole + both / len(pairs)
    assert 0.1 < kept / whole < 1
    assert kept_variance(at, v, y)[0, 0] == pytest.approx(kept / whole)


def test_bins_of_cells_hold_a_few_each(rng):
    places = scattered(rng, 400, 1)
    at = bins(places, array=False)
    assert at.min() == 0
    assert 3 < 400 / len(np.unique(at, axis=0)) < 5
    line = Places(np.c_[np.arange(40.0), np.zeros(40)], np.zeros(40, int))
    assert len(np.unique(bins(line, array=False), axis=0)) == 11  # the last of them holds one
    assert not bins(Places(np.zeros((5, 2)), np.zeros(5, int)), array=False).any()


@pytest.mark.parametrize("shape", ["whole", "disc", "cells"])
def test_unrelated_smooth_maps_have_uniform_p_values_and_shuffling_finds_ties(shape):
    rng, side = np.random.default_rng(4), 30
    shifted, shuffled = [], []
    whole = array(side)
    for _ in range(6):
        maps = smooth(side, 2.5, 100, rng)
        rows = np.arange(side * side)
        if shape == "disc":
            rows = rows[np.hypot(*(whole.grid - (side - 1) / 2).T) <= side / 2]
        places = Places(whole.um[rows], np.zeros(len(rows), int), whole.grid[rows], "square")
        if shape == "cells":  # thinned by chance, and nobody knows of an array
            rows = np.sort(rng.permutation(rows)[:700])
            places = Places(whole.um[rows], np.zeros(len(rows), int))
        x, w = maps[whole.grid[rows, 1], whole.grid[rows, 0]], weights(places, 200.0)
        one, other = np.arange(0, 100, 2), np.arange(1, 100, 2)
        shifted.append(null(places, x, w, shifts(places, 99, rng, within_um=400.0)).pvalue[one, other])
        z = unit_columns(x)
        drawn = [np.abs((w @ z[:, one]).T @ rng.permutation(z[:, other])).diagonal() for _ in range(99)]
        shuffled.append((1 + (drawn >= np.abs(bivariate(x, w)[one, other])).sum(axis=0)) / 100)
    shifted, shuffled = np.concatenate(shifted), np.concatenate(shuffled)
    error = np.sqrt(0.05 * 0.95 / len(shifted))
    assert abs((shifted <= 0.05).mean() - 0.05) < 3 * error
    assert kstest(shifted, "uniform").pvalue > 0.001
    assert (shuffled <= 0.05).mean() > 0.4


def test_a_tie_is_found(rng):
    places = array(20)
    maps = smooth(20, 1.5, 3, rng).reshape(400, 3)
    x = np.c_[maps[:, 0], maps[:, 0] + 0.5 * maps[:, 1], maps[:, 2]]
    p = null(places, x, weights(places, 200.0), shifts(places, 199, rng, within_um=1.0)).pvalue
    assert p[0, 1] <= 0.02


def test_the_same_seed_gives_the_same_bits(rng):
    places, x = scattered(rng, 90, 1), rng.normal(size=(90, 4))
    w = weights(places, 60.0)
    one, two = (
        null(places, x, w, shifts(places, 25, np.random.default_rng(1), within_um=90.0)) for _ in range(2)
    )
    assert one.pvalue.tobytes() == two.pvalue.tobytes()
