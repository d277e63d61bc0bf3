"""Communities that several views have in common."""

import json
import random
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from triptych.clusterers import communities, registry
from triptych.clusterers.communities import neighbour_graph
from triptych.clusterers.kmeans import KMeans
from triptych.clusterers.leiden import Leiden
from triptych.clusterers.multiplex_leiden import MultiplexLeiden
from triptych.clusterers.multiplex_leiden_fitted import FittedMultiplex
from triptych.clusterers.multiplex_leiden_layers import layers_of, shares
from triptych.core.errors import DataError, MissingExtraError, TriptychWarning, WeightsError

leidenalg = pytest.importorskip("leidenalg")
FEW = MultiplexLeiden(neighbours=10, try_weights=(0.1, 0.5, 0.9), least=2)


@pytest.fixture
def views(rng):
    """Four groups: the genes tell the first two from the last two, the image the odd from the even."""
    truth = rng.permutation(np.repeat(np.arange(4), [60, 50, 40, 30]))
    rna = rng.normal(size=(180, 6)) + 6 * np.eye(6)[truth // 2]
    image = rng.normal(size=(180, 4)) + 6 * np.eye(4)[truth % 2]
    return {"rna": rna, "img": image}


@pytest.fixture
def noise(rng):
    return {
        "rna": rng.normal(size=(300, 5)),
        "img": rng.normal(size=(300, 3)),
        "pos": rng.normal(size=(300, 2)),
    }


def generator():
    return np.random.default_rng(4)


def quality(graphs, weights, resolutions, shares, labels):
    """Σ w Q of a partition, by leidenalg."""
    kind = leidenalg.RBConfigurationVertexPartition
    given = zip(graphs, weights, resolutions, strict=True)
    parts = [
        kind(g, initial_membership=labels.tolist(), weights=w, resolution_parameter=r) for g, w, r in given
    ]
    return sum(share * part.quality() for share, part in zip(shares, parts, strict=True))


def test_groups_that_no_view_shows_alone_are_found(rng):
    truth = rng.permutation(np.repeat(np.arange(4), 30))
    rna = rng.normal(size=(120, 6)) + 9 * np.eye(6)[truth // 2]
    image = rng.normal(size=(120, 4)) + 9 * np.eye(4)[truth % 2]
    # At 1 the halves that a view shows and the quarters of both have the same quality.
    settings = {"neighbours": 40, "resolution": 1.2}
    common = MultiplexLeiden(**settings, try_weights=(0.5,)).cluster({"rna": rna, "img": image}, rng)
    assert adjusted_rand_score(truth, common) == 1.0
    assert all(len(np.unique(Leiden(**settings).cluster(view, rng))) == 2 for view in (rna, image))


@pytest.mark.parametrize("iterations", [0, -1, 2])
@pytest.mark.parametrize("weights", ["jaccard", "one"])
def test_the_quality_is_that_of_leidenalg_called_directly(noise, weights, iterations):
    roles, share = ["img", "pos", "rna"], [0.2, 0.2, 0.6]
    component = MultiplexLeiden(try_weights=(0.6,), weights=weights, iterations=iterations)
    ours = component.cluster(noise, generator())
    graphs, edges = zip(*(neighbour_graph(noise[role], 15, weights) for role in roles), strict=True)
    for graph, weight in zip(graphs, edges, strict=True):
        graph.es["weight"] = weight
    theirs, _ = leidenalg.find_partition_multiplex(
        list(graphs), leidenalg.RBConfigurationVertexPartition, layer_weights=share,
        n_iterations=iterations or -1, seed=int(generator().integers(2**31 - 1)),
        weights="weight", resolution_parameter=1.0,
    )  # fmt: skip
    mine, direct = (quality(graphs, edges, [1.0] * 3, share, np.array(labels)) for labels in (ours, theirs))
    assert mine == pytest.approx(direct, rel=1e-12)
    assert adjusted_rand_score(ours, theirs) == 1.0


def test_each_layer_has_the_settings_that_its_view_inherits(noise):
    tuned = {
        "rna": Leiden(neighbours=7, resolution=2.0).fit(noise["rna"], generator()).model,
        "img": Leiden(tune="silhouette", try_neighbours=(4, 9), least=2).fit(noise["img"], generator()).model,
    }
    layers = layers_of(FEW, noise, tuned)
    chosen = tuned["img"].chosen
    assert list(layers) == ["img", "pos", "rna"]
    assert [(layer.neighbours, layer.resolution) for layer in layers.values()] == [
        (chosen["neighbours"], chosen["resolution"]), (10, 1.0), (7, 2.0),
    ]  # fmt: skip
    share = shares(list(layers), "rna", 0.5)
    value, model = replace(FEW, try_weights=(0.5,)).fit(noise, generator(), tuned=tuned)
    kind = leidenalg.RBConfigurationVertexPartition
    parts = []
    for role, layer in layers.items():
        graph, weights = neighbour_graph(noise[role], layer.neighbours, "jaccard")
        parts.append(kind(graph, weights=weights, resolution_parameter=layer.resolution))
    optimiser = leidenalg.Optimiser()
    optimiser.set_rng_seed(int(generator().integers(2**31 - 1)))
    optimiser.optimise_partition_multiplex(parts, layer_weights=list(share.values()), n_iterations=2)
    assert adjusted_rand_score(value, parts[0].membership) == 1.0
    assert model.neighbours == {role: layer.neighbours for role, layer in layers.items()}


def test_the_rest_is_shared_evenly():
    assert shares(["a", "b", "c"], "b", 0.4) == pytest.approx({"a": 0.3, "b": 0.4, "c": 0.3})
    assert shares(["a", "b"], "a", 1.0) == {"a": 1.0, "b": 0.0}


def test_the_weight_of_highest_mean_silhouette_is_chosen(views):
    value, model = FEW.fit(views, generator())
    tried = [replace(FEW, try_weights=(w,)).cluster(views, generator()) for w in FEW.try_weights]
    scores = [np.mean([silhouette_score(view, codes) for view in views.values()]) for codes in tried]
    best = int(np.argmax(scores))
    weight = FEW.try_weights[best]
    assert np.array_equal(value, tried[best])
    assert model.chosen == {
        "weight.rna": weight, "weight.img": pytest.approx(1 - weight),
        "silhouette": pytest.approx(scores[best]), "clusters": value.max() + 1,
    }  # fmt: skip
    assert model.weights == {"rna": weight, "img": pytest.approx(1 - weight)}


def test_another_view_may_lead(views):
    model = replace(FEW, lead="img", try_weights=(0.8,)).fit(views, generator()).model
    assert model.weights == pytest.approx({"img": 0.8, "rna": 0.2})


def test_one_weight_is_taken_without_a_search(views):
    model = replace(FEW, try_weights=(0.3,)).fit(views, generator()).model
    assert model.chosen == {}
    assert model.weights == pytest.approx({"rna": 0.3, "img": 0.7})


def test_all_the_weight_on_one_view_leaves_the_other_out(views, rng):
    alone = replace(FEW, try_weights=(1.0,))
    other = {"rna": views["rna"], "img": rng.normal(size=(180, 2))}
    assert np.array_equal(alone.cluster(views, generator()), alone.cluster(other, generator()))


def test_where_none_has_enough_clusters_the_most_are_taken(views):
    with pytest.warns(TriptychWarning, match="multiplex-leiden: no setting tried gives 99 clusters or more"):
        value = replace(FEW, least=99).cluster(views, generator())
    tried = [replace(FEW, try_weights=(w,)).cluster(views, generator()) for w in FEW.try_weights]
    assert value.max() == max(codes.max() for codes in tried)


def test_codes_are_repeatable_by_falling_size_whatever_the_order_of_views(views):
    for view in views.values():
        view.flags.writeable = False
    one, two = FEW.cluster(views, generator()), FEW.cluster(dict(reversed(views.items())), generator())
    assert one.tobytes() == two.tobytes()
    size = np.bincount(one)
    assert (size > 0).all()
    assert (np.diff(size) <= 0).all()


def test_a_fit_gives_what_clustering_gives_and_takes_single_precision(views):
    single = {role: view.astype(np.float32) for role, view in views.items()}
    value, model = FEW.fit(single, generator())
    assert np.array_equal(value, FEW.cluster(single, generator()))
    assert all(view.dtype == np.float32 for view in model.views.values())
    assert np.mean(model.apply(single) == value) > 0.9


def test_the_generators_of_others_are_left_alone(views):
    random.seed(4)
    state = random.getstate()
    FEW.cluster(views, generator())
    assert random.getstate() == state


def test_a_few_rows_and_rows_that_coincide(rng):
    few = replace(FEW, least=1)
    assert len(few.cluster({"rna": rng.normal(size=(2, 3)), "img": rng.normal(size=(2, 1))}, rng)) == 2
    value = few.cluster({"rna": np.zeros((40, 2)), "img": np.zeros((40, 3))}, rng)
    assert np.array_equal(np.unique(value), np.arange(value.max() + 1))


def test_others_are_elected_by_their_nearest_rows_in_every_view(views, rng, monkeypatch):
    tuned = {"img": Leiden(neighbours=7).fit(views["img"], rng).model}
    value, model = replace(FEW, resolution=2.0, try_weights=(0.35,)).fit(views, rng, tuned=tuned)
    others = {role: rng.normal(size=(50, view.shape[1])) * 3 for role, view in views.items()}
    monkeypatch.setattr(communities, "ROWS", 16)
    for row, code in enumerate(model.apply(others)):
        votes = np.zeros(value.max() + 1)
        for role, k, weight in (("img", 7, 0.65), ("rna", 10, 0.35)):
            space, point = views[role].astype(np.float32), others[role][row].astype(np.float32)
            near = np.argsort(np.linalg.norm(space - point, axis=1))[:k]
            np.add.at(votes, value[near], weight / k)
        assert votes[code] == pytest.approx(votes.max())


def test_a_tie_goes_to_the_larger_community():
    space = np.array([[0.0], [1]], np.float32)
    model = FittedMultiplex(
        {"a": space, "b": space[::-1]}, np.array([0, 1]), {"a": 1, "b": 1}, {"a": 0.5, "b": 0.5}
    )
    assert model.apply({"a": np.array([[0.9], [0.1]]), "b": np.array([[0.9], [0.1]])}).tolist() == [0, 0]


def test_rows_are_applied_one_by_one(views):
    model = FEW.fit(views, generator()).model
    part = {role: view[::3] for role, view in views.items()}
    assert np.array_equal(model.apply(part), model.apply(views)[::3])


def test_a_restored_model_gives_the_same(views, tmp_path):
    named = {"rna": views["rna"], "img.uni": views["img"]}
    model = FEW.fit(named, generator()).model
    model.save(tmp_path)
    loaded = FEW.restore(tmp_path)
    assert loaded.apply(named).tobytes() == model.apply(named).tobytes()
    assert loaded.chosen == model.chosen
    assert isinstance(loaded.chosen["clusters"], int)


@pytest.mark.parametrize(
    "wrong",
    [
        {"neighbours": {"rna": 10}},
        {"weights": {}},
        {"neighbours": {"rna": 10, "img": 0}},
        {"neighbours": "x"},
    ],
)
def test_a_damaged_model_is_refused(views, tmp_path, wrong):
    FEW.fit(views, generator()).model.save(tmp_path)
    about = json.loads((tmp_path / "model.json").read_text("utf-8"))
    about["values"] |= wrong
    (tmp_path / "model.json").write_text(json.dumps(about), "utf-8")
    with pytest.raises(WeightsError, match="is not a saved FittedMultiplex"):
        FEW.restore(tmp_path)


def test_a_model_whose_parts_do_not_fit_is_refused():
    ones = {"a": 1, "b": 1}
    views = {"a": np.zeros((2, 2), np.float32), "b": np.zeros((3, 2), np.float32)}
    with pytest.raises(
        ValueError, match=r"labels of shape \(2,\) do not fit views of \[\(2, 2\), \(3, 2\)\]"
    ):
        FittedMultiplex(views, np.zeros(2, int), ones, {"a": 0.5, "b": 0.5})
    with pytest.raises(ValueError, match="or a label below 0"):
        FittedMultiplex({"a": views["a"]}, np.array([0, -1]), {"a": 1}, {"a": 1.0})


def test_every_fault_of_the_views_is_told(views):
    views["img"][2, 1] = np.nan
    views["pos"] = np.zeros((7, 2))
    with pytest.raises(DataError) as caught:
        replace(FEW, lead="dna").cluster(views, generator())
    told = str(caught.value)
    assert "multiplex-leiden: 3 faults" in told
    assert "there is no view dna, whose weight is tried. There is img, pos, rna; set lead." in told
    assert "1 of 180 rows of the view img have values that are not finite. Remove them." in told
    assert "the views have 180 rows (img), 7 rows (pos), 180 rows (rna)." in told


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ({"rna": np.ones((9, 2))}, "it needs two views or more. There is rna; leiden clusters one."),
        ({}, "it needs two views or more. There is nothing"),
        ({"rna": np.ones((1, 2)), "img": np.ones((1, 2))}, "one observation has no neighbours"),
        ({"rna": np.ones(9), "img": np.ones((9, 2))}, r"the view rna has shape \(9,\); it needs \(n, d\)"),
        ({"rna": np.ones((9, 0)), "img": np.ones((9, 2))}, r"the view rna has shape \(9, 0\); it needs"),
    ],
)
def test_views_that_make_no_layers_are_refused(rng, views, message):
    with pytest.raises(DataError, match=message):
        FEW.cluster(views, rng)


def test_a_sparse_view_is_refused(views, rng):
    sp = pytest.importorskip("scipy.sparse")
    with pytest.raises(DataError, match="the view rna is sparse. Reduce it first"):
        FEW.cluster(views | {"rna": sp.csr_matrix(views["rna"])}, rng)


def test_settings_that_cannot_be_inherited_are_refused(views, rng):
    tuned = {
        "rna": KMeans(3).fit(views["rna"], rng).model,
        "img": Leiden(k=3).fit(views["img"], rng).model,
        "pos": Leiden().fit(views["img"], rng).model,
    }
    with pytest.raises(DataError) as caught:
        FEW.fit(views, rng, tuned=tuned)
    told = str(caught.value)
    assert "the clusterer of rna (FittedKMeans) has no neighbours and resolution to inherit." in told
    assert "the clusterer of img sought 3 clusters and keeps no resolution." in told
    assert "settings of pos are given, which is no view. There is img, rna." in told


def test_views_unlike_those_of_the_fit_are_refused(views, rng):
    model = FEW.fit(views, rng).model
    with pytest.raises(DataError, match="the views are rna; those of the fit were img, rna"):
        model.apply({"rna": views["rna"]})
    with pytest.raises(DataError, match="the views are img, pos, rna; those of the fit"):
        model.apply(views | {"pos": views["img"]})
    with pytest.raises(DataError, match="the view img has 3 columns; the fit had 4. Give the views that the"):
        model.apply(views | {"img": views["img"][:, :3]})
    with pytest.raises(DataError, match=r"the views have 5 rows \(img\), 180 rows \(rna\)"):
        model.apply(views | {"img": views["img"][:5]})
    views["rna"][0, 0] = np.inf
    with pytest.raises(DataError, match="1 of 180 rows of the view rna have values that are not finite"):
        model.apply(views)


def test_without_leidenalg_the_extra_is_named(views, rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "leidenalg", None)
    with pytest.raises(
        MissingExtraError, match=r"leidenalg is not installed. pip install 'triptych\[multiplex\]'"
    ):
        FEW.cluster(views, rng)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"neighbours": 0}, "neighbours and least must be at least 1"),
        ({"least": 0}, "neighbours and least must be at least 1"),
        ({"resolution": 0.0}, "resolution must be above 0"),
        ({"iterations": -2}, "iterations must not be below 0"),
        ({"lead": ""}, "lead must name the role"),
        ({"try_weights": ()}, "try_weights needs numbers from 0 to 1"),
        ({"try_weights": (0.5, 1.1)}, "try_weights needs numbers from 0 to 1"),
        ({"try_weights": (float("nan"),)}, "try_weights needs numbers from 0 to 1"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        MultiplexLeiden(**params)


def test_the_registry_makes_it():
    assert registry.make("multiplex-leiden", json.loads(json.dumps(asdict(FEW)))) == FEW
