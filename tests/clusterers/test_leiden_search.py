"""Leiden at the neighbours and the resolution of highest silhouette."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_samples, silhouette_score

from triptych.clusterers import leiden_search, silhouette_grid
from triptych.clusterers.door import by_size
from triptych.clusterers.leiden import FittedLeiden, Leiden
from triptych.clusterers.silhouette_grid import best_of, mean_silhouettes
from triptych.core.errors import DataError, TriptychWarning
from triptych.maths.silhouette import silhouettes

GRID = Leiden(tune="silhouette", try_neighbours=(20, 5, 10), try_resolutions=(0.2, 1.0, 2.0), least=2)


@pytest.fixture
def six(rng):
    """Six groups."""
    return rng.normal(size=(240, 5)) + 5 * rng.normal(size=(6, 5))[np.repeat(np.arange(6), 40)]


def generator():
    return np.random.default_rng(8)


def test_the_best_point_of_the_grid_is_chosen(six):
    value, model = GRID.fit(six, generator())
    points = [(k, r) for k in (20, 5, 10) for r in (0.2, 1.0, 2.0)]
    tried = [Leiden(neighbours=k, resolution=r).cluster(six, generator()) for k, r in points]
    scores = [silhouette_score(six, codes) for codes in tried]
    best = int(np.argmax(scores))
    assert (model.chosen["neighbours"], model.chosen["resolution"]) == points[best]
    assert model.chosen["silhouette"] == pytest.approx(scores[best], abs=1e-12)
    assert np.array_equal(value, tried[best])


def test_the_model_has_the_settings_chosen(six, tmp_path):
    value, model = GRID.fit(six, generator())
    chosen = model.component
    assert chosen == replace(
        GRID, neighbours=model.chosen["neighbours"], resolution=model.chosen["resolution"]
    )
    assert np.array_equal(replace(chosen, tune="no").cluster(six, generator()), value)
    others = generator().normal(size=(50, 5))
    plain = FittedLeiden(Leiden(neighbours=chosen.neighbours), six.astype(np.float32), value)
    assert np.array_equal(model.apply(others), plain.apply(others))
    model.save(tmp_path)
    loaded = GRID.restore(tmp_path)
    assert loaded.chosen == model.chosen
    assert isinstance(loaded.chosen["neighbours"], int)
    assert loaded.component == chosen


def test_nothing_is_chosen_without_a_search(six):
    model = Leiden().fit(six, generator()).model
    assert model.chosen == {}
    assert model.component == Leiden()


def test_a_search_is_repeatable_and_leaves_its_input(six):
    six.flags.writeable = False
    assert np.array_equal(GRID.cluster(six, generator()), GRID.cluster(six, generator()))


def test_neighbours_are_searched_once(six, monkeypatch):
    calls = []
    search = leiden_search.NeighbourGraphs.of
    monkeypatch.setattr(
        leiden_search.NeighbourGraphs, "of", lambda *given: calls.append(given) or search(*given)
    )
    replace(GRID, consensus=2).cluster(six, generator())
    assert [most for _, most, _ in calls] == [20]


def test_partitions_with_too_few_clusters_are_not_considered(six):
    few = GRID.fit(six, generator()).value
    many, model = replace(GRID, least=int(few.max()) + 2).fit(six, generator())
    assert many.max() > few.max()
    assert model.chosen["silhouette"] <= silhouette_score(six, few)


def test_where_none_has_enough_the_most_are_taken(six):
    with pytest.warns(
        TriptychWarning, match=r"leiden: no setting tried gives 99 clusters .*; the most are \d+"
    ):
        found = replace(GRID, least=99).cluster(six, generator())
    tried = [
        Leiden(neighbours=k, resolution=r).cluster(six, generator()) for k in (20, 5, 10) for r in (0.2, 1, 2)
    ]
    assert found.max() == max(codes.max() for codes in tried)


def test_fewer_rows_than_neighbours(rng):
    value, model = replace(GRID, least=1).fit(rng.normal(size=(4, 2)), rng)
    assert len(value) == 4
    assert model.chosen["neighbours"] == 3


def test_rows_that_coincide(rng):
    value = replace(GRID, least=1, consensus=2).cluster(np.zeros((40, 2)), rng)
    assert np.array_equal(np.unique(value), np.arange(value.max() + 1))


def test_a_consensus_follows_the_search(six):
    value, model = replace(GRID, consensus=5).fit(six, generator())
    assert model.chosen == GRID.fit(six, generator()).model.chosen
    untuned = replace(model.component, tune="no")
    assert np.array_equal(untuned.cluster(six, generator()), value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((1, 2)), "one observation"),
        (np.full((5, 2), np.nan), "5 of 5 rows have values that are not"),
    ],
)
def test_what_makes_no_graph_is_refused(rng, x, message):
    with pytest.raises(DataError, match=f"leiden: {message}"):
        GRID.cluster(x, rng)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tune": "silhouette", "k": 4}, "tune and consensus do not go with k"),
        ({"consensus": 5, "k": 4}, "tune and consensus do not go with k"),
        ({"try_neighbours": ()}, "try_neighbours needs numbers of at least 1"),
        ({"try_neighbours": (5, 0)}, "try_neighbours needs numbers of at least 1"),
        ({"try_resolutions": ()}, "try_resolutions needs numbers above 0"),
        ({"try_resolutions": (1.0, 0.0)}, "try_resolutions needs numbers above 0"),
        ({"least": 0}, "least must be at least 1"),
        ({"consensus": 1}, "consensus must be 0, for none, or at least 2"),
        ({"consensus": -2}, "consensus must be 0, for none, or at least 2"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Leiden(**params)


@pytest.fixture
def partitions(rng):
    """Of 70 rows: of few clusters and of many, into one, into clusters of one, and one of them twice."""
    drawn = [by_size(rng.integers(0, k, 70)) for k in (2, 5, 30)]
    return [*drawn, np.zeros(70, int), np.arange(70), drawn[1].copy()]


def test_mean_silhouettes_are_those_of_scikit_learn(rng, partitions, monkeypatch):
    monkeypatch.setattr(silhouette_grid, "ROWS", 16)
    monkeypatch.setattr(silhouette_grid, "COLUMNS", 11)
    x = rng.normal(size=(70, 4)) + 50
    found = mean_silhouettes(x, partitions)
    several = [0, 1, 2, 5]
    wanted = [silhouette_samples(x, partitions[index]).mean() for index in several]
    assert found[several] == pytest.approx(wanted, abs=1e-10)
    assert found[3] == found[4] == 0.0
    assert found[1] == found[5]


def test_mean_silhouettes_are_those_of_one_partition_after_another(rng, partitions):
    x = rng.normal(size=(70, 4)).astype(np.float32)
    several = [0, 1, 2, 4]
    found = mean_silhouettes(x, [partitions[index] for index in several])
    assert found == pytest.approx([silhouettes(x, partitions[index]).mean() for index in several], abs=1e-12)
    assert mean_silhouettes(x, [partitions[3]]).tolist() == [0.0]


def test_equal_partitions_are_summed_once(rng, partitions, monkeypatch):
    summed = []
    means = silhouette_grid._means
    monkeypatch.setattr(silhouette_grid, "_means", lambda x, many: summed.append(len(many)) or means(x, many))
    mean_silhouettes(rng.normal(size=(70, 4)), partitions * 3)
    assert summed == [4]


def test_threads_do_not_change_the_bits(rng, partitions, monkeypatch):
    monkeypatch.setattr(silhouette_grid, "ROWS", 16)
    x, found = rng.normal(size=(70, 4)), []
    for count in (1, 3):
        monkeypatch.setattr(silhouette_grid, "threads", lambda count=count: count)
        found.append(mean_silhouettes(x, partitions).tobytes())
    assert found[0] == found[1]


def test_the_first_of_the_best_is_taken():
    two, three = np.array([0, 1, 0, 1]), np.array([0, 1, 2, 0])
    assert best_of("leiden", [two, three, three], np.array([0.9, 0.1, 0.1]), 3) == 1
    assert best_of("leiden", [two, three, three], np.array([0.9, 0.1, 0.2]), 2) == 0
    with pytest.warns(TriptychWarning, match="no setting tried gives 4 clusters or more; the most are 3"):
        assert best_of("leiden", [two, three, three], np.array([0.9, 0.1, 0.2]), 4) == 2


@pytest.mark.data
def test_the_latent_of_the_stains_of_mouse_ileum_is_tuned():
    data = os.environ.get("TRIPTYCH_DATA")
    if not data:
        pytest.skip("TRIPTYCH_DATA is not set")
    x = pd.read_csv(Path(data) / "mouse_ileum" / "latent_ls2_stain.csv.gz", index_col=0).to_numpy(np.float64)
    value, model = Leiden(tune="silhouette").fit(x, generator())
    assert value.max() >= 4
    assert model.chosen["silhouette"] == pytest.approx(silhouette_score(x, value), abs=1e-9)
    plain = Leiden().cluster(x, generator())
    assert model.chosen["silhouette"] > silhouette_score(x, plain)


def test_many_rows_are_stood_for_by_some(monkeypatch, rng):
    x, codes = rng.normal(size=(600, 3)), np.arange(600) % 3
    x += 4 * np.eye(3)[codes]
    alone = np.where(np.arange(600) == 7, 3, codes)  # a cluster of one, which most draws lose
    whole = mean_silhouettes(x, [codes, alone])
    monkeypatch.setattr("triptych.clusterers.silhouette_grid.MOST", 200)
    found = mean_silhouettes(x, [codes, alone], 5)
    assert np.allclose(found, whole, atol=0.05)
    assert np.array_equal(found, mean_silhouettes(x, [codes, alone], 5))
    rows = np.sort(np.random.default_rng(5).choice(600, 200, replace=False))
    assert found[0] == pytest.approx(silhouette_score(x[rows], codes[rows]), abs=1e-9)
