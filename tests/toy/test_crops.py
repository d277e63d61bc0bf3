from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import cross_val_predict

from triptych.readers.toy.crops import DEPTH, TYPES, ToyCrops, levels
from triptych.readers.toy.textures import Shapes

SIDE = 40


@pytest.fixture(scope="module")
def region():
    return next(iter(ToyCrops().make()))


@pytest.fixture(scope="module")
def crops(region):
    """Windows around the cells, the whole of a stain's, shape (n, SIDE, SIDE)."""
    first = np.floor(region.shapes.centre_px - SIDE / 2 + 0.5).astype(int)
    pixels = region.stains["Membrane"].astype(float)
    return np.stack([pixels[y : y + SIDE, x : x + SIDE] for x, y in first])


def accuracy(x, kind):
    """Balanced accuracy of a forest on cells that it has not seen."""
    forest = RandomForestClassifier(100, random_state=0)
    return balanced_accuracy_score(kind, cross_val_predict(forest, x, kind, cv=5))


def radii(region):
    """Distance of each molecule from its cell's centre, the cell's type, and the half of its gene."""
    real = (region.cell >= 0) & (region.gene < 24)
    cell, gene = region.cell[real], region.gene[real]
    offset = region.px[real] - region.shapes.centre_px[cell]
    return np.hypot(*offset.T) / region.shapes.radius_px[cell], cell, gene >= 12


# --- what does not tell


def test_counts_tell_nothing(region):
    assert region.counts.shape == (600, 26)
    assert accuracy(region.counts.toarray(), region.kind) == pytest.approx(0.2, abs=0.06)
    expected = levels(24, np.random.default_rng(0)).sum()
    assert expected == pytest.approx(DEPTH)
    totals = np.asarray(region.counts.sum(axis=1)).ravel()
    means = np.array([totals[region.kind == kind].mean() for kind in range(5)])
    np.testing.assert_allclose(means, means.mean(), rtol=0.06)


def test_grey_values_tell_nothing(region, crops):
    flat = crops.reshape(len(crops), -1)
    x = np.column_stack(
        [flat.mean(axis=1), flat.std(axis=1), np.quantile(flat, [0.1, 0.5, 0.8, 0.9, 0.99], axis=1).T]
    )
    assert accuracy(x, region.kind) == pytest.approx(0.2, abs=0.07)


def test_all_genes_together_lie_alike(region):
    radius, cell, _ = radii(region)
    means = [radius[region.kind[cell] == kind].mean() for kind in range(5)]
    np.testing.assert_allclose(means, means[0], rtol=0.02)


# --- what does


def test_places_tell_the_first_three_types(region):
    radius, cell, second = radii(region)
    number = np.maximum([np.bincount(cell, half, minlength=600) for half in (~second, second)], 1)
    mean = np.stack([np.bincount(cell, radius * half, minlength=600) for half in (~second, second)]) / number
    first = region.kind < 3
    assert accuracy(mean.T[first], region.kind[first]) > 0.97
    assert accuracy(mean.T[~first], region.kind[~first]) == pytest.approx(0.5, abs=0.12)
    by_type = np.array([mean[:, region.kind == kind].mean(axis=1) for kind in range(5)])
    assert by_type[0, 0] < 0.45 < 0.75 < by_type[0, 1]
    assert by_type[1, 1] < 0.45 < 0.75 < by_type[1, 0]
    np.testing.assert_allclose(by_type[2:], by_type[2:].mean(), rtol=0.05)


def test_statistics_of_texture_tell_whorls_from_slopes_and_not_from_their_mirror_images(region, crops):
    inner = slice(SIDE // 2 - 7, SIDE // 2 + 7)
    x = np.stack(
        [gaussian_filter(crops, (0, s, s))[:, inner, inner].std(axis=(1, 2)) for s in (0.5, 1, 2, 3)], 1
    )
    whorled = (region.kind > 2).astype(int)
    assert accuracy(x, whorled) > 0.95
    alike = region.kind < 3
    assert accuracy(x[alike], region.kind[alike]) == pytest.approx(1 / 3, abs=0.1)
    assert accuracy(x[~alike], region.kind[~alike]) == pytest.approx(0.5, abs=0.12)


def test_whorls_turn_left_and_right(region, crops):
    """The sign of the twist: how the phase of the three arms changes from the centre to the rim."""
    rows, columns = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    radius, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
    phase = [
        np.angle((crops * np.exp(-3j * angle) * ((radius >= low) & (radius < low + 2))).sum(axis=(1, 2)))
        for low in (3, 5)
    ]
    turned = np.sin(phase[1] - phase[0])
    assert np.mean(turned[region.kind == 3] < 0) > 0.9
    assert np.mean(turned[region.kind == 4] > 0) > 0.9


def test_nuclei_lie_in_their_cells_and_tell_nothing(region):
    dapi = region.stains["DAPI"]
    at = np.floor(region.shapes.centre_px).astype(int).T
    assert np.all(dapi[at[1], at[0]] > 2000)
    assert accuracy(dapi[at[1], at[0]][:, None], region.kind) == pytest.approx(0.2, abs=0.07)


# --- how it is made


def test_the_counts_are_the_molecules(region):
    inside = region.cell >= 0
    counted = np.zeros(region.counts.shape, int)
    np.add.at(counted, (region.cell[inside], region.gene[inside]), 1)
    np.testing.assert_array_equal(region.counts.toarray(), counted)
    assert 0.02 < np.mean(~inside) < 0.04
    height, width = region.stains["DAPI"].shape
    assert np.all((region.px >= 0) & (region.px < [width, height]))


def test_cells_hardly_reach_into_others_crops(region):
    centre = region.shapes.centre_px
    apart = np.max(np.abs(centre[:, None] - centre[None]), axis=2)
    np.fill_diagonal(apart, 99)
    assert apart.min() > 33
    assert region.shapes.radius_px.max() * np.sqrt(1.2) < 16


def test_same_seed_same_bits_and_sections_differ():
    toy = ToyCrops(cells=60, sections=2)
    first, again = list(toy.make()), list(toy.make())
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.px, other.px)
        np.testing.assert_array_equal(one.stains["Membrane"], other.stains["Membrane"])
    assert [region.name for region in first] == toy.names() == ["A1", "B1"]
    assert not np.array_equal(first[0].stains["Membrane"], first[1].stains["Membrane"])
    other = next(iter(replace(toy, seed=1).make()))
    assert not np.array_equal(first[0].counts.toarray(), other.counts.toarray())
    assert np.bincount(first[0].kind).tolist() == [12] * len(TYPES)


def test_shapes_are_inverted(rng):
    shapes = Shapes(
        rng.uniform(0, 99, (5, 2)), rng.uniform(8, 12, 5), rng.uniform(1, 2, 5), rng.uniform(0, 6, 5)
    )
    cell, unit = rng.integers(5, size=50), rng.uniform(-1, 1, (50, 2))
    px = shapes.place(cell, unit)
    for one, at, wanted in zip(cell, px, unit, strict=True):
        code = np.array([one])
        back = shapes.unit(code, (at - shapes.centre_px[one])[None, None, None])
        np.testing.assert_allclose(back[0, 0, 0], wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sections": 0}, "sections must be from 1 to 26"),
        ({"seed": -1}, "seed must not be negative"),
        ({"cells": 19}, "cells must be at least 20, got 19"),
        ({"genes": 7}, "genes must be an even number of at least 2, got 7"),
    ],
)
def test_parameters_that_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        ToyCrops(**parameters)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
