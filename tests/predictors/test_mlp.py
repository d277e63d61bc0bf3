"""The predictor mlp: what it learns, what it must not see, its intervals, and its model in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.optimize import nnls
from scipy.stats import pearsonr

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError, WeightsError
from triptych.core.protocols import Places
from triptych.predictors import registry
from triptych.predictors.mlp import Mlp
from triptych.predictors.mlp_fitted import error_line

QUICK = Mlp(hidden=(32, 32, 16, 16, 16, 16), learning_rate=5e-3, batch=64, epochs=6, patience=6)


def study(n=240, d=8, groups=3, seed=0):
    """Two views, three types that no linear function knows, and as many donors of one section each."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    y = np.column_stack([np.abs(x[:, 0]), 1 + np.sign(x[:, 1] * x[:, 2]), np.exp(-(x[:, 3] ** 2))])
    y = np.clip(y + rng.normal(scale=0.1, size=y.shape), 0, None)
    donor = np.arange(n) % groups
    places = Places(rng.uniform(0, 1000, (n, 2)), donor)
    return {"b": x[:, 3:], "a": x[:, :3]}, Abundance(y, ("T", "B", "CAF")), places, donor


def fit(given, seed=1, **changed):
    return replace(QUICK, **changed).fit(*given, np.random.default_rng(seed))


def take(given, rows):
    views, target, places, donor = given
    return (
        {role: view[rows] for role, view in views.items()},
        Abundance(target.values[rows], target.types),
        Places(places.um[rows], places.sample[rows]),
        donor[rows],
    )


def equal(a, b):
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("values", "low", "high"))


def test_it_is_registered_and_by_default_has_the_seven_layers_of_the_paper():
    assert registry.make("mlp", {}) == Mlp()
    assert len(Mlp().hidden) + 1 == 7


def test_it_learns_what_ridge_cannot():
    from sklearn.linear_model import RidgeCV

    given = study(n=900)
    train, test = take(given, np.arange(900) < 600), take(given, np.arange(900) >= 600)
    model = fit(train, epochs=50, patience=10).model
    guess = model.apply(test[0], test[2]).values
    line = RidgeCV().fit(np.hstack([train[0]["a"], train[0]["b"]]), train[1].values)
    linear = line.predict(np.hstack([test[0]["a"], test[0]["b"]]))
    for at in range(3):
        assert pearsonr(guess[:, at], test[1].values[:, at])[0] > 0.75
        assert pearsonr(linear[:, at], test[1].values[:, at])[0] < 0.3


def test_what_is_held_out_from_a_member_leaves_its_weights_alone():
    """In one epoch there is nothing to choose: a member whose fold was spoilt must be the same."""
    given = study()
    clean = fit(given, epochs=1, members=3).model
    for fold in range(3):
        views, target, places, donor = study()
        target.values[donor == fold] = 7 + 30 * target.values[donor == fold][::-1]
        found = fit((views, target, places, donor), epochs=1, members=3).model
        same = [
            all(np.array_equal(found.network[name][at], clean.network[name][at]) for name in clean.network)
            for at in range(3)
        ]
        assert same == [at == fold for at in range(3)]
        assert np.array_equal(found.targets_mean[fold], clean.targets_mean[fold])


@pytest.mark.parametrize("members", [1, 2, 5])
def test_any_number_of_members_goes_with_any_number_of_folds(members):
    value, model = fit(study(), members=members, epochs=2)
    assert len(model.epochs) == members
    assert np.isfinite(value.high).all()


def test_one_donor_is_divided_by_sections_and_one_section_by_place():
    views, target, places, donor = study()
    for one in (places, Places(places.um, donor * 0)):
        assert np.isfinite(fit((views, target, one, donor * 0), epochs=1).value.values).all()


def test_the_interval_holds_about_as_much_as_it_should_and_lies_around_the_guess():
    given = study(n=800, groups=4)
    train, test = take(given, given[3] < 3), take(given, given[3] == 3)
    found = fit(train, epochs=15, patience=5, level=0.8).model.apply(test[0], test[2])
    truth = test[1].values
    assert ((found.low >= 0) & (found.low <= found.values) & (found.values <= found.high)).all()
    held = ((found.low <= truth) & (truth <= found.high)).mean(axis=0)
    assert ((held > 0.7) & (held < 0.93)).all()


def test_a_higher_level_gives_wider_intervals_of_the_same_guesses():
    low, high = (fit(study(), level=level).value for level in (0.5, 0.95))
    assert np.array_equal(low.values, high.values)
    assert (high.high - high.values > low.high - low.values).all()


def test_the_line_of_errors_is_that_of_non_negative_least_squares():
    rng = np.random.default_rng(0)
    for grows, start in [(0.5, 0.2), (-0.5, 2.0), (2.0, -0.5)]:
        v = rng.uniform(0, 1, (200, 1))
        r = (start + grows * v) * rng.choice([-1, 1], (200, 1)) + 0.01 * rng.normal(size=(200, 1))
        (a, b), _ = nnls(np.column_stack([np.ones(200), v]), np.abs(r[:, 0]))
        found = error_line(v, r)
        assert found[0][0] == pytest.approx(max(a, 0.1 * np.abs(r).mean()), abs=1e-9)
        assert found[1][0] == pytest.approx(b, abs=1e-9)


def test_rows_of_which_nothing_is_known_are_guessed_and_not_learned_from():
    views, target, places, donor = study()
    target.values[::4] = np.nan
    value, model = fit((views, target, places, donor))
    assert np.isfinite(value.values).all()
    spoilt = {role: view.copy() for role, view in views.items()}
    for view in spoilt.values():
        view[::4] = np.roll(view[::4], 1, axis=0)  # the scale of the columns stays as it was
    other = fit((spoilt, target, places, donor)).model
    np.testing.assert_allclose(other.targets_mean, model.targets_mean, rtol=0, atol=0)
    np.testing.assert_allclose(other.network["weights.0"], model.network["weights.0"], atol=1e-4)


def test_a_type_that_is_constant_is_guessed_so_and_spoils_nothing():
    views, target, places, donor = study()
    target.values[:, 1] = 0.25
    found = fit((views, target, places, donor)).value
    assert (found.values[:, 1] == 0.25).all()
    assert np.isfinite(found.low).all()
    assert np.isfinite(found.high).all()


def test_by_section_an_offset_of_a_section_makes_no_difference():
    views, target, places, donor = study()
    moved = {role: view * 2 + 3 * donor[:, None] for role, view in views.items()}
    one, other = (fit((v, target, places, donor), scale="section", epochs=3).value for v in (views, moved))
    np.testing.assert_allclose(one.values, other.values, atol=1e-3)


def test_a_sparse_view_is_as_good_as_a_dense_one():
    views, target, places, donor = study()
    sparse = {"a": sp.csr_matrix(views["a"]), "b": views["b"]}
    assert equal(fit((sparse, target, places, donor)).value, fit((views, target, places, donor)).value)


def test_a_row_alone_is_guessed_as_among_others_to_the_last_bit():
    views, target, places, donor = study(n=600)
    model = fit((views, target, places, donor), epochs=2).model
    whole = model.apply(views, places)
    for row in (0, 511, 512, 599):
        alone = model.apply(*take((views, target, places, donor), [row])[::2])
        assert np.array_equal(alone.values[0], whole.values[row])
        assert np.array_equal(alone.high[0], whole.high[row])


def test_the_same_seed_gives_the_same_bits_and_nothing_global_is_touched():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    first, again, other = (fit(study(), seed).value for seed in (1, 1, 2))
    assert equal(first, again)
    assert not equal(first, other)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_the_value_is_what_the_model_says():
    given = study()
    value, model = fit(given)
    assert equal(value, model.apply(given[0], given[2]))
    assert list(model.losses) == ["mse", "mae", "pearson", "total", "held out"]
    assert all(1 <= epoch <= 6 for epoch in model.epochs)


CHILD = """
import sys
from pathlib import Path
import numpy as np
from triptych.core.protocols import Places
from triptych.predictors.mlp import Mlp
folder = Path(sys.argv[1])
given = np.load(folder / "given.npz")
views, places = {"a": given["a"], "b": given["b"]}, Places(given["um"], given["sample"])
found = Mlp().restore(folder / "model").apply(views, places)
np.savez(folder / "found.npz", values=found.values, low=found.low, high=found.high)
"""


def test_a_model_saved_and_read_in_another_process_says_the_same_to_the_last_bit(tmp_path):
    views, target, places, donor = study()
    value, model = fit((views, target, places, donor))
    model.save(tmp_path / "model")
    again = QUICK.restore(tmp_path / "model")
    assert equal(again.apply(views, places), value)
    assert again.epochs == model.epochs
    assert all(np.array_equal(again.losses[name], model.losses[name]) for name in model.losses)
    np.savez(tmp_path / "given.npz", **views, um=places.um, sample=places.sample)
    source = Path(__file__).parents[2] / "src"
    environment = os.environ | {"PYTHONPATH": str(source)}
    subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], check=True, env=environment)
    found = np.load(tmp_path / "found.npz")
    assert all(np.array_equal(found[part], getattr(value, part)) for part in ("values", "low", "high"))


def test_a_damaged_model_is_refused(tmp_path):
    model = fit(study(), epochs=1).model
    model.save(tmp_path)
    about = tmp_path / "model.json"
    about.write_text(about.read_text("utf-8").replace('"CAF"', '"CAF", "PVL"'), "utf-8")
    with pytest.raises(WeightsError, match="do not fit 8 columns, 4 types and 5 members"):
        QUICK.restore(tmp_path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"hidden": ()}, "hidden must name widths"),
        ({"hidden": (8, 0)}, "hidden must name widths"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"mae": -1.0}, "must not be negative"),
        ({"pearson": float("nan")}, "must not be negative"),
        ({"epsilon": -1e-3}, "must not be negative"),
        ({"weight_decay": -1.0}, "must not be negative"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": float("inf")}, "learning_rate must be positive"),
        ({"batch": 1}, "batch at least 2"),
        ({"epochs": 0}, "at least 1"),
        ({"patience": 0}, "at least 1"),
        ({"members": 0}, "at least 1"),
        ({"level": 1.0}, "level must lie between"),
        ({"clip": 0.0}, "clip must be above 0"),
    ],
)
def test_parameters_out_of_range_are_refused(changed, told):
    with pytest.raises(ValueError, match=told):
        replace(QUICK, **changed)


def test_faults_of_the_input_are_told_together():
    views, target, places, donor = study()
    views["a"][3, 0] = np.nan
    target.values[5, 1] = -1
    with pytest.raises(DataError, match="mlp: 2 faults") as error:
        fit((views, target, places, donor))
    assert "view a has values that are not finite" in str(error.value)
    assert "negative" in str(error.value)


def test_other_views_than_those_of_the_fit_are_refused():
    given = study()
    model = fit(given, epochs=1).model
    with pytest.raises(DataError, match="b is missing"):
        model.apply({"a": given[0]["a"]}, given[2])


@pytest.mark.data
@pytest.mark.slow
def test_sections_of_her2st_never_seen_are_guessed_better_than_by_ridge():
    """Leave one section out of C2–C5; mean over sections and types of Pearson's r. B4 is not looked at."""
    import triptych as tp
    from triptych.predictors.ridge import Ridge

    data = os.environ.get("TRIPTYCH_DATA")
    if not data:
        pytest.skip("TRIPTYCH_DATA is not set")
    table = tp.read(Path(data) / "her2st", samples=["C2", "C3", "C4", "C5"])
    x = np.asarray(
        tp.encode(table, "stain-texture", to="obsm:X_img.stain-texture").obsm["X_img.stain-texture"]
    )
    known, um = table.obsm["abundance"], table.obsm["spatial_um"]
    section = table.obs["sample"].cat.codes.to_numpy().astype(np.int64)
    given = ({"img": x}, Abundance(known.to_numpy(), tuple(known)), Places(um, section), section)
    scores = {}
    for predictor in (Mlp(scale="section"), Ridge(scale="section")):
        found = []
        for held in range(4):
            train, test = take(given, section != held), take(given, section == held)
            guess = predictor.fit(*train, np.random.default_rng(0)).model.apply(test[0], test[2]).values
            found.append([pearsonr(a, b)[0] for a, b in zip(guess.T, test[1].values.T, strict=True)])
        scores[type(predictor)] = np.mean(found)
    assert scores[Mlp] > 0.51
    assert scores[Mlp] > scores[Ridge] + 0.01
