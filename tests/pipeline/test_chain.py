"""Fitted chains: saved, loaded, applied to sections never seen; what cannot be applied says why."""

import json

import numpy as np
import pytest

from triptych.core.errors import DataError, MissingSlotError, WeightsError
from triptych.pipeline.applying import apply
from triptych.pipeline.cache import Cache
from triptych.pipeline.chain import Chain
from triptych.pipeline.identity import of_file
from triptych.pipeline.newness import HELD_OUT, KNOWN_DONOR, OF_FIT
from triptych.pipeline.recipe import parse
from triptych.pipeline.run import run
from triptych.pipeline.study import Study

RECIPE = """\
name: small
seed: 3
steps:
  - {do: encode, use: pca, with: {components: 5}, to: "obsm:X_rna.pca"}
  - {do: align, use: center, x: "obsm:X_rna.pca", to: "obsm:X_rna.pca.center"}
  - {do: fuse, use: smooth, views: {rna: "obsm:X_rna.pca.center"}, with: {components: 0}, to: "obsm:X_fused"}
  - {do: cluster, use: kmeans, x: "obsm:X_fused", k_from: truth, with: {k: 4}, to: "obs:domain.kmeans"}
  - {do: refine, use: majority, labels: "obs:domain.kmeans", with: {neighbours: 5}, to: "obs:domain"}
  - {do: score, use: ari, guess: "obs:domain"}
  - {do: analyse, use: markers, labels: "obs:domain", with: {top: 3}, to: markers}
"""


def of(table, samples):
    return table[table.obs["sample"].isin(samples)].copy()


@pytest.fixture
def study(make_table):
    return make_table(samples=("A1", "A2", "B1", "C1"))


@pytest.fixture
def chain(study):
    return run(parse(RECIPE, "small"), of(study, ["A1", "B1"]), data="two").chain


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_a_section_never_seen_is_labelled_like_those_of_the_fit(chain, study):
    new = of(study, ["C1"])
    record = apply(chain, new)
    score = record.scores.query("metric == 'ari' and slot == 'obs:domain'").iloc[0]
    assert score["value"] > 0.9
    assert score["protocol"] == f"{HELD_OUT}, oracle K of the fit"
    assert list(record.tables) == ["distance", "markers"]


def test_labels_mean_the_same_in_the_fit_and_in_the_new_section(chain, study):
    fit, new = of(study, ["A1", "B1"]), of(study, ["C1"])
    run(parse(RECIPE, "small"), fit)
    apply(chain, new)
    name = {t: fit.obs.loc[fit.obs["truth"] == t, "domain"].mode()[0] for t in ("left", "right")}
    found = {t: new.obs.loc[new.obs["truth"] == t, "domain"].mode()[0] for t in ("left", "right")}
    assert found == name
    assert name["left"] != name["right"]


def test_saving_and_loading_keep_every_bit(chain, study, tmp_path):
    one, other = of(study, ["C1"]), of(study, ["C1"])
    chain.save(tmp_path / "model")
    apply(chain, one)
    apply(Chain.load(tmp_path / "model"), other)
    assert one.obsm["X_fused"].tobytes() == other.obsm["X_fused"].tobytes()
    assert (one.obs["domain"] == other.obs["domain"]).all()


def test_the_fit_applied_to_its_own_sections_gives_what_it_gave(chain, study):
    fit = of(study, ["A1", "B1"])
    run(parse(RECIPE, "small"), fit)
    again = of(study, ["A1", "B1"])
    record = apply(chain, again)
    assert np.allclose(fit.obsm["X_fused"], again.obsm["X_fused"], atol=1e-6)
    assert (fit.obs["domain"] == again.obs["domain"]).all()
    assert any("so that scores are not held out: A1, B1" in warning for warning in record.warnings)


def test_several_new_sections_do_not_touch_each_other(chain, study):
    both, alone = of(study, ["A2", "C1"]), of(study, ["C1"])
    apply(chain, both)
    apply(chain, alone)
    mine = (both.obs["sample"] == "C1").to_numpy()
    assert np.allclose(both.obsm["X_fused"][mine], alone.obsm["X_fused"], atol=1e-9)


def test_what_is_known_of_a_section_is_said(chain, study):
    scores = apply(chain, of(study, ["A2"])).scores
    assert set(scores.loc[scores["metric"] == "ari", "protocol"]) == {f"{KNOWN_DONOR}, oracle K of the fit"}
    scores = apply(chain, of(study, ["A1"])).scores
    assert scores["protocol"].str.startswith(OF_FIT).all()


def test_an_odd_section_lies_far_away(chain, study):
    odd = of(study, ["C1"])
    usual = apply(chain, of(study, ["C1"])).tables["distance"].set_index("slot")
    shuffled = np.random.default_rng(0).permutation(odd.n_vars)
    odd.layers["counts"] = odd.layers["counts"][:, shuffled].tocsr()
    strange = apply(chain, odd).tables["distance"].set_index("slot")
    assert strange.loc["layers:counts", "ratio"] > 3
    assert usual.loc["layers:counts", "ratio"] < 2
    assert strange.loc["obsm:X_rna.pca", "distance"] > 1.5 * usual.loc["obsm:X_rna.pca", "distance"]


def test_genes_are_found_by_name(chain, study):
    one, other = of(study, ["C1"]), of(study, ["C1"])
    other = other[:, ::-1].copy()
    apply(chain, one)
    apply(chain, other)
    assert np.allclose(one.obsm["X_fused"], other.obsm["X_fused"])


def test_no_value_of_a_section_left_out_reaches_the_model(make_table, tmp_path):
    """The counts, labels and places of the held-out donor are poisoned; the model keeps every byte."""
    recipe = parse(RECIPE, "small")
    for name, poison in (("clean", False), ("poisoned", True)):
        table = make_table(samples=("A1", "A2", "B1"))
        held = (table.obs["donor"] == "B").to_numpy()
        if poison:
            counts = table.layers["counts"].tolil()
            counts[held] = 10_000
            table.layers["counts"] = counts.tocsr()
            table.obs.loc[held, "truth"] = "right"
            table.obsm["spatial_um"][held] *= -3
        chain = run(recipe, table[~held].copy(), data="fit").chain
        chain.save(tmp_path / name)
    assert files(tmp_path / "clean") == files(tmp_path / "poisoned")


def test_the_cache_keeps_models_and_a_damaged_one_is_made_again(study, tmp_path):
    cache, recipe = Cache(tmp_path / "cache"), parse(RECIPE, "small")
    fit = of(study, ["A1", "B1"])
    run(recipe, fit.copy(), cache=cache).chain.save(tmp_path / "one")
    again = run(recipe, fit.copy(), cache=cache)
    assert {s for step in again.record.steps[:5] for s in step.state.values()} == {"cached"}
    again.chain.save(tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    for path in (tmp_path / "cache").rglob("model/arrays.safetensors"):
        path.write_bytes(path.read_bytes()[:-4])
    mended = run(recipe, fit.copy(), cache=cache)
    mended.chain.save(tmp_path / "three")
    assert files(tmp_path / "one") == files(tmp_path / "three")


def test_a_cached_model_of_another_format_is_made_again(study, tmp_path):
    cache, recipe = Cache(tmp_path / "cache"), parse(RECIPE, "small")
    fit = of(study, ["A1", "B1"])
    run(recipe, fit.copy(), cache=cache).chain.save(tmp_path / "one")
    for entry in (tmp_path / "cache").rglob("entry.json"):
        about = entry.parent / "model" / "model.json"
        if about.is_file():
            old = about.read_text().replace('"format": 1', '"format": 0')
            about.write_text(old)
            told = json.loads(entry.read_text())
            told["files"]["model/model.json"] = of_file(about)
            entry.write_text(json.dumps(told))
    done = run(recipe, fit.copy(), cache=cache)
    assert done.record.steps[0].state == {"study": "made"}
    done.chain.save(tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_sections_fitted_apart_give_no_model(study):
    done = run(parse(RECIPE, "small"), study, per_sample=True)
    with pytest.raises(DataError, match="step 1 .encode: pca. was fitted on each section by itself"):
        apply(done.chain, study)
    with pytest.raises(DataError, match="cannot be saved"):
        done.chain.save("nowhere")


@pytest.mark.parametrize("damage", ["chain.json", "step-01/arrays.safetensors", "space-00/model.json"])
def test_damaged_models_are_refused(chain, tmp_path, damage):
    chain.save(tmp_path)
    path = tmp_path / damage
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError):
        Chain.load(tmp_path)


def test_a_model_of_another_format_is_refused(chain, tmp_path):
    chain.save(tmp_path)
    about = json.loads((tmp_path / "chain.json").read_text())
    (tmp_path / "chain.json").write_text(json.dumps({**about, "format": 99}))
    with pytest.raises(WeightsError, match="format 99"):
        Chain.load(tmp_path)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(WeightsError, match=r"holds no fitted model: there is no chain\.json"):
        Chain.load(tmp_path)


def test_data_that_lack_what_the_model_reads(chain, study):
    new = of(study, ["C1"])
    del new.layers["counts"]
    with pytest.raises(MissingSlotError, match="no layers:counts"):
        apply(chain, new)


def test_too_few_shared_genes(chain, study):
    new = of(study, ["C1"])[:, :2].copy()
    with pytest.raises(DataError):
        apply(chain, new)


def test_what_a_fit_learned_from_labels_is_applied_without_them(study):
    steps = '- {do: encode, use: marker-subset, to: "obsm:X_rna.markers"}'
    done = run(parse(f"name: m\nsteps:\n  {steps}\n", "m"), study.copy())
    bare = study.copy()
    del bare.obs["truth"]
    apply(done.chain, bare)
    expected = done.chain.links[0].model.apply(Study(study).counts("study"))
    assert np.array_equal(bare.obsm["X_rna.markers"], expected)
