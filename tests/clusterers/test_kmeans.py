"""K-means."""

import numpy as np
import pytest

from triptych.clusterers.kmeans import FittedKMeans, KMeans


def test_groups_are_found_by_falling_size(groups, rng):
    x, truth = groups
    assert np.array_equal(KMeans(k=3).cluster(x, rng), truth)


def test_as_many_clusters_as_rows(rng):
    found = KMeans(k=6, n_init=1).cluster(rng.normal(size=(6, 2)), rng)
    assert sorted(found) == list(range(6))


def test_others_go_to_the_nearest_centre(groups, rng):
    x, truth = groups
    model = KMeans(k=3).fit(x, rng).model
    assert np.allclose(model.centres, [x[truth == code].mean(axis=0) for code in range(3)])
    others = rng.normal(0, 8, (40, 4))
    nearest = [np.linalg.norm(model.centres - row, axis=1).argmin() for row in others]
    assert model.apply(others).tolist() == nearest
    assert model.apply(others.astype(np.float32)).tolist() == nearest


def test_the_model_agrees_with_the_fit_where_clusters_touch(rng):
    value, model = KMeans(k=12, n_init=2).fit(x := rng.normal(size=(2000, 6)), rng)
    assert np.array_equal(model.apply(x), value)


def test_a_model_without_centres_is_refused():
    with pytest.raises(ValueError, match=r"its centres have shape \(0, 3\); they need \(k, d\)"):
        FittedKMeans(np.empty((0, 3)))


@pytest.mark.parametrize("params", [{"k": 0}, {"n_init": 0}])
def test_parameters_out_of_range(params):
    with pytest.raises(ValueError, match="k and n_init must be at least 1"):
        KMeans(**params)
