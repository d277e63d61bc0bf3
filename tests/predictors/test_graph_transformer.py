"""The graph transformer of views: what it learns, what it must not look at, its intervals and its errors."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError, WeightsError
from triptych.core.protocols import Places
from triptych.predictors import registry
from triptych.predictors.graph_transformer import FittedGraphTransformer, GraphTransformer
from triptych.predictors.graph_transformer_cross import Crossing, Taught, _stops, learn, spread, unstacked
from triptych.predictors.inputs import taken

TYPES = ("a", "b")
SMALL = GraphTransformer(
    heads=2, width=8, layers=1, epochs=8, batch=32, lr=3e-3, members=2, folds=2, dropout=0.0
)


def study(sections=4, side=7, seed=0):
    """The abundance of a spot is the mean of a feature over its neighbours; its own feature is left out."""
    rng = np.random.default_rng(seed)
    n = sections * side**2
    grid = np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2) * 200.0
    places = Places(np.tile(grid, (sections, 1)), np.repeat(np.arange(sections), side**2))
    x = rng.normal(size=(n, 4))
    near = (np.abs(places.um[:, None] - places.um[None]).sum(-1) == 200) & (
        places.sample[:, None] == places.sample[None]
    )
    around = near @ x[:, :2] / near.sum(1, keepdims=True)
    values = np.clip(1.5 + around + rng.normal(0, 0.1, around.shape), 0, None)
    return {"one": x[:, :3], "two": x[:, 3:]}, Abundance(values, TYPES), places


@pytest.fixture(scope="module")
def fitted():
    views, target, places = study()
    return SMALL.fit(views, target, places, places.sample, np.random.default_rng(0))


def test_it_learns_what_only_neighbours_tell():
    views, target, places = study(6)
    new_views, new_target, new_places = study(2, seed=9)  # of a spot's own features the correlation is 0
    model = replace(SMALL, epochs=15, members=1).fit(
        views, target, places, places.sample, np.random.default_rng(0)
    ).model  # fmt: skip
    guess = model.apply(new_views, new_places).values
    for column in range(2):
        assert np.corrcoef(guess[:, column], new_target.values[:, column])[0, 1] > 0.4


def test_its_value_is_what_the_model_says_and_the_same_seed_gives_the_same_bits(fitted):
    views, target, places = study()
    np.testing.assert_array_equal(fitted.value.values, fitted.model.apply(views, places).values)
    again = SMALL.fit(views, target, places, places.sample, np.random.default_rng(0))
    for part in ("values", "low", "high"):
        np.testing.assert_array_equal(getattr(again.value, part), getattr(fitted.value, part))
    other = SMALL.fit(views, target, places, places.sample, np.random.default_rng(1))
    assert np.abs(other.value.values - fitted.value.values).max() > 1e-4


def test_a_prediction_does_not_depend_on_what_else_is_predicted(fitted):
    views, _, places = study(3, seed=5)
    whole = fitted.model.apply(views, places)
    order = np.random.default_rng(0).permutation(len(places.um))
    for rows in (order, np.flatnonzero(places.sample == 1)):
        some = fitted.model.apply(*taken(views, places, rows))
        for part in ("values", "low", "high"):
            np.testing.assert_allclose(getattr(some, part), getattr(whole, part)[rows], atol=1e-5)
    spot = 24  # the middle of the first section, with all that lies within two steps
    near = np.flatnonzero((np.linalg.norm(places.um - places.um[spot], axis=1) < 500) & (places.sample == 0))
    alone = fitted.model.apply(*taken(views, places, near))
    np.testing.assert_allclose(alone.values[near == spot][0], whole.values[spot], atol=1e-5)


def test_intervals_hold_about_the_share_that_was_asked_for(fitted):
    views, target, places = study(6, seed=3)
    guess = fitted.model.apply(views, places)
    held = ((target.values >= guess.low) & (target.values <= guess.high)).mean()
    assert 0.8 < held < 0.98
    assert (guess.low >= 0).all()


def test_a_model_comes_back_from_its_folder(fitted, tmp_path):
    views, _, places = study(2, seed=5)
    fitted.model.save(tmp_path)
    again = SMALL.restore(tmp_path)
    for part in ("values", "low", "high"):
        np.testing.assert_array_equal(
            getattr(again.apply(views, places), part), getattr(fitted.model.apply(views, places), part)
        )


def test_a_model_whose_parts_do_not_fit_is_refused(fitted, tmp_path):
    kept = dict(fitted.model.networks)
    kept.pop("0.graph.enter.weight")
    with pytest.raises(ValueError, match="do not fit each other"):
        replace(fitted.model, networks=kept)
    with pytest.raises(ValueError, match="not numbered from 0"):
        replace(fitted.model, networks={f"1{name}": value for name, value in kept.items()})
    with pytest.raises(ValueError, match="do not fit 1 types"):
        replace(fitted.model, types=("a",))
    with pytest.raises(ValueError, match="its networks see 4 columns"):
        replace(fitted.model, roles=("one",), widths=(3,), mean=np.zeros(3), std=np.ones(3))
    with pytest.raises(WeightsError, match=r"holds no arrays\.safetensors"):
        SMALL.restore(tmp_path / "nothing")


def test_rows_without_abundance_are_not_learned_from_but_are_neighbours():
    views, target, places = study(3)
    values = target.values.copy()
    values[places.sample == 2] = np.nan
    values[::5] = np.nan
    some = SMALL.fit(
        views, Abundance(values, TYPES), places, places.sample, np.random.default_rng(0)
    )  # fmt: skip
    assert np.isfinite(some.value.values).all()
    moved = {role: view.copy() for role, view in views.items()}
    moved["one"][10] += 3  # a row without abundance, beside others that have one
    other = SMALL.fit(moved, Abundance(values, TYPES), places, places.sample, np.random.default_rng(0))
    assert np.abs(other.value.values[11] - some.value.values[11]).max() > 1e-6


def test_sparse_views_are_as_dense_ones(fitted):
    views, _, places = study(2, seed=5)
    sparse = {role: sp.csr_matrix(view) for role, view in views.items()}
    np.testing.assert_allclose(
        fitted.model.apply(sparse, places).values, fitted.model.apply(views, places).values, atol=1e-6
    )


def test_scale_by_section_forgets_the_stain_of_a_section():
    views, target, places = study(3)
    model = replace(SMALL, scale="section", epochs=2, members=1).fit(
        views, target, places, places.sample, np.random.default_rng(0)
    ).model  # fmt: skip
    stained = {role: 3 * view + 7 for role, view in views.items()}
    np.testing.assert_allclose(
        model.apply(stained, places).values, model.apply(views, places).values, atol=1e-4
    )


def test_a_type_that_never_varies_is_predicted_as_it_is():
    views, target, places = study(2)
    values = np.column_stack([target.values[:, 0], np.full(len(places.um), 0.25)])
    guess = replace(SMALL, epochs=2).fit(
        views, Abundance(values, TYPES), places, places.sample, np.random.default_rng(0)
    ).value  # fmt: skip
    np.testing.assert_allclose(guess.values[:, 1], 0.25, atol=0.05)


def test_faults_of_what_is_given_are_told_together():
    views, target, places = study(2)
    views["one"][0, 0] = np.nan
    bad = Abundance(-target.values, TYPES)
    with pytest.raises(DataError) as caught:
        SMALL.fit(views, bad, places, places.sample, np.random.default_rng(0))
    assert "not finite" in str(caught.value)
    assert "negative" in str(caught.value)


def test_other_views_than_those_of_the_fit_are_refused(fitted):
    views, _, places = study(2)
    with pytest.raises(DataError, match="two is missing"):
        fitted.model.apply({"one": views["one"]}, places)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("neighbours", 0, "neighbours must be at least 1"),
        ("batch", 0, "batch must be at least 1"),
        ("lr", 0.0, "lr must be above 0"),
        ("dropout", 1.0, "dropout must lie from 0 to below 1"),
        ("epochs", 0, "epochs must be at least 1"),
        ("members", 0, "members must be at least 1"),
        ("folds", 1, "folds must be at least 2"),
        ("heads", 0, "heads must be at least 1"),
        ("radius_um", 0.0, "radius_um must be above 0"),
        ("level", 1.0, "level"),
    ],
)
def test_parameters_out_of_range_are_refused(field, value, told):
    with pytest.raises(ValueError, match=told):
        registry.make("graph-transformer", {field: value})


def test_the_stop_of_a_fold_is_read_from_the_others():
    rng = np.random.default_rng(0)
    truth, folds = rng.normal(size=(30, 2)), np.repeat([0, 1, 2], 10)
    guesses = truth + rng.normal(size=(4, 30, 2)) * rng.uniform(0.5, 2, (4, 3)).repeat(10, 1)[..., None]
    chosen, best = _stops(guesses, truth, folds)
    error = ((guesses - truth) ** 2 / truth.var(axis=0)).sum(axis=2)
    for fold in range(3):
        assert chosen[fold] == error[:, folds != fold].sum(axis=1).argmin()
    assert best == error.sum(axis=1).argmin()
    changed = guesses.copy()
    changed[:, folds == 1] = rng.normal(size=(4, 10, 2)) * 50
    assert _stops(changed, truth, folds)[0][1] == chosen[1]


def test_inner_folds_are_predicted_by_networks_that_never_saw_them():
    _, target, places = study(4)
    tasks = []

    def teach(task):
        tasks.append(task)
        guesses = np.repeat(target.values[task.held][None], len(task.marks), axis=0)
        return Taught(guesses + 0.5, {"w": np.zeros(1, np.float32)})

    crossing = Crossing(epochs=10, looks=4, members=2, folds=2, level=0.9)
    found = learn(crossing, target, places, places.sample, teach)
    assert crossing.marks == (3, 5, 8, 10)
    for task in tasks[:4]:
        assert not np.intersect1d(places.sample[task.rows], places.sample[task.held]).size
        assert len(task.rows) + len(task.held) == len(places.um)
    assert [len(task.rows) for task in tasks[4:]] == [len(places.um)] * 2
    assert {task.stop for task in tasks[4:]} == {found.epochs}
    np.testing.assert_allclose(found.margin, 0.5)  # members agree, so the spread is 1
    assert sorted(found.networks) == ["0.w", "1.w"]
    assert len(unstacked(found.networks)) == 2


def test_spread_grows_with_disagreement_and_never_vanishes():
    guesses = np.stack([np.zeros((3, 1)), np.array([[0.0], [2.0], [20.0]])])
    np.testing.assert_allclose(spread(guesses, np.ones(1))[:, 0], np.hypot([0, 1, 10], 1))


def test_the_name_leads_here_and_loads_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; from triptych.predictors import registry; registry.make('graph-transformer');"
        "registry.make('graph-transformer-pixels'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert FittedGraphTransformer.__name__ == "FittedGraphTransformer"
