"""Domains on real sections: what the README says, held to a bound."""

import pytest

import triptych as tp

pytestmark = pytest.mark.data


def means(table):
    scores = table.uns["triptych"]["scores"]
    rows = scores[(scores["metric"] == "ari") & (scores["sample"] == "(mean)")]
    return rows.set_index("slot")["value"]


def test_the_simple_baseline_on_two_brain_slices(real_data):
    table = tp.read(real_data / "dlpfc", samples=["151673", "151674"])
    tp.run("smooth-gaussian", table)
    assert means(table)["obs:domain"] >= 0.55


def test_fusion_over_windows_beats_alignment_alone_on_four_donors(real_data):
    table = tp.read(real_data / "her2st", samples=["B1", "C1", "D1", "G2"])
    tp.run("cross-sample-genes", table)
    found = means(table)
    assert found["obs:domain"] > found["obs:domain.aligned-refined"] > found["obs:domain.aligned-alone"]
    assert found["obs:domain"] >= 0.22


def test_sections_with_images_and_without_labels(real_data):
    table = tp.read(real_data / "her2st", samples=["B4", "C2"])
    tp.run("cross-sample", table, changes=["grid-triplet.epochs=5"])
    assert table.obsm["X_img.stain-texture"].shape == (table.n_obs, 40)
    assert table.obs["domain"].notna().all()
    assert set(table.uns["triptych"]["scores"]["metric"]) == {"silhouette", "clusters", "ilisi", "ari:donor"}


def test_the_consensus_on_two_brain_slices(real_data):
    """No scale and no number of components is chosen, so none can have been chosen by these labels."""
    table = tp.read(real_data / "dlpfc", samples=["151673", "151674"])
    tp.run("consensus", table, changes=["4.k_from=recipe", "5.k_from=recipe"])
    assert means(table)["obs:domain"] >= 0.60


def test_layers_of_three_mice_together(real_data):
    table = tp.read(real_data / "starmap_mpfc", truth="z")
    tp.run("two-rings", table, changes=["4.k_from=recipe", "5.k_from=recipe"])
    found = means(table)["obs:domain"]
    tp.cluster(table, "kmeans", x="obsm:X_rna.pca", to="obs:plain", k=4)
    tp.score(table, "ari", guess="obs:plain")
    assert found > 0.7
    assert found > means(table)["obs:plain"] + 0.3


def test_a_donor_held_out_is_labelled_by_the_model_of_another(real_data, tmp_path):
    fit = tp.read(real_data / "dlpfc", samples=["151673", "151674"])
    tp.run("two-rings", fit, out=tmp_path / "fit", changes=["4.k_from=recipe", "5.k_from=recipe"])
    new = tp.apply(tmp_path / "fit", tp.read(real_data / "dlpfc", samples=["151510"]))
    scores = new.uns["triptych"]["scores"].query("metric == 'ari' and slot == 'obs:domain'")
    assert scores["protocol"].str.startswith("donor held out").all()
    assert scores["value"].iloc[0] > 0.2
