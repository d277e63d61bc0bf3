"""Repeated steps: written out for views and for names."""

import numpy as np
import pytest

from triptych.core.errors import DataError, RecipeError, UnknownComponentError
from triptych.pipeline.each import bound, filled, patterns, short_names, sketched
from triptych.pipeline.recipe import parse, shipped
from triptych.pipeline.study import Study
from triptych.runs import read, run

TEXT = """
name: judge
steps:
  - {do: encode, use: log-normalised, to: "obsm:X_rna.log-normalised"}
  - do: each
    views: "obsm:X_*"
    steps:
      - {do: fuse, use: concat, views: {a: "obsm:X_rna.log-normalised", b: $slot}, to: "obsm:X_fused.$view"}
      - do: each
        as: k
        of: ["2", "3"]
        steps:
          - {do: cluster, use: kmeans, with: {k: 2}, x: "obsm:X_fused.$view", to: "obs:$view.$k"}
          - {do: each, as: metric, of: [ari, nmi], steps: [{do: score, use: $metric, guess: "obs:$view.$k"}]}
"""


@pytest.fixture(scope="module")
def toy():
    return read("toy", samples=["A1"])


@pytest.fixture
def table(toy):
    held = toy.copy()
    held.obsm["X_img.one"] = np.random.default_rng(0).normal(size=(held.n_obs, 3))
    held.obsm["X_two"] = np.random.default_rng(1).normal(size=(held.n_obs, 3))
    held.obsm["X_map.one"] = np.zeros((held.n_obs, 2))
    held.obsm["other"] = np.zeros((held.n_obs, 2))
    return held


def test_blocks_are_written_out_for_views_and_names_in_order(table):
    recipe = bound(parse(TEXT, "judge"), Study(table))
    found = [(step.do, step.use, step.writes) for step in recipe.steps]
    expected = [("encode", "log-normalised", "obsm:X_rna.log-normalised")]
    for view in ("one", "two"):
        expected.append(("fuse", "concat", f"obsm:X_fused.{view}"))
        for k in "23":
            expected += [("cluster", "kmeans", f"obs:{view}.{k}"), ("score", "ari", ""), ("score", "nmi", "")]
    assert found == expected
    assert recipe.steps[1].views["b"] == "obsm:X_img.one"
    assert {step.guess for step in recipe.steps if step.do == "score"} == {
        "obs:one.2", "obs:one.3", "obs:two.2", "obs:two.3",
    }  # fmt: skip


def test_a_recipe_without_blocks_is_left_as_it_is(table):
    recipe = parse(shipped()["quickstart"], "quickstart")
    assert bound(recipe, Study(table)) is recipe
    assert patterns(recipe) == []


def test_a_run_keeps_the_recipe_as_it_ran(table, tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE_DIR", str(tmp_path / "cache"))
    run(parse(TEXT, "judge"), table, out=tmp_path / "out")
    kept = parse((tmp_path / "out" / "recipe.yaml").read_text("utf-8"), "kept")
    assert patterns(kept) == []
    assert {"one.2", "two.3"} <= set(table.obs)


def test_data_without_views_are_refused(toy):
    with pytest.raises(DataError, match=r"judge judges each view .*they hold none.*obsm as X_NAME"):
        bound(parse(TEXT, "judge"), Study(toy))


def test_faults_of_repeated_steps_are_told_without_data():
    broken = parse(TEXT.replace("use: kmeans", "use: kmean"), "judge")
    with pytest.raises(UnknownComponentError, match="kmeans"):
        sketched(broken)
    inner = parse(TEXT.replace('of: ["2", "3"]', "names: 2"), "judge")
    with pytest.raises(RecipeError, match="repeated steps"):
        sketched(inner)


def test_a_block_is_for_views_or_for_names():
    with pytest.raises(RecipeError, match="either a pattern of views, or names"):
        parse("name: a\nsteps:\n  - {do: each, steps: [{do: score}]}\n", "a")


def test_changes_reach_repeated_steps(table):
    recipe = bound(parse(TEXT, "judge", ["kmeans.k=5"]), Study(table))
    assert {step.params["k"] for step in recipe.steps if step.do == "cluster"} == {5}


def test_names_are_short_where_they_can_be():
    assert short_names(["obsm:X_img.ls2_stain", "obsm:X_pca"]) == {
        "obsm:X_img.ls2_stain": "ls2-stain", "obsm:X_pca": "pca",
    }  # fmt: skip
    assert short_names(["obsm:X_a.z", "obsm:X_b.z"]) == {"obsm:X_a.z": "a-z", "obsm:X_b.z": "b-z"}
    assert len(set(short_names(["obsm:X_a.z", "obsm:X_a_z", "obsm:X_a-z"]).values())) == 3


def test_words_are_put_in_everywhere():
    value = {"a": ["$slot", {"b": "x.$view"}], "c": 3}
    assert filled(value, {"$slot": "S", "$view": "v"}) == {"a": ["S", {"b": "x.v"}], "c": 3}
