from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from triptych.readers.affine import transform
from triptych.readers.toy import cells
from triptych.readers.toy.bundle import PIXEL_UM, cell_ids
from triptych.readers.toy.cells import TYPES, ToyCells


@pytest.fixture(scope="module")
def made():
    return list(ToyCells().make())


def test_sizes_and_names(made):
    assert [bundle.name for bundle in made] == ["A1", "B1"] == ToyCells().names()
    for bundle in made:
        n = len(bundle.um)
        assert n == pytest.approx(600, rel=0.03)
        assert bundle.counts.shape == (n, 60 + len(bundle.controls))
        assert bundle.cells.shape == bundle.nuclei.shape == (n, cells.VERTICES, 2)
        assert 35 < np.median(np.asarray(bundle.counts.sum(axis=1))) < 60
        assert len(set(bundle.ids)) == n


def test_two_types_are_rare(made):
    kinds = pd.Series(np.concatenate([bundle.kind for bundle in made])).value_counts(normalize=True)
    assert set(kinds.index) == set(TYPES)
    assert kinds[["Mast", "Dendritic"]].between(0.015, 0.04).all()
    assert kinds.drop(["Mast", "Dendritic"]).min() > 0.1


def test_genes_alone_are_imperfect(made):
    from sklearn.linear_model import LogisticRegression

    x, y = ([np.log1p(b.counts.toarray()[:, :60]) for b in made], [b.kind for b in made])
    right = LogisticRegression(max_iter=200).fit(x[0], y[0]).score(x[1], y[1])
    assert 0.6 < right < 0.9


def test_types_are_arranged_in_niches(made):
    from sklearn.neighbors import NearestNeighbors

    for bundle in made:
        near = NearestNeighbors(n_neighbors=7).fit(bundle.um).kneighbors(return_distance=False)
        alike = (bundle.kind[near] == bundle.kind[:, None]).mean()
        shuffled = np.random.default_rng(0).permutation(bundle.kind)
        assert alike > 1.4 * (shuffled[near] == shuffled[:, None]).mean()


def test_molecules_that_count_are_the_counts(made):
    bundle = made[0]
    total = np.zeros(bundle.counts.shape, int)
    everything = 0
    for piece in bundle.molecules():
        everything += len(piece.cell)
        keep = (piece.cell >= 0) & (piece.qv >= 20)
        np.add.at(total, (piece.cell[keep], piece.feature[keep]), 1)
        assert not piece.nuclear[piece.cell < 0].any()
        assert (piece.um >= 0).all()
    np.testing.assert_array_equal(total, bundle.counts.toarray())
    assert everything > 1.1 * total.sum()


def test_molecules_in_pieces(monkeypatch, made):
    monkeypatch.setattr(cells, "AT_ONCE", 500)
    pieces = list(made[0].molecules())
    assert len(pieces) > 10
    for one, other in pairwise(pieces):
        assert one.cell.max() < other.cell[other.cell >= 0].min()


def test_nuclei_are_where_the_matrix_says(made):
    for bundle in made:
        picture = bundle.picture
        px = transform(np.linalg.inv(picture.to_morphology), bundle.um / PIXEL_UM)
        height, width = picture.shape_px
        image = picture.tile(0, 0, height, width)
        x, y = px.astype(int).T
        dark = image[y, x].mean(axis=1)
        elsewhere = np.random.default_rng(0).permutation(len(x))
        assert dark.mean() < image[y[elsewhere], x].mean() - 25
        morphology = bundle.morphology[tuple((bundle.um / PIXEL_UM).astype(int).T[::-1])]
        assert np.mean(morphology > 2000) > 0.98


def test_nuclei_differ_by_type(made):
    bundle = made[0]
    area = pd.Series(np.prod(np.ptp(bundle.nuclei, axis=1), axis=1)).groupby(bundle.kind).median()
    assert area["Tumour"] > 1.5 * area["T-cell"]


def test_parts_of_the_slide_fit(made):
    picture = made[0].picture
    haematoxylin = picture.tile.__self__.nuclei.density
    whole = haematoxylin(0, 0, 300, 300)
    np.testing.assert_allclose(haematoxylin(100, 50, 80, 60), whole[100:180, 50:110], atol=1e-6)


def test_same_seed_same_bits_and_other_seed_other(made):
    again = next(iter(ToyCells().make()))
    np.testing.assert_array_equal(again.um, made[0].um)
    np.testing.assert_array_equal(again.counts.toarray(), made[0].counts.toarray())
    np.testing.assert_array_equal(again.picture.tile(5, 9, 50, 40), made[0].picture.tile(5, 9, 50, 40))
    other = next(iter(ToyCells(seed=1).make()))
    assert not np.array_equal(other.kind, made[0].kind[: len(other.kind)])


def test_more_sections_leave_the_first(made):
    first = next(iter(ToyCells(sections=3).make()))
    np.testing.assert_array_equal(first.counts.toarray(), made[0].counts.toarray())


def test_ids_are_those_of_the_instrument():
    ids = cell_ids(np.arange(200_000))
    assert len(set(ids)) == len(ids)
    assert all(len(name) == 10 and set(name[:8]) <= set("abcdefghijklmnop") for name in ids[:100])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sections": 0}, "sections must be from 1 to 26"),
        ({"seed": -1}, "seed and batch must not be negative"),
        ({"batch": -0.1}, "seed and batch must not be negative"),
        ({"cells": 10}, "cells must be at least 50"),
        ({"genes": 6}, "genes 7"),
    ],
)
def test_ranges(parameters, message):
    with pytest.raises(ValueError, match=message):
        ToyCells(**parameters)
