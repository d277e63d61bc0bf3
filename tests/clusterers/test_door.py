"""Checks on the way in, numbers on the way out."""

import numpy as np
import pytest

from triptych.clusterers.door import by_size, check_clusters, check_rows
from triptych.core.errors import DataError


def test_codes_fall_in_size_and_ties_go_by_first_appearance():
    assert by_size(np.array([7, 2, 2, 9, 9, 2, 4])).tolist() == [2, 0, 0, 1, 1, 0, 3]


def test_more_clusters_than_observations(rng):
    with pytest.raises(
        DataError, match="kmeans: 9 clusters cannot be made of 8 observations. Set k to at most 8"
    ):
        check_clusters("kmeans", rng.normal(size=(8, 2)), 9)


def test_more_clusters_than_distinct_observations():
    x = np.repeat(np.arange(3.0), 1000)[:, None]
    check_clusters("kmeans", x, 3)
    with pytest.raises(DataError, match="4 clusters cannot be made of 3 distinct observations"):
        check_clusters("kmeans", x, 4)


def test_values_that_are_not_finite():
    with pytest.raises(DataError, match="leiden: 1 of 2 rows have values that are not finite"):
        check_rows("leiden", np.array([[1.0, np.inf], [0, 0]]))


@pytest.mark.parametrize("x", [np.empty((0, 3)), np.empty((3, 0)), np.zeros(3)])
def test_matrices_without_rows_or_columns(x):
    with pytest.raises(DataError, match=r"it needs \(n, d\)"):
        check_rows("leiden", x)
