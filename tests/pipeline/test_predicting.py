"""Predictions of what is held out: nothing of its abundance is seen, and what else it holds comes in late."""

import shutil

import numpy as np
import pandas as pd
import pytest

from triptych import verbs
from triptych.core.abundance import Abundance
from triptych.core.errors import DataError, NumericsError, RecipeError, TriptychWarning
from triptych.core.executors import executor
from triptych.metrics.coverage import Coverage
from triptych.metrics.l1 import L1
from triptych.metrics.pearson import Pearson
from triptych.pipeline.cache import Cache
from triptych.pipeline.plan import plan
from triptych.pipeline.predicting import gathered, judged, predicted
from triptych.pipeline.recipe import parse
from triptych.pipeline.run import run
from triptych.pipeline.study import STUDY, Study
from triptych.predictors.inputs import taken
from triptych.predictors.ridge import Ridge

from .test_folding import TYPES, abundant, scattered

PREDICT = '  - {{do: predict, use: {use}, views: {{img: "obsm:X_given"}}, to: "obsm:abundance.hat"{more}}}\n'
SCORES = "".join(
    f'  - {{do: score, use: {name}, guess: "obsm:abundance.hat"}}\n'
    for name in ("pearson", "l1", "coverage", "interval-width")
)


def recipe(use="ridge", more="", after="", before=""):
    return parse(
        f"name: small\nseed: 3\nsteps:\n{before}{PREDICT.format(use=use, more=more)}{after}", "small"
    )


@pytest.fixture
def study(make_table):
    return abundant(make_table(side=6, samples=("A1", "A2", "B1", "C1")))


def bits(table, slot="abundance.hat"):
    """Bytes of values and ends, of each section."""
    names = table.obs["sample"].astype(str).to_numpy()
    frames = [table.obsm[f"{slot}{end}"].to_numpy() for end in ("", ".low", ".high")]
    return {name: b"".join(frame[names == name].tobytes() for frame in frames) for name in np.unique(names)}


def altered(table, slot, donor, change):
    """A copy whose rows of a donor hold something else."""
    other, mine = table.copy(), (table.obs["donor"] == donor).to_numpy()
    held = other.layers if slot == "counts" else other.obsm
    value = held[slot].copy()
    if isinstance(value, pd.DataFrame):
        value.loc[mine] = change(value.loc[mine].to_numpy())
    elif slot == "counts":
        value = value.tolil()
        value[mine] = change(value[mine].toarray())
        value = value.tocsr()
    else:
        value[mine] = change(value[mine])
    held[slot] = value
    return other


def test_predictions_have_the_types_of_the_target_and_an_interval(study):
    done = run(recipe(), study)
    frames = [study.obsm[f"abundance.hat{end}"] for end in ("", ".low", ".high")]
    for frame in frames:
        assert list(frame.columns) == list(TYPES)
        assert list(frame.index) == list(study.obs_names)
        assert np.isfinite(frame.to_numpy()).all()
    assert (frames[1] <= frames[0]).all(axis=None)
    assert (frames[0] <= frames[2]).all(axis=None)
    assert set(done.record.steps[0].state) == {"donor A", "donor B", "donor C", STUDY}


def test_each_donor_is_predicted_by_a_fit_on_the_others(study):
    """Against the component itself, given the other rows by hand."""
    run(recipe(), study)
    whole = Study(study)
    x, y, places = study.obsm["X_given"], study.obsm["abundance"].to_numpy(), whole.places(STUDY)
    donors = study.obs["donor"].astype(str).to_numpy()
    for donor in "ABC":
        fit, test = np.flatnonzero(donors != donor), np.flatnonzero(donors == donor)
        groups = np.unique(donors[fit], return_inverse=True)[1]
        views, at = taken({"img": x}, places, fit)
        model = Ridge().fit(views, Abundance(y[fit], TYPES), at, groups, np.random.default_rng(0)).model
        hat = model.apply(*taken({"img": x}, places, test))
        assert np.allclose(study.obsm["abundance.hat"].to_numpy()[test], hat.values, atol=1e-12)
        assert np.allclose(study.obsm["abundance.hat.high"].to_numpy()[test], hat.high, atol=1e-12)


@pytest.mark.parametrize("use", ["ridge", "knn", "mean"])
def test_the_abundance_of_a_donor_does_not_reach_its_own_predictions(study, use):
    poisoned = altered(study, "abundance", "B", lambda y: y[:, ::-1] + 7)
    chosen = recipe(use, ", with: {neighbours: [3, 5]}" if use == "knn" else "")
    first, second = run(chosen, study), run(chosen, poisoned)
    ours, theirs = bits(study), bits(poisoned)
    assert ours["B1"] == theirs["B1"]
    assert ours["A1"] != theirs["A1"]
    assert ours["C1"] != theirs["C1"]
    chosen_of = [one.record.steps[0].chosen.get("donor B") for one in (first, second)]
    assert chosen_of[0] == chosen_of[1]


@pytest.mark.parametrize("slot", ["counts", "spatial", "spatial_um"])
@pytest.mark.parametrize("scale", ["fit", "section"])
def test_counts_and_places_of_a_donor_change_no_prediction(study, slot, scale):
    poisoned = altered(study, slot, "B", lambda x: x[::-1] * 3)
    for table in (study, poisoned):
        run(recipe(more=f", with: {{scale: {scale}}}"), table)
    assert bits(study) == bits(poisoned)


def test_the_views_of_a_donor_change_its_own_predictions_only_through_apply(study):
    poisoned = altered(study, "X_given", "B", lambda x: x * 2 + 1)
    models = []
    for table in (study, poisoned):
        chosen = recipe()
        run(chosen, table)
        planned = plan(chosen, Study(table))[0]
        given = gathered(Study(table), planned.step, planned.units[0].component, planned.reads, "donor B")
        models.append(predicted(planned.units[0].component, given, np.random.default_rng(0))[1])
    for name, value in vars(models[0]).items():
        same = getattr(models[1], name)
        assert value.tobytes() == same.tobytes() if isinstance(value, np.ndarray) else value == same, name
    ours, theirs = bits(study), bits(poisoned)
    assert all(ours[name] != theirs[name] for name in ours)


@pytest.mark.parametrize("held_out", ["donor", "sample", "block"])
def test_a_fit_is_given_nothing_that_is_held_out(study, held_out):
    planned = plan(recipe(more=f", held_out: {held_out}"), Study(study))[0]
    for unit in planned.units[:-1]:
        held = gathered(Study(study), planned.step, unit.component, planned.reads, unit.name)["held"]
        assert not set(held.fit) & set(held.out)
        assert len(held.fit) + len(held.out) == study.n_obs
    assert planned.units[-1].name == STUDY
    held = gathered(Study(study), planned.step, planned.units[0].component, planned.reads, STUDY)["held"]
    assert np.array_equal(held.fit, held.test)
    assert len(held.fit) == study.n_obs


def test_the_order_of_the_observations_plays_no_part(study):
    other = scattered(study)
    run(recipe(), study)
    run(recipe(), other)
    for end in ("", ".low", ".high"):
        ours, theirs = (table.obsm[f"abundance.hat{end}"] for table in (study, other))
        assert np.allclose(ours, theirs.loc[ours.index], atol=1e-9)


def test_background_is_neither_learned_from_nor_predicted(study):
    rng = np.random.default_rng(1)
    bright = rng.random(study.n_obs) < 0.2
    study.obsm["X_rgb"] = np.where(bright[:, None], 201.0, 199.0) * np.ones(3)
    more = ', background: "obsm:X_rgb"'
    run(recipe(more=more), study)
    hat = study.obsm["abundance.hat"].to_numpy()
    assert np.isnan(hat[bright]).all()
    assert np.isfinite(hat[~bright]).all()
    poisoned = study.copy()
    poisoned.obsm["X_given"] = np.where(bright[:, None], 1e6, study.obsm["X_given"])
    values = study.obsm["abundance"].to_numpy().copy()
    values[bright] = 1e6
    poisoned.obsm["abundance"] = pd.DataFrame(values, study.obs_names, list(TYPES))
    run(recipe(more=more), poisoned)
    assert bits(study) == bits(poisoned)
    run(recipe(more=f"{more}, background_above: 250"), study)
    assert np.isfinite(study.obsm["abundance.hat"].to_numpy()).all()


@pytest.mark.parametrize("use", ["ridge", "knn", "mean"])
def test_a_section_that_is_all_background_is_unknown(study, use):
    study.obsm["X_rgb"] = np.where((study.obs["donor"] == "B").to_numpy()[:, None], 255.0, 0.0) * np.ones(3)
    more = ', background: "obsm:X_rgb"' + (", with: {neighbours: [3]}" if use == "knn" else "")
    done = run(recipe(use, more, SCORES), study)
    hat, mine = study.obsm["abundance.hat"].to_numpy(), (study.obs["donor"] == "B").to_numpy()
    assert np.isnan(hat[mine]).all()
    assert np.isfinite(hat[~mine]).all()
    scored = done.record.scores.query("sample == 'B1' and slot == 'obsm:abundance.hat'")
    assert scored["value"].isna().all()
    assert (scored["n"] == 0).all()


def test_rows_of_unknown_abundance_are_predicted_and_not_learned_from(study):
    values = study.obsm["abundance"].to_numpy().copy()
    values[::5] = np.nan
    study.obsm["abundance"] = pd.DataFrame(values, study.obs_names, list(TYPES))
    run(recipe("mean"), study)
    hat, donors = study.obsm["abundance.hat"].to_numpy(), study.obs["donor"].astype(str).to_numpy()
    for donor in "ABC":
        assert np.allclose(hat[donors == donor], np.nanmean(values[donors != donor], axis=0), atol=1e-12)
    run(recipe("ridge"), study)
    assert np.isfinite(study.obsm["abundance.hat"].to_numpy()).all()


def test_nothing_left_to_learn_from_names_what_is_held_out(study):
    values = study.obsm["abundance"].copy()
    values[(study.obs["donor"] != "B").to_numpy()] = np.nan
    study.obsm["abundance"] = values
    with pytest.raises(DataError, match="No observation has a known obsm:abundance once donor B is held out"):
        run(recipe(), study)
    study.obsm["abundance"] = values * np.nan
    with pytest.raises(DataError, match="No observation has a known obsm:abundance"):
        run(recipe(more=", held_out: sample"), study)


def test_abundance_without_names_of_types_is_refused(study):
    study.obsm["abundance"] = study.obsm["abundance"].to_numpy()
    with pytest.raises(DataError, match="obsm:abundance names no cell types. It must be a DataFrame"):
        run(recipe(), study)


def test_sections_cannot_each_be_a_study_of_their_own(study):
    with pytest.raises(RecipeError, match="cannot treat each as a study of its own.*--per-sample"):
        run(recipe(), study, per_sample=True)


def test_predictions_that_are_not_finite_are_an_error(study):
    class Bad:
        takes = "views"

        def fit(self, views, target, places, groups, rng):
            return type("F", (), {"value": None, "model": self})()

        def apply(self, views, places):
            return Abundance(np.full((len(places.um), 3), np.nan), TYPES)

    planned = plan(recipe(), Study(study))[0]
    given = gathered(Study(study), planned.step, Bad(), planned.reads, "donor A")
    with pytest.raises(NumericsError, match=r"predict \(Bad\) gave values that are not finite"):
        predicted(Bad(), given, np.random.default_rng(0))


@pytest.mark.parametrize("how", ["threads:2"])
def test_folds_on_several_threads_give_the_same_bits(study, how):
    other = study.copy()
    run(recipe(), study)
    run(recipe(), other, executor=executor(how))
    assert bits(study) == bits(other)


# -- the cache ---------------------------------------------------------------------------------------


def keys(table, **how):
    return {unit.name: unit.key for unit in plan(recipe(**how), Study(table))[0].units}


def test_a_second_run_takes_every_fold_from_the_cache(study, tmp_path, monkeypatch):
    cache, other = Cache(tmp_path / "cache"), study.copy()
    first = run(recipe(after=SCORES), study, cache=cache).record
    puts, put = [], Cache.put
    monkeypatch.setattr(Cache, "put", lambda self, key, *rest: puts.append(key) or put(self, key, *rest))
    second = run(recipe(after=SCORES), other, cache=cache).record
    assert puts == []
    assert set(second.steps[0].state.values()) == {"cached"}
    assert bits(study) == bits(other)
    pd.testing.assert_frame_equal(first.scores, second.scores)
    assert first.steps[0].worked_s == second.steps[0].worked_s
    assert first.steps[0].chosen == second.steps[0].chosen


def test_the_models_of_folds_are_not_kept(study, tmp_path):
    cache = Cache(tmp_path / "cache")
    run(recipe(), study, cache=cache)
    assert {name: cache.has(key, model=True) for name, key in keys(study).items()} == {
        "donor A": False, "donor B": False, "donor C": False, STUDY: True,
    }  # fmt: skip


def test_a_lost_fold_is_made_again_and_the_others_are_not(study, tmp_path):
    cache, other = Cache(tmp_path / "cache"), study.copy()
    run(recipe(), study, cache=cache)
    lost = keys(study)["donor B"]
    shutil.rmtree(cache._place(lost))
    record = run(recipe(), other, cache=cache).record
    assert record.steps[0].state == {
        "donor A": "cached", "donor B": "made", "donor C": "cached", STUDY: "cached",
    }  # fmt: skip
    assert bits(study) == bits(other)


def test_the_identity_of_a_fold_follows_from_what_it_is_given(study):
    study.obsm["X_rgb"], study.obsm["abundance.other"] = (
        np.zeros((study.n_obs, 3)),
        study.obsm["abundance"] * 2,
    )
    plain, rgb = keys(study), ', background: "obsm:X_rgb"'
    assert len(set(plain.values())) == 4
    other = ', target: "obsm:abundance.other"'
    for more in (", held_out: sample", ", held_out: block", other, rgb, ", with: {level: 0.8}"):
        assert not set(keys(study, more=more).values()) & set(plain.values()), more
    low, high = (set(keys(study, more=f"{rgb}, background_above: {above}").values()) for above in (150, 220))
    assert not low & high
    other = altered(study, "abundance", "C", lambda y: y + 1)
    assert not set(keys(other).values()) & set(plain.values())
    assert keys(study.copy()) == plain
    moved = study.copy()
    moved.obs["donor"] = moved.obs["sample"]
    assert not set(keys(moved).values()) & set(plain.values())


@pytest.mark.parametrize("ends", [False, True])
def test_an_abundance_survives_the_cache(tmp_path, rng, ends):
    values = rng.random((5, 3))
    values[2] = np.nan
    low, high = (values - 1, values + 1) if ends else (None, None)
    cache = Cache(tmp_path)
    cache.put("ab" * 32, Abundance(values, TYPES, low, high), {"do": "predict"})
    found = cache.get("ab" * 32)
    assert found.types == TYPES
    assert found.values.tobytes() == values.tobytes()
    for given, kept in ((low, found.low), (high, found.high)):
        assert kept is None if given is None else kept.tobytes() == given.tobytes()


# -- scores ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        ("donor", "donor held out"),
        ("sample", "section held out, its donor in the fit"),
        ("block", "block held out, its section in the fit"),
    ],
)
def test_scores_bear_the_words_of_what_was_held_out(study, held_out, words):
    record = run(recipe(more=f", held_out: {held_out}", after=SCORES), study).record
    assert set(record.scores["protocol"]) == {f"{words}, view as given"}
    assert any("which flatters" in warning for warning in record.warnings) == (held_out != "donor")
    assert not any("Transductive" in warning for warning in record.warnings)


def test_scores_of_each_section_are_those_of_its_known_rows(study):
    values = study.obsm["abundance"].to_numpy().copy()
    values[3:9] = np.nan
    study.obsm["abundance"] = pd.DataFrame(values, study.obs_names, list(TYPES))
    scores = run(recipe(after=SCORES), study).record.scores.set_index(["metric", "slot", "sample"])
    names = study.obs["sample"].astype(str).to_numpy()
    hat, low, high = (study.obsm[f"abundance.hat{end}"].to_numpy() for end in ("", ".low", ".high"))
    for sample in ("A1", "B1"):
        rows = np.flatnonzero((names == sample) & np.isfinite(values[:, 0]))
        own = scores.xs("obsm:abundance.hat", level="slot").xs(sample, level="sample")
        assert own.loc["pearson", "value"] == pytest.approx(Pearson().score(values[rows], hat[rows]))
        assert own.loc["l1", "value"] == pytest.approx(L1().score(values[rows], hat[rows]))
        inside = Coverage().score(values[rows], np.stack([low[rows], high[rows]]))
        assert own.loc["coverage", "value"] == pytest.approx(inside)
        assert (own["n"] == len(rows)).all()
        assert ((own["low"] <= own["value"]) & (own["value"] <= own["high"])).all()
    assert scores.loc[("pearson", "control:oracle", "B1"), "value"] == pytest.approx(1)
    assert scores.loc[("l1", "control:oracle", "B1"), "value"] == 0
    assert ("coverage", "control:oracle", "B1") not in scores.index
    shuffled = scores.loc[("pearson", "control:shuffled", "B1"), "value"]
    assert shuffled < scores.loc[("pearson", "obsm:abundance.hat", "B1"), "value"]
    each = [scores.loc[("l1", "obsm:abundance.hat", s), "value"] for s in ("A1", "A2", "B1", "C1")]
    assert scores.loc[("l1", "obsm:abundance.hat", "(mean)"), "value"] == pytest.approx(np.mean(each))


def test_sections_of_which_nothing_is_known_are_predicted_and_not_scored(study):
    values = study.obsm["abundance"].copy()
    values[(study.obs["sample"] == "A2").to_numpy()] = np.nan
    study.obsm["abundance"] = values
    record = run(recipe(after=SCORES), study).record
    assert "A2" not in set(record.scores["sample"])
    assert np.isfinite(study.obsm["abundance.hat"].to_numpy()).all()


def test_types_that_both_have_are_compared_and_the_others_are_named(study):
    other = study.obsm["abundance"].iloc[:, [2, 0]].assign(new=0.0)
    study.obsm["abundance.hat"] = other
    step = plan(
        parse('name: s\nsteps:\n  - {do: score, use: l1, guess: "obsm:abundance.hat"}\n', "s"), Study(study)
    )[0]
    with pytest.warns(
        TriptychWarning, match="2 cell types are in all that is compared; left out: new, tumour"
    ):
        given = judged(Study(study), step.units[0].component, step.reads, "A1")
    assert np.array_equal(given["against"], given["guess"])
    assert given["guess"].shape[1] == 2
    study.obsm["abundance.hat"] = other[["new"]]
    with pytest.raises(DataError, match="No cell type is in all: stroma, .*; new. Name the types alike"):
        judged(Study(study), step.units[0].component, step.reads, "A1")


def test_an_interval_that_is_not_there_cannot_be_judged(study):
    study.obsm["abundance.hat"] = study.obsm["abundance"]
    scored = parse('name: s\nsteps:\n  - {do: score, use: coverage, guess: "obsm:abundance.hat"}\n', "s")
    with pytest.raises(DataError, match="obsm:abundance.hat has no interval to judge"):
        run(scored, study)


# -- views that have seen what is held out -----------------------------------------------------------

PCA = '  - {do: encode, use: pca, with: {components: 3}, to: "obsm:X_given"}\n'
CENTRED = '  - {do: align, use: center, x: "obsm:X_rgb", to: "obsm:X_given"}\n'


def test_a_view_that_was_fitted_on_all_is_said_to_be_transductive(study):
    planned = plan(recipe(before=PCA, after=SCORES), Study(study))
    assert all(step.protocol == "donor held out, view transductive" for step in planned[1:])
    assert any("obsm:X_given was fitted on all sections" in note for note in planned[1].notes)
    record = run(recipe(before=PCA, after=SCORES), study).record
    assert any("transductive in that view" in warning for warning in record.warnings)


def test_what_is_made_of_a_fitted_view_is_transductive_too(study):
    study.obsm["X_rgb"] = study.obsm["X_given"]
    before = PCA.replace("X_given", "X_rna") + (
        '  - {do: fuse, use: concat, views: {a: "obsm:X_rna", b: "obsm:X_rgb"}, to: "obsm:X_given"}\n'
    )
    assert plan(recipe(before=before), Study(study))[2].protocol == "donor held out, view transductive"
    assert plan(recipe(before=CENTRED), Study(study))[1].protocol == "donor held out, view transductive"


def test_a_view_of_each_section_by_itself_is_not(study):
    before = '  - {do: encode, use: sinusoidal, with: {dim: 8, scale_um: 400}, to: "obsm:X_given"}\n'
    one = plan(recipe(before=before), Study(study))[-1]
    assert one.protocol == "donor held out"
    assert not one.notes


def test_a_view_that_an_earlier_run_wrote_over_is_asked_once(study):
    row = {"do": "encode", "use": "sinusoidal", "over": "sample", "reads": '{"x": "obsm:X_given"}'}
    study.uns["triptych"]["made"] = pd.DataFrame(row, index=["obsm:X_given"])
    assert plan(recipe(), Study(study))[-1].protocol == "donor held out"


def test_a_view_that_came_with_the_data_is_told(study):
    one = plan(recipe(), Study(study))[-1]
    assert one.protocol == "donor held out, view as given"
    assert one.notes == ("obsm:X_given came with the data: whether it saw what is held out is not known.",)


@pytest.mark.parametrize(("use", "words"), [("sinusoidal", ""), ("pca", ", view transductive")])
def test_what_an_earlier_run_made_is_known(study, use, words):
    """A view, and a prediction, made by other calls on the same table."""
    del study.obsm["X_given"]
    verbs.encode(study, use, to="obsm:X_given", **({"dim": 8} if use == "sinusoidal" else {"components": 5}))
    assert plan(recipe(), Study(study))[-1].protocol == "donor held out" + words
    verbs.predict(study, "mean", views={"x": "obsm:X_given"}, to="obsm:abundance.mean")
    found = verbs.score(study, "l1", guess="obsm:abundance.mean")
    assert set(found["protocol"]) == {"donor held out" + words}
