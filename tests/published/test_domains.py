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
    assert set(table.uns["triptych"]["scores"]["metric"]) == {"silhouette"}
