"""K-means."""

import numpy as np
import pytest

from triptych.clusterers.kmeans import KMeans


def test_groups_are_found_by_falling_size(groups, rng):
    x, truth = groups
    assert np.array_equal(KMeans(k=3).cluster(x, rng), truth)


def test_as_many_clusters_as_rows(rng):
    found = KMeans(k=6, n_init=1).cluster(rng.normal(size=(6, 2)), rng)
    assert sorted(found) == list(range(6))


@pytest.mark.parametrize("params", [{"k": 0}, {"n_init": 0}])
def test_parameters_out_of_range(params):
    with pytest.raises(ValueError, match="k and n_init must be at least 1"):
        KMeans(**params)
