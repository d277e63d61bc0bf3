"""Neighbours against naive loops."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.maths.graphs import averaging, jaccard, nearest_places, nearest_rows, sections


@pytest.fixture
def places(rng):
    return Places(rng.uniform(0, 1000, (60, 2)), rng.permutation(np.repeat([3, 0, 7], [40, 15, 5])))


def naive(places, count):
    found = np.zeros((len(places.um),) * 2)
    for i, (here, section) in enumerate(zip(places.um, places.sample, strict=True)):
        others = np.flatnonzero(places.sample == section)
        distance = np.linalg.norm(places.um[others] - here, axis=1)
        found[i, others[np.argsort(distance)[:count]]] = 1
    return found


@pytest.mark.parametrize("count", [1, 4, 10])
def test_nearest_places_are_those_of_a_loop(places, count):
    assert np.array_equal(nearest_places(places, count).toarray(), naive(places, count))


def test_sections_partition_the_rows(places):
    found = sections(places.sample)
    assert [set(places.sample[rows]) for rows in found] == [{0}, {3}, {7}]
    assert sorted(np.concatenate(found)) == list(range(60))


def test_a_place_belongs_to_itself_even_where_many_coincide():
    places = Places(np.zeros((9, 2)), np.zeros(9, int))
    graph = nearest_places(places, 3).toarray()
    assert (np.diag(graph) == 1).all()
    assert (graph.sum(axis=1) == 3).all()


def test_averages_sum_to_one_and_stay_in_the_section(places):
    mean = averaging(places, 6)
    assert np.allclose(mean.sum(axis=1), 1)
    assert np.allclose(mean @ (places.sample == 3).astype(float), places.sample == 3)
    assert (np.diff(mean.indptr) == np.where(places.sample == 7, 5, 7)).all()


def test_coordinates_that_are_not_finite_are_refused(places):
    places.um[0, 0] = np.nan
    with pytest.raises(DataError, match="some coordinates are not finite. Remove those rows."):
        nearest_places(places, 3)


def test_lengths_that_differ_are_refused():
    with pytest.raises(DataError, match="4 coordinates but 3 section codes"):
        nearest_places(Places(np.zeros((4, 2)), np.zeros(3, int)), 2)


def test_nearest_rows_exclude_self(rng):
    x = rng.normal(size=(50, 20))
    distance = np.linalg.norm(x[:, None] - x, axis=2) + 1e9 * np.eye(50)
    expected = np.zeros((50, 50))
    np.put_along_axis(expected, distance.argsort(axis=1)[:, :5], 1, axis=1)
    assert np.array_equal(nearest_rows(x, 5).toarray(), expected)


def test_jaccard_is_that_of_sets(rng):
    graph = nearest_rows(rng.normal(size=(40, 3)), 4)
    around = [set(np.flatnonzero(row)) | {i} for i, row in enumerate(graph.toarray())]
    edges = np.maximum(graph.toarray(), graph.toarray().T)
    expected = np.array([[len(a & b) / len(a | b) for b in around] for a in around]) * edges
    assert np.allclose(jaccard(graph).toarray(), expected)
    assert isinstance(jaccard(graph), sp.csr_matrix)


def test_jaccard_in_blocks_is_the_same(rng, monkeypatch):
    graph = nearest_rows(rng.normal(size=(40, 3)), 4)
    whole = jaccard(graph).toarray()
    monkeypatch.setattr("triptych.maths.graphs.ROWS", 7)
    assert np.array_equal(jaccard(graph).toarray(), whole)
