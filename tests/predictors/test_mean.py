"""The control: the same mean everywhere."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError, WeightsError
from triptych.core.protocols import Places
from triptych.predictors.mean import Mean


@pytest.fixture
def given(rng):
    groups = np.arange(90) % 3
    y = rng.uniform(0, 5, (90, 2)) + groups[:, None]
    places = Places(rng.uniform(0, 900, (90, 2)), np.zeros(90, int))
    return {"img": rng.normal(size=(90, 4))}, Abundance(y, ("T", "B")), places, groups


def test_the_mean_of_known_rows_is_said_of_all(given, rng):
    views, target, places, groups = given
    target.values[:5] = np.nan
    value, model = Mean().fit(views, target, places, groups, rng)
    assert np.allclose(value.values, np.tile(target.values[5:].mean(axis=0), (90, 1)))
    new = model.apply({"img": np.ones((2, 4))}, Places(places.um[:2], places.sample[:2]))
    assert np.array_equal(new.values, value.values[:2])
    assert new.types == ("T", "B")


def test_the_interval_is_that_of_groups_held_out(given, rng):
    views, target, places, groups = given
    model = Mean(level=0.8).fit(views, target, places, groups, rng).model
    for t in range(2):
        y = target.values[:, t]
        scores = sorted(abs(y[i] - y[groups != groups[i]].mean()) for i in range(90))
        assert model.margin[t] == pytest.approx(scores[int(np.ceil(91 * 0.8)) - 1])
    found = model.apply(views, places)
    assert np.allclose(found.high - found.values, model.margin)
    assert np.allclose(found.low, np.clip(found.values - model.margin, 0, None))


def test_views_play_no_part_but_must_be_those_of_the_fit(given, rng):
    views, target, places, groups = given
    one = Mean().fit(views, target, places, groups, rng)
    other = Mean().fit({"img": sp.csr_matrix((90, 4))}, target, places, groups, rng)
    assert one.value.high.tobytes() == other.value.high.tobytes()
    assert not one.model.mean.any()
    with pytest.raises(DataError, match="the view img has 3 columns; the model knows 4"):
        one.model.apply({"img": views["img"][:, 1:]}, places)
    with pytest.raises(DataError, match="the model knows img; img is missing"):
        one.model.apply({}, places)


def test_saved_with_the_same_bits(given, rng, tmp_path):
    fit = Mean().fit(*given, rng)
    fit.model.save(tmp_path)
    assert Mean().restore(tmp_path).apply(given[0], given[2]).high.tobytes() == fit.value.high.tobytes()
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace('"T",', ""))
    with pytest.raises(WeightsError, match="do not fit 1 types"):
        Mean().restore(tmp_path)


def test_what_does_not_fit_is_refused(given, rng):
    views, target, places, groups = given
    with pytest.raises(DataError, match="mean: some abundances are negative"):
        Mean().fit(views, Abundance(-target.values, target.types), places, groups, rng)
    with pytest.raises(ValueError, match="level must lie"):
        Mean(level=0)
