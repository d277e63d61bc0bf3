"""Ridge regression against scikit-learn, its penalty against a naive double loop, and its interval."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import Ridge as Theirs
from sklearn.preprocessing import StandardScaler

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError, WeightsError
from triptych.core.protocols import Places
from triptych.predictors import ridge as module
from triptych.predictors import ridge_fitted, spectrum
from triptych.predictors.inputs import scaled, taken
from triptych.predictors.ridge import Ridge


def problem(n=150, d=12, seed=0, noise=1.0):
    """Four groups whose rows have a shift of their own, and abundances that follow from the views."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(4, size=n)
    x = rng.normal(size=(n, d)) + rng.normal(size=(4, d))[groups]
    y = x @ rng.normal(size=(d, 3)) + noise * rng.normal(size=(n, 3))
    y -= y.min(axis=0)
    views = {"b": x[:, : d // 3], "a": x[:, d // 3 :]}
    places = Places(rng.uniform(0, 900, (n, 2)), groups)
    return views, Abundance(y, ("T", "B", "CAF")), places, groups


def fit(component, *given):
    return component.fit(*given, np.random.default_rng(0))


@pytest.mark.parametrize(("n", "d"), [(150, 12), (40, 90)])
@pytest.mark.parametrize("alpha", [0.1, 30.0, 1e4])
def test_equal_to_scikit_learn(n, d, alpha):
    views, target, places, groups = problem(n, d)
    found = fit(Ridge(alphas=(alpha,)), views, target, places, groups)
    x = scaled(views, places).value.astype(float)
    theirs = Theirs(alpha, solver="svd").fit(x, target.values)
    assert np.allclose(found.model.coefficients, theirs.coef_.T, rtol=0, atol=1e-8)
    assert np.allclose(found.value.values, np.clip(theirs.predict(x), 0, None), rtol=0, atol=1e-8)
    new = problem(n, d, seed=1)[0]
    theirs = theirs.predict(found.model.matrix(new, places).astype(float))
    assert np.allclose(found.model.apply(new, places).values, np.clip(theirs, 0, None), rtol=0, atol=1e-8)


def naive(views, target, groups, alphas):
    """Errors of each penalty, by a fit for every group and penalty, and the guesses."""
    x = np.hstack([views["a"], views["b"]])
    guesses = np.empty((len(alphas), *target.values.shape))
    for at, alpha in enumerate(alphas):
        for group in np.unique(groups):
            out = groups == group
            scale = StandardScaler().fit(x[~out])
            theirs = Theirs(alpha).fit(scale.transform(x[~out]), target.values[~out])
            guesses[at, out] = theirs.predict(scale.transform(x[out]))
    errors = ((guesses - target.values) ** 2).mean(axis=1) / target.values.var(axis=0)
    return errors.sum(axis=1), guesses


@pytest.mark.parametrize(("noise", "d"), [(1.0, 12), (30.0, 12), (5.0, 200)])
def test_the_penalty_is_that_of_a_naive_double_loop(noise, d):
    views, target, places, groups = problem(noise=noise, d=d)
    model = fit(Ridge(), views, target, places, groups).model
    errors, guesses = naive(views, target, groups, module.ALPHAS)
    best = int(errors.argmin())
    assert model.chosen == {"alpha": module.ALPHAS[best]}
    residual = np.sort(np.abs(target.values - np.clip(guesses[best], 0, None)), axis=0)
    assert (model.margin < residual[135]).all()  # for each is divided by its spread, which is above 1


@pytest.mark.parametrize(("n", "d"), [(150, 12), (40, 90)])
def test_the_spread_is_that_of_the_equation(n, d):
    views, target, places, groups = problem(n, d)
    model = fit(Ridge(alphas=(7.0,)), views, target, places, groups).model
    x = scaled(views, places).value.astype(float)
    centred = x - x.mean(axis=0)
    new = model.matrix(problem(n, d, seed=1)[0], places).astype(float) - x.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred + 7 * np.eye(d))
    leverage = np.array([1 / n + row @ inverse @ row for row in new])
    found = model.apply(problem(n, d, seed=1)[0], places)
    assert np.allclose(found.high - found.values, np.sqrt(1 + leverage)[:, None] * model.margin, atol=1e-9)
    of_folds = spectrum.guessed(
        model.matrix(problem(n, d, seed=1)[0], places), spectrum.spectrum(x, target.values), (2.0, 7.0)
    )
    assert np.allclose(of_folds[1][1], leverage, atol=1e-9)


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_the_interval_covers_new_rows_of_the_same_kind(level):
    held = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, slope = rng.normal(size=(1200, 6)), rng.normal(size=(6, 3))
        y = np.clip(3 + x @ slope + rng.standard_t(4, (1200, 3)), 0, None)
        places = Places(rng.uniform(0, 900, (1200, 2)), np.zeros(1200, int))
        views, target = {"x": x[:400]}, Abundance(y[:400], ("T", "B", "CAF"))
        old, new = taken({}, places, np.arange(400))[1], taken({}, places, np.arange(400, 1200))[1]
        groups = rng.integers(5, size=400)
        found = fit(Ridge(level=level), views, target, old, groups).model.apply({"x": x[400:]}, new)
        held.append(((y[400:] >= found.low) & (y[400:] <= found.high)).mean())
    # 8 x 3 margins from 400 scores each: deviation of a level about sqrt(0.16 / 400 / 24) = 0.004
    assert abs(np.mean(held) - level) < 0.015


def test_what_one_section_is_shifted_by_does_not_matter():
    views, target, places, groups = problem()
    moved = {role: view.copy() for role, view in views.items()}
    for view in moved.values():
        view[groups == 2] = view[groups == 2] * 3 + 50
    model = fit(Ridge(scale="section"), views, target, places, groups).model
    assert np.allclose(model.apply(moved, places).values, model.apply(views, places).values, atol=1e-4)
    plain = fit(Ridge(), views, target, places, groups).model
    assert not np.allclose(plain.apply(moved, places).values, plain.apply(views, places).values, atol=1)


def test_a_row_is_guessed_the_same_alone_and_among_others():
    views, target, places, groups = problem()
    found = fit(Ridge(), views, target, places, groups)
    for row in (0, 77):
        alone = found.model.apply(*taken(views, places, np.array([row])))
        for part in ("values", "low", "high"):
            assert np.allclose(getattr(alone, part)[0], getattr(found.value, part)[row], rtol=0, atol=1e-10)


def test_rows_of_which_nothing_is_known_are_guessed_and_not_learned_from():
    views, target, places, groups = problem()
    target.values[::3] = np.nan
    rows = np.flatnonzero(np.arange(150) % 3)
    value, model = fit(Ridge(alphas=(5.0,)), views, target, places, groups)
    x = scaled(*taken(views, places, rows)).model.apply(views, places).astype(float)
    theirs = Theirs(5.0).fit(x[rows], target.values[rows])
    assert model.rows == 100
    assert np.allclose(value.values, np.clip(theirs.predict(x), 0, None), atol=1e-8)


@pytest.mark.parametrize("scale", ["fit", "section"])
def test_what_is_held_out_changes_no_bit(scale):
    views, target, places, groups = problem()
    rows = np.flatnonzero(groups != 1)

    def learned(views, values):
        some, where = taken(views, places, rows)
        known = Abundance(values[rows], target.types)
        return fit(Ridge(scale=scale), some, known, where, groups[rows]).value.high.tobytes()

    out = (groups == 1)[:, None]
    changed = {role: np.where(out, 1e6, view) for role, view in views.items()}
    assert learned(views, target.values) == learned(changed, np.where(out, 1e6, target.values))


def test_saved_with_the_same_bits(tmp_path):
    for n, d in ((150, 12), (40, 90)):
        views, target, places, groups = problem(n, d)
        fitted = fit(Ridge(), views, target, places, groups)
        fitted.model.save(tmp_path / str(d))
        again = Ridge().restore(tmp_path / str(d))
        assert again.chosen == fitted.model.chosen
        for part in ("values", "low", "high"):
            found = getattr(again.apply(views, places), part)
            assert found.tobytes() == getattr(fitted.value, part).tobytes()


def test_a_damaged_model_is_refused(tmp_path):
    fit(Ridge(), *problem()).model.save(tmp_path)
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace('"CAF"', '"CAF", "PVL"'))
    with pytest.raises(WeightsError, match="do not fit 12 columns and 4 types"):
        Ridge().restore(tmp_path)
    (tmp_path / "model.json").write_text(text.replace('"alpha"', '"beta"'))
    with pytest.raises(WeightsError, match="does not tell its alpha"):
        Ridge().restore(tmp_path)


def test_sparse_views_give_what_dense_ones_give():
    views, target, places, groups = problem()
    sparse = {role: sp.csr_matrix(view) for role, view in views.items()}
    one, other = (fit(Ridge(), given, target, places, groups) for given in (views, sparse))
    assert np.allclose(one.value.values, other.value.values, atol=1e-5)


def test_blocks_of_rows_do_not_matter(monkeypatch):
    whole = fit(Ridge(), *problem())
    monkeypatch.setattr(ridge_fitted, "ROWS", 11)
    monkeypatch.setattr(spectrum, "ROWS", 11)
    parts = fit(Ridge(), *problem())
    assert np.allclose(parts.value.low, whole.value.low, atol=1e-9)
    assert np.allclose(parts.value.high, whole.value.high, atol=1e-9)


def test_repeatable_and_inputs_untouched():
    given, kept = problem(), problem()
    one, other = fit(Ridge(), *given), fit(Ridge(), *given)
    assert one.value.high.tobytes() == other.value.high.tobytes()
    assert all(np.array_equal(given[0][role], kept[0][role]) for role in kept[0])
    assert np.array_equal(given[1].values, kept[1].values)


def test_constant_columns_and_types_are_harmless():
    views, target, places, groups = problem()
    views["b"][:, 0], target.values[:, 1] = 4.0, 2.0
    found = fit(Ridge(), views, target, places, groups).value
    assert np.allclose(found.values[:, 1], 2)
    assert np.allclose(found.high[:, 1], 2)
    assert np.isfinite(found.high).all()


def test_what_does_not_fit_is_refused(monkeypatch):
    views, target, places, groups = problem()
    with pytest.raises(DataError, match="ridge: there are 150 places but 149 codes of groups"):
        fit(Ridge(), views, target, places, groups[1:])
    model = fit(Ridge(), views, target, places, groups).model
    with pytest.raises(DataError, match="the model knows a, b; b is missing"):
        model.apply({"a": views["a"]}, places)
    monkeypatch.setattr(spectrum, "WIDEST", 10)
    with pytest.raises(DataError, match=r"150 observations with 12 columns are too many.*Reduce the views"):
        fit(Ridge(), views, target, places, groups)


def test_parameters_out_of_range_are_refused():
    for alphas in ((), (0.0,), (1.0, np.inf)):
        with pytest.raises(ValueError, match="alphas must be positive numbers"):
            Ridge(alphas=alphas)
    with pytest.raises(ValueError, match="level must lie"):
        Ridge(level=1.5)
    with pytest.raises(ValueError, match="clip must be"):
        Ridge(clip=-1)
