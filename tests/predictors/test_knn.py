"""The mean of neighbours against naive loops and scikit-learn."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsRegressor

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError, WeightsError
from triptych.core.protocols import Places
from triptych.predictors import knn as module
from triptych.predictors.inputs import scaled, taken
from triptych.predictors.knn import Knn, averaged


def problem(n=160, d=6, seed=0):
    """Four groups, and abundances that bend with the views."""
    rng = np.random.default_rng(seed)
    groups, x = rng.integers(4, size=n), rng.normal(size=(n, d)) * np.arange(d, 0, -1)
    y = np.stack([x[:, 0] ** 2, np.abs(x[:, 1]), 3 + np.sin(x[:, 0])], axis=1)
    y += 0.2 * np.abs(rng.normal(size=y.shape))
    places = Places(rng.uniform(0, 900, (n, 2)), groups)
    return {"b": x[:, : d // 3], "a": x[:, d // 3 :]}, Abundance(y, ("T", "B", "CAF")), places, groups


def fit(component, *given):
    return component.fit(*given, np.random.default_rng(0))


def test_averages_equal_a_naive_loop(rng):
    new, codes, known = rng.normal(size=(7, 3)), rng.normal(size=(30, 3)), rng.uniform(size=(30, 2))
    means, deviations = averaged(new, codes, known, (2, 5))
    for row in range(7):
        order = np.argsort([np.sum((new[row] - code) ** 2) for code in codes])
        for at, k in enumerate((2, 5)):
            near = known[order[:k]]
            assert np.allclose(means[at, row], near.mean(axis=0))
            assert np.allclose(deviations[at, row], np.sqrt(((near - near.mean(axis=0)) ** 2).mean(axis=0)))


@pytest.mark.parametrize("components", [3, 50])
def test_equal_to_scikit_learn_on_principal_components(components):
    views, target, places, groups = problem()
    found = fit(Knn(neighbours=(7,), components=components), views, target, places, groups)
    pca = PCA(min(components, 6), svd_solver="full").fit(scaled(views, places).value.astype(float))
    new = problem(seed=1)[0]
    codes = pca.transform(found.model.matrix(new, places).astype(float))
    theirs = KNeighborsRegressor(7).fit(pca.transform(scaled(views, places).value), target.values)
    assert np.allclose(found.model.apply(new, places).values, theirs.predict(codes), atol=1e-8)


def test_the_number_of_neighbours_is_that_of_a_naive_double_loop():
    views, target, places, groups = problem()
    x, ks = np.hstack([views["a"], views["b"]]), (1, 3, 10, 30)
    guesses = np.empty((len(ks), *target.values.shape))
    for group in range(4):
        out = groups == group
        mean, std = x[~out].mean(axis=0), x[~out].std(axis=0)
        for at, k in enumerate(ks):
            theirs = KNeighborsRegressor(k).fit((x[~out] - mean) / std, target.values[~out])
            guesses[at, out] = theirs.predict((x[out] - mean) / std)
    errors = ((guesses - target.values) ** 2).mean(axis=1) / target.values.var(axis=0)
    model = fit(Knn(neighbours=ks), views, target, places, groups).model
    assert model.chosen == {"neighbours": ks[int(errors.sum(axis=1).argmin())]}


def test_the_interval_is_wide_where_neighbours_differ():
    views, target, places, groups = problem()
    found = fit(Knn(neighbours=(9,)), views, target, places, groups)
    value, model = found
    deviation = averaged(model.codes, model.codes, target.values, (9,))[1][0]
    spread = deviation + 0.1 * target.values.std(axis=0)
    assert np.allclose(value.high - value.values, spread * model.margin)
    assert np.array_equal(value.low, np.clip(value.values - spread * model.margin, 0, None))


def test_the_interval_covers_new_rows_of_the_same_kind():
    held = []
    for seed in range(6):
        views, target, places, _ = problem(n=1200, seed=seed)
        old, new = np.arange(400), np.arange(400, 1200)
        some, where = taken(views, places, old)
        groups = np.random.default_rng(seed).integers(5, size=400)
        model = fit(Knn(), some, Abundance(target.values[old], target.types), where, groups).model
        found, y = model.apply(*taken(views, places, new)), target.values[new]
        held.append(((y >= found.low) & (y <= found.high)).mean())
    assert abs(np.mean(held) - 0.9) < 0.02


def test_what_one_section_is_shifted_by_does_not_matter():
    views, target, places, groups = problem()
    moved = {role: view.copy() for role, view in views.items()}
    for view in moved.values():
        view[groups == 2] = view[groups == 2] * 4 + 64
    model = fit(Knn(scale="section"), views, target, places, groups).model
    assert np.allclose(model.apply(moved, places).values, model.apply(views, places).values, atol=1e-6)


def test_a_row_is_guessed_the_same_alone_and_among_others():
    views, target, places, groups = problem()
    value, model = fit(Knn(), views, target, places, groups)
    for row in (0, 99):
        alone = model.apply(*taken(views, places, np.array([row])))
        for part in ("values", "low", "high"):
            assert np.allclose(getattr(alone, part)[0], getattr(value, part)[row], atol=1e-12)


def test_rows_of_which_nothing_is_known_are_no_neighbours():
    views, target, places, groups = problem()
    target.values[:30] = np.nan
    value, model = fit(Knn(), views, target, places, groups)
    assert len(model.codes) == 130
    assert np.isfinite(value.values).all()
    assert value.values.shape == (160, 3)


@pytest.mark.parametrize("d", [6, 1200])
def test_saved_with_the_same_bits(tmp_path, d):
    views, target, places, groups = problem(n=60, d=d)
    one, other = (fit(Knn(components=4), views, target, places, groups) for _ in range(2))
    assert one.value.high.tobytes() == other.value.high.tobytes()
    one.model.save(tmp_path)
    assert Knn().restore(tmp_path).apply(views, places).high.tobytes() == one.value.high.tobytes()


def test_a_damaged_model_is_refused(tmp_path):
    fit(Knn(), *problem()).model.save(tmp_path)
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace('"CAF"', '"CAF", "PVL"'))
    with pytest.raises(WeightsError, match="do not fit 6 columns, 160 rows and 4 types"):
        Knn().restore(tmp_path)
    (tmp_path / "model.json").write_text(text.replace('"neighbours": ', '"neighbours": 99'))
    with pytest.raises(WeightsError, match="how many of its 160 rows are neighbours"):
        Knn().restore(tmp_path)


def test_sparse_views_and_blocks_do_not_matter(monkeypatch):
    views, target, places, groups = problem()
    whole = fit(Knn(), views, target, places, groups).value
    monkeypatch.setattr(module, "ROWS", 13)
    sparse = {role: sp.csr_matrix(view) for role, view in views.items()}
    parts = fit(Knn(), sparse, target, places, groups).value
    assert np.allclose(parts.values, whole.values)
    assert np.allclose(parts.high, whole.high)


def test_more_components_than_rows_are_cut():
    views, target, places, groups = problem(n=30, d=90)
    model = fit(Knn(neighbours=(3,)), views, target, places, groups).model
    assert model.codes.shape[1] <= 29


def test_constant_types_are_harmless():
    views, target, places, groups = problem()
    target.values[:, 1] = 2.0
    found = fit(Knn(), views, target, places, groups).value
    assert np.allclose([found.values[:, 1], found.low[:, 1], found.high[:, 1]], 2)


def test_what_does_not_fit_is_refused():
    views, target, places, groups = problem(n=24)
    with pytest.raises(DataError, match="knn: the view a has values that are not finite"):
        fit(Knn(), views | {"a": views["a"] * np.nan}, target, places, groups)
    with pytest.raises(DataError, match=r"guessed from \d+ observations; neighbours are \(30, 40\).*fewer"):
        fit(Knn(neighbours=(30, 40)), views, target, places, groups)
    assert fit(Knn(neighbours=(3, 40)), views, target, places, groups).model.chosen == {"neighbours": 3}


def test_views_that_tell_nothing_are_refused():
    _, target, places, groups = problem()
    flat = {"x": np.ones((160, 60))}
    with pytest.raises(DataError, match=r"knn: no column of the views varies\. Name other views"):
        fit(Knn(), flat, target, places, groups)


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ValueError, match="neighbours must be numbers from 1"):
        Knn(neighbours=(0, 5))
    with pytest.raises(ValueError, match="neighbours must be numbers from 1"):
        Knn(neighbours=())
    with pytest.raises(ValueError, match="components must be at least 1"):
        Knn(components=0)
    with pytest.raises(ValueError, match="level must lie"):
        Knn(level=1)
