"""Selection of columns, against pycytominer's own feature_select."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError, MissingExtraError, TriptychWarning
from triptych.core.protocols import Places
from triptych.fusers import select
from triptych.fusers.select import FittedSelection, Select

pytest.importorskip("pycytominer", reason="the extra profiling is not installed")


def places(n):
    return Places(np.zeros((n, 2)), np.zeros(n, int))


@pytest.fixture
def features(rng):
    """Columns of which some are missing here and there, some hardly vary, and some copy each other."""
    n = 300
    x = rng.normal(5, 3, (n, 40)) * 10.0 ** rng.integers(-6, 6, 40)
    for column in range(20, 32):
        x[:, column] = x[:, column - 20] * 3 + rng.normal(0, x[:, column - 20].std() * rng.uniform(0.1, 3), n)
    x[:, 32] = -x[:, 1]
    x[:, 33] = 4.0
    x[:, 34] = rng.integers(0, 2, n)
    x[:, 35] = np.where(np.arange(n) < 5, 1.0, 0.0)
    for column, share in ((3, 0.02), (36, 0.04), (7, 0.06), (8, 0.5), (9, 1.0)):
        x[rng.permutation(n)[: round(share * n)], column] = np.nan
    return x


def chosen(x, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TriptychWarning)
        return Select(**settings).fit({"img": x}, places(len(x)), np.random.default_rng(0)).model


def by_pycytominer(x, **settings):
    from pycytominer import feature_select

    names = [f"Cells_{k}" for k in range(x.shape[1])]
    operations = ["drop_na_columns", "frequency_threshold", "correlation_threshold"]
    with np.errstate(all="ignore"):
        left = feature_select(pd.DataFrame(x, columns=names), names, operation=operations, **settings)
    return [names.index(name) for name in left.columns]


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"na_cutoff": 0.3}, {"na_cutoff": 0.3}),
        ({"freq_cut": 0.0, "unique_cut": 0.02}, {"freq_cut": 0.0, "unique_cut": 0.02}),
        ({"threshold": 0.6}, {"corr_threshold": 0.6}),
        ({"threshold": 0.5, "method": "spearman"}, {"corr_threshold": 0.5, "corr_method": "spearman"}),
    ],
)
def test_the_columns_are_those_of_feature_select(ours, theirs, missing, features):
    x = features if missing else np.nan_to_num(features)
    found, expected = chosen(x, **ours).columns.tolist(), by_pycytominer(x, **theirs)
    assert found == expected
    assert 0 < len(found) < 40


def test_what_stays_and_what_goes(features):
    """Too often missing, constant, of two values, of two with a rare one; and copies."""
    columns = set(chosen(features).columns.tolist())
    assert columns.isdisjoint({7, 8, 9, 33, 34, 35})
    assert {36, 32} <= columns
    assert columns & {1, 21}  # one of two that 32 runs against
    known = pd.DataFrame(features[:, sorted(columns)]).corr().to_numpy()
    assert (known[np.triu_indices(len(known), 1)] <= 0.9).all()


def test_kept_columns_are_standardised_and_filled_with_medians(features):
    with pytest.warns(TriptychWarning, match=r"select: \d+ of \d+ values are missing, in \d of \d+ columns"):
        value, model = Select().fit({"img": features}, places(300), np.random.default_rng(0))
    assert np.isfinite(value).all()
    assert np.allclose(value.mean(axis=0), 0, atol=1e-10)
    assert np.allclose(value.std(axis=0), 1)
    raw = chosen(features, standardise=False)
    with pytest.warns(TriptychWarning):
        filled = raw.apply({"img": features}, places(300))
    assert np.array_equal(raw.columns, model.columns)
    for k, column in enumerate(raw.columns):
        known = features[:, column]
        assert np.array_equal(filled[:, k], np.where(np.isnan(known), np.nanmedian(known), known))


def test_new_cells_get_the_columns_and_scales_of_the_fit(features, tmp_path):
    model = chosen(features[:200])
    model.save(tmp_path)
    new = features[200:] * 2 + 1
    known = new[:, model.columns]
    filled = np.where(np.isnan(known), model.median, known)
    for one in (model, Select().restore(tmp_path)):
        with pytest.warns(TriptychWarning, match="missing"):
            found = one.apply({"img": new}, places(100))
        assert np.allclose(found, (filled - model.mean) / model.deviation)


def test_a_column_that_new_cells_lack_altogether_is_the_median(features):
    model = chosen(features)
    new = features.copy()
    new[:, model.columns[0]] = np.nan
    with pytest.warns(TriptychWarning, match="missing"):
        found = model.apply({"img": new}, places(300))
    assert np.allclose(found[:, 0], (model.median[0] - model.mean[0]) / model.deviation[0])


def test_a_constant_column_that_may_stay_is_nought(rng):
    x = np.column_stack([rng.normal(size=50), np.full(50, 0.1)])
    found = Select(freq_cut=0, unique_cut=0).fuse({"img": x}, places(50), rng)
    assert found.shape == (50, 2)
    assert not found[:, 1].any()


def test_many_rows_are_looked_at_in_part(features):
    """The choice is that of the rows drawn; medians and moments are of all."""
    model = chosen(features, most=120)
    rows = np.sort(np.random.default_rng(0).choice(300, 120, replace=False))
    assert model.columns.tolist() == chosen(features[rows]).columns.tolist()
    assert np.array_equal(model.median, np.nanmedian(features[:, model.columns], axis=0))


def test_several_views_stand_side_by_side(features):
    halves = {"b": features[:, 20:], "a": sp.csr_matrix(np.nan_to_num(features[:, :20]))}
    whole = np.hstack([halves["a"].toarray(), halves["b"]])
    with pytest.warns(TriptychWarning):
        both = Select().fuse(halves, places(300), np.random.default_rng(0))
    with pytest.warns(TriptychWarning):
        one = Select().fuse({"img": whole}, places(300), np.random.default_rng(0))
    assert np.array_equal(both, one)


def test_single_precision_is_enough(features):
    x = np.nan_to_num(features)
    assert chosen(x.astype(np.float32)).columns.tolist() == chosen(x).columns.tolist()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((30, 3), 2.0), "none of 3 columns of 30 observations is left: 3 hardly varied"),
        (np.full((30, 2), np.nan), "none of 2 columns of 30 observations is left: 2 all missing"),
        (np.where(np.eye(30)[:, :2] > 0, np.nan, np.inf), "the view img has values that are not finite"),
        (np.zeros((20, 3)), "the view img has 20 rows but there are 30 places"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(x, message, rng):
    with pytest.raises(DataError, match=message):
        Select().fuse({"img": x}, places(30), rng)


def test_very_wide_views_are_refused(features, rng, monkeypatch):
    monkeypatch.setattr(select, "WIDEST", 39)
    with pytest.raises(
        DataError, match="there are 40 columns; it compares each with each, and takes at most 39"
    ):
        Select().fuse({"img": features}, places(300), rng)


def test_other_columns_than_those_of_the_fit_are_refused(features):
    model = chosen(features)
    with pytest.raises(
        DataError, match=r"select: the view img has shape \(300, 39\); the fit had 40 columns"
    ):
        model.apply({"img": features[:, :39]}, places(300))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([0, 7], "columns of which there are 3"),
        ([0.0, 1.0], "columns of which"),
        ([0, 1, 2], "do not fit each other"),
    ],
)
def test_models_that_contradict_themselves_are_refused(columns, message):
    two = np.ones(2)
    with pytest.raises(ValueError, match=message):
        FittedSelection(Select(), {"img": 3}, np.array(columns), two, two, two)


@pytest.mark.parametrize("name", ["na_cutoff", "freq_cut", "unique_cut", "threshold"])
def test_parameters_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be from 0 to 1, got 1.5"):
        Select(**{name: 1.5})
    with pytest.raises(ValueError, match="most must be at least 2, got 1"):
        Select(most=1)


def test_without_pycytominer_the_extra_is_named(features, rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycytominer.operations", None)
    with pytest.raises(MissingExtraError, match=r"triptych\[profiling\]"):
        Select().fuse({"img": features}, places(300), rng)
