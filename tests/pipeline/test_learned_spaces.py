"""A clusterer that starts from a fuser's encoder and leaves a space of its own."""

import numpy as np
import pytest

from triptych.core.errors import RecipeError
from triptych.core.executors import executor
from triptych.pipeline.applying import apply
from triptych.pipeline.cache import Cache
from triptych.pipeline.chain import Chain
from triptych.pipeline.plan import plan
from triptych.pipeline.recipe import parse
from triptych.pipeline.run import run
from triptych.pipeline.study import Study
from triptych.pipeline.wiring import check

RECIPE = """\
name: learned
seed: 1
steps:
  - {do: encode, use: pca, with: {components: 6}, to: "obsm:X_rna.pca"}
  - {do: fuse, use: concat, views: {rna: "obsm:X_rna.pca"}, to: "obsm:X_fused.concat"}
  - do: fuse
    use: sdae
    views: {x: "obsm:X_fused.concat"}
    with: {latent: 3, hidden: [16], epochs: 1, pretraining: 1, least_steps: 20, batch: 64}
    to: "obsm:X_fused.sdae"
  - do: cluster
    use: dec
    x: "obsm:X_fused.concat"
    encoder: "obsm:X_fused.sdae"
    space: "obsm:X_fused.dec"
    with: {k: 3, steps: 30, update_interval: 10}
    to: "obs:domain"
  - {do: score, use: silhouette, guess: "obs:domain", x: "obsm:X_fused.dec", over: study}
  - {do: analyse, use: recall, labels: "obs:domain", to: recall}
"""


@pytest.fixture
def recipe():
    return parse(RECIPE, "learned")


def test_it_starts_from_the_very_encoder_and_its_space_is_in_the_table(recipe, table):
    done = run(recipe, table)
    links = {link.step.writes: link.model for link in done.chain.links if link.model is not None}
    sdae, dec = links["obsm:X_fused.sdae"], links["obs:domain"]
    assert table.obsm["X_fused.dec"].shape == (192, 3)
    np.testing.assert_array_equal(dec.embed(table.obsm["X_fused.concat"]), table.obsm["X_fused.dec"])
    # thirty small steps move the weights a little; another start would be far away
    gap = max(np.abs(dec.network[name] - sdae.network[name]).max() for name in dec.network)
    assert 0 < gap < 0.05
    assert "obsm:X_fused.dec" in done.chain.spaces


def test_the_cache_gives_the_model_the_space_and_the_same_bits(recipe, make_table, tmp_path):
    cache, first, second = Cache(tmp_path / "cache"), make_table(), make_table()
    run(recipe, first, cache=cache)
    again = run(recipe, second, cache=cache).record
    kept = [step for step in again.steps if step.do != "analyse"]  # tables are made anew
    assert {state for step in kept for state in step.state.values()} == {"cached"}
    assert first.obsm["X_fused.dec"].tobytes() == second.obsm["X_fused.dec"].tobytes()
    other = parse(RECIPE, "learned", ["sdae.latent=2"])
    states = [{unit.state for unit in step.units} for step in plan(other, Study(make_table()), cache)]
    assert states[2:5] == [{"run"}] * 3  # what starts from another encoder is another result


def test_threads_and_sections_by_themselves(recipe, make_table):
    serial, threaded = make_table(), make_table()
    run(recipe, serial, per_sample=True)
    done = run(recipe, threaded, per_sample=True, executor=executor("threads"))
    assert serial.obsm["X_fused.dec"].tobytes() == threaded.obsm["X_fused.dec"].tobytes()
    assert "fitted on each section by itself" in done.chain.obstacle


def test_a_saved_chain_gives_labels_and_space_to_others(recipe, table, make_table, tmp_path):
    done = run(recipe, table)
    done.chain.save(tmp_path / "model")
    new = make_table()
    apply(Chain.load(tmp_path / "model"), new)
    assert (new.obs["domain"].astype(str) == table.obs["domain"].astype(str)).all()
    np.testing.assert_allclose(new.obsm["X_fused.dec"], table.obsm["X_fused.dec"], atol=1e-6)


def test_an_analysis_of_known_types_reads_them(recipe, table):
    found = run(recipe, table).record.tables["recall"]
    truth = table.obs["truth"].dropna()
    assert set(found["group"]) == set(truth)
    assert found.groupby("group")["n"].sum().to_dict() == truth.value_counts().to_dict()


def test_without_known_types_there_is_no_such_table(recipe, table):
    del table.obs["truth"]
    assert "recall" not in run(recipe, table).record.tables


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("use: dec", "use: kmeans", "names an encoder or a space, but kmeans learns no space"),
        ('encoder: "obsm:X_fused.sdae"', 'encoder: "obsm:X_rna.pca"', "which no fuse step has written"),
        (
            '    space: "obsm:X_fused.dec"',
            '    k_from: bic\n    space: "obsm:X_fused.dec"',
            "cannot choose k",
        ),
    ],
)
def test_what_cannot_be_wired_is_told_before_anything_runs(old, new, match):
    text = RECIPE.replace(old, new)
    if "kmeans" in new:
        text = text.replace("with: {k: 3, steps: 30, update_interval: 10}", "with: {k: 3}")
    with pytest.raises(RecipeError, match=match):
        check(parse(text, "r"))


def test_an_encoder_of_other_observations_is_refused(table):
    text = RECIPE.replace("    use: sdae\n", "    use: sdae\n    over: sample\n")
    with pytest.raises(RecipeError, match="Step 4 is over study, its encoder was fitted over sample"):
        plan(parse(text, "r"), Study(table))


def test_a_fuser_that_learns_no_encoder_is_told(table):
    text = RECIPE.replace('encoder: "obsm:X_fused.sdae"', 'encoder: "obsm:X_fused.concat"')
    with pytest.raises(RecipeError, match="concat learns no encoder"):
        plan(parse(text, "r"), Study(table))
