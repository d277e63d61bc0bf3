from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from anndata import read_h5ad

from triptych.core.errors import DataError, MissingExtraError, MissingSlotError, RecipeError
from triptych.core.executors import executor
from triptych.pipeline.cache import Cache
from triptych.pipeline.plan import _with_k, plan
from triptych.pipeline.recipe import parse
from triptych.pipeline.run import run as whole_run
from triptych.pipeline.study import Study

RECIPE = """\
name: small
seed: 3
steps:
  - {do: encode, use: pca, with: {components: 5}, to: "obsm:X_rna.pca"}
  - {do: align, use: harmony, x: "obsm:X_rna.pca", to: "obsm:X_rna.pca.harmony"}
  - {do: fuse, use: concat, views: {rna: "obsm:X_rna.pca.harmony"}, to: "obsm:X_fused"}
  - {do: cluster, use: kmeans, x: "obsm:X_fused", k_from: truth, with: {k: 4}, to: "obs:domain.kmeans"}
  - {do: refine, use: majority, labels: "obs:domain.kmeans", with: {neighbours: 5}, to: "obs:domain"}
  - {do: score, use: ari, guess: "obs:domain"}
  - {do: score, use: silhouette, guess: "obs:domain", x: "obsm:X_fused"}
"""


@pytest.fixture
def recipe():
    return parse(RECIPE, "small")


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def run(*given, **how):
    return whole_run(*given, **how).record


def states(record):
    return [sorted(set(step.state.values())) for step in record.steps]


def planned_states(recipe, table, cache, **how):
    return [sorted({u.state for u in step.units}) for step in plan(recipe, Study(table), cache, **how)]


def test_a_run_fills_the_slots_and_finds_two_domains(recipe, table):
    record = run(recipe, table)
    assert table.obsm["X_rna.pca"].shape == (192, 5)
    assert set(table.obs["domain"].cat.categories) == {"0", "1"}
    scores = record.scores.query("metric == 'ari' and slot == 'obs:domain'").set_index("sample")
    assert (scores.loc[["A1", "A2", "B1"], "value"] > 0.9).all()
    assert scores.loc["(mean)", "value"] == pytest.approx(scores.loc[["A1", "A2", "B1"], "value"].mean())
    assert set(scores["protocol"]) == {"transductive, oracle K"}


def test_controls_stand_beside_every_score(recipe, table):
    scores = run(recipe, table).scores.set_index(["metric", "slot", "sample"])["value"]
    assert scores["ari", "control:oracle", "A1"] == 1.0
    assert abs(scores["ari", "control:shuffled", "A1"]) < 0.2


def test_warnings_name_what_limits_the_result(recipe, table):
    text = "\n".join(run(recipe, table).warnings)
    assert "Oracle K" in text
    assert "Transductive" in text


def test_provenance_lies_in_the_table_and_survives_a_file(recipe, table, tmp_path):
    run(recipe, table)
    table.write_h5ad(tmp_path / "t.h5ad")
    made = read_h5ad(tmp_path / "t.h5ad").uns["triptych"]["made"]
    assert made.loc["obs:domain", "use"] == "majority"
    assert made.loc["obsm:X_rna.pca", "seed"] == 3


def test_two_runs_with_one_seed_give_the_same_bits(recipe, make_table):
    one, two = make_table(), make_table()
    run(recipe, one)
    run(recipe, two)
    assert one.obsm["X_fused"].tobytes() == two.obsm["X_fused"].tobytes()
    assert (one.obs["domain"] == two.obs["domain"]).all()


def test_a_second_run_makes_nothing_again(recipe, make_table, cache):
    first = run(recipe, make_table(), cache=cache)
    assert {"made"} == {state for step in states(first) for state in step}
    again = make_table()
    second = run(recipe, again, cache=cache)
    assert {"cached"} == {state for step in states(second) for state in step}
    pd.testing.assert_frame_equal(first.scores, second.scores)


def test_a_changed_parameter_remakes_the_step_and_what_follows(recipe, table, make_table, cache):
    run(recipe, table, cache=cache)
    other = parse(RECIPE, "small", ["refine.neighbours=9"])
    expected = [["cached"]] * 4 + [["run"]] * 3
    assert planned_states(other, make_table(), cache) == expected


def test_a_seed_touches_only_what_is_random(make_table, cache):
    text = RECIPE.replace("use: pca", "use: sinusoidal").replace("components: 5", "dim: 8")
    text = text.replace("use: harmony", "use: none")
    run(parse(text, "r"), make_table(), cache=cache)
    reseeded = parse(text.replace("seed: 3", "seed: 4"), "r")
    kept = planned_states(reseeded, make_table(), cache)
    assert kept[:3] == [["cached"]] * 3
    assert kept[3] == ["run"]


def test_inserting_a_step_does_not_disturb_the_others(recipe, table, make_table):
    run(recipe, table)
    longer = RECIPE.replace(
        "  - {do: align",
        '  - {do: cluster, use: kmeans, x: "obsm:X_rna.pca", with: {k: 3}, to: "obs:other"}\n  - {do: align',
        1,
    )
    other = make_table()
    run(parse(longer, "r"), other)
    assert (other.obs["domain"] == table.obs["domain"]).all()


def test_a_damaged_entry_is_made_again_with_the_same_bits(recipe, make_table, cache):
    whole = make_table()
    run(recipe, whole, cache=cache)
    for file in cache.folder.glob("steps/*/*/value.npy"):
        file.write_bytes(file.read_bytes()[:-4])
    again = make_table()
    record = run(recipe, again, cache=cache)
    assert {"made"} == {state for step in states(record) for state in step}
    assert again.obsm["X_fused"].tobytes() == whole.obsm["X_fused"].tobytes()


def test_adding_a_sample_keeps_the_others_results(make_table, cache):
    text = (
        'name: v\nsteps:\n  - {do: encode, use: pca, with: {components: 3}, over: sample, to: "obsm:X_rna"}\n'
    )
    table = make_table()
    run(parse(text, "r"), table[table.obs["donor"] == "A"].copy(), cache=cache)
    record = run(parse(text, "r"), table, cache=cache)
    assert record.steps[0].state == {"A1": "cached", "A2": "cached", "B1": "made"}


def test_per_sample_equals_each_sample_alone(recipe, make_table):
    together = make_table()
    record = run(recipe, together, per_sample=True)
    assert states(record)[1] == ["skipped"]
    for name in ("A1", "A2", "B1"):
        alone = make_table()
        alone = alone[(alone.obs["sample"] == name).to_numpy()].copy()
        run(recipe, alone)
        mine = (together.obs["sample"] == name).to_numpy()
        assert np.array_equal(together.obsm["X_rna.pca"][mine], alone.obsm["X_rna.pca"])
        assert (together.obs["domain"].to_numpy()[mine] == alone.obs["domain"].to_numpy()).all()
    assert any("on its own" in warning for warning in record.warnings)


@pytest.mark.parametrize("how", ["threads:3", "dask"])
def test_executors_give_the_same_bits(recipe, make_table, how):
    serial, other = make_table(), make_table()
    run(recipe, serial, per_sample=True)
    run(recipe, other, per_sample=True, executor=executor(how))
    assert serial.obsm["X_fused"].tobytes() == other.obsm["X_fused"].tobytes()
    assert (serial.obs["domain"] == other.obs["domain"]).all()


def test_rows_in_any_order_give_the_same_views(make_table):
    text = 'name: v\nsteps:\n  - {do: encode, use: sinusoidal, with: {dim: 8}, to: "obsm:X_pos"}\n'
    table = make_table()
    shuffled = table[np.random.default_rng(0).permutation(table.n_obs)].copy()
    run(parse(text, "r"), table)
    run(parse(text, "r"), shuffled)
    assert np.allclose(shuffled[table.obs_names].obsm["X_pos"], table.obsm["X_pos"])


def test_harmony_is_skipped_with_one_sample_and_said_so(recipe, make_table):
    record = run(recipe, make_table(samples=("A1",)))
    assert states(record)[1] == ["skipped"]
    assert any("harmony was skipped" in warning for warning in record.warnings)


def test_without_truth_the_recipes_own_k_is_taken_and_said_so(recipe, table):
    del table.obs["truth"]
    record = run(recipe, table)
    assert table.obs["domain.kmeans"].nunique() == 4
    assert any("k = 4 is the recipe's own" in warning for warning in record.warnings)
    assert set(record.scores["metric"]) == {"silhouette", "clusters"}


def test_unlabelled_spots_are_no_class(recipe, table):
    table.obs.loc[table.obs_names[:10], "truth"] = np.nan
    record = run(recipe, table)
    assert record.scores.query("metric == 'ari' and sample == 'A1'")["n"].iloc[0] == 54
    assert any("left out of the scores: A1 10" in warning for warning in record.warnings)


def test_k_larger_than_n(make_table):
    text = RECIPE.replace("k_from: truth, with: {k: 4}", "with: {k: 400}")
    with pytest.raises(DataError, match=r"k = 400 is larger than the 192 observations"):
        run(parse(text, "r"), make_table())


def test_oracle_k_of_communities(make_table):
    text = RECIPE.replace("use: kmeans", "use: leiden").replace("with: {k: 4}", "with: {neighbours: 8}")
    table = make_table()
    record = run(parse(text, "r"), table)
    found, wanted = table.obs["domain.kmeans"].nunique(), table.obs["truth"].nunique()
    assert found == wanted or any(f"no resolution tried gives {wanted}" in text for text in record.warnings)


def test_oracle_k_of_a_clusterer_without_k():
    step, study = SimpleNamespace(use="fixed", k_from="truth"), SimpleNamespace(rows=lambda _: [0])
    with pytest.raises(RecipeError, match="fixed has no k"):
        _with_k(study, step, object(), "study")


def test_an_image_view_without_images(make_table):
    text = 'name: v\nsteps:\n  - {do: encode, use: stain-texture, to: "obsm:X_img"}\n'
    with pytest.raises(MissingSlotError, match=r"no image of A1, A2, B1. (?s:.*)--samples"):
        run(parse(text, "r"), make_table())


def test_a_truth_that_is_asked_for_but_not_there(table):
    del table.obs["truth"]
    record = run(parse(RECIPE, "r"), table)
    assert "Without known labels, so without scores: A1, A2, B1." in record.warnings


def test_a_table_that_is_no_study(table):
    del table.obs["batch"]
    with pytest.raises(DataError, match="is not a study: it lacks batch"):
        run(parse(RECIPE, "r"), table)


def test_a_section_of_one_cluster_has_no_silhouette_and_says_so(table):
    left = table[(table.obs["sample"] != "B1") | (table.obs["truth"] == "left")].copy()
    text = RECIPE.replace("use: harmony", "use: none").replace(
        'guess: "obs:domain", x', 'guess: "obs:known", x'
    )
    left.obs["known"] = left.obs["truth"]
    record = run(parse(text, "r"), left)
    scores = record.scores.query("metric == 'silhouette'").set_index(["slot", "sample"])["value"]
    assert np.isnan(scores["obs:known", "B1"])
    assert scores["obs:known", "(mean)"] == pytest.approx(scores["obs:known"][["A1", "A2"]].mean())
    assert any("undefined (too few clusters): B1" in warning for warning in record.warnings)


def test_a_package_that_is_missing_is_told_before_anything_runs(table, monkeypatch):
    monkeypatch.setattr("triptych.core.extras.find_spec", lambda name: None)
    text = 'name: v\nsteps:\n  - {do: encode, use: stain-texture, stain: macenko, to: "obsm:X_img"}\n'
    with pytest.raises(MissingExtraError, match=r"torchstain is not .* pip install 'triptych\[stains\]'"):
        plan(parse(text, "v"), Study(table))


def test_the_peak_memory_of_every_step_is_watched(recipe, table):
    steps = run(recipe, table).steps
    assert all(50 < step.peak_mib < 50_000 for step in steps)
