"""Pathways against a naive regression, decoupler's own answer and scipy's test; what is refused."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats

from triptych.analyses import pathways
from triptych.analyses.pathways import Pathways, varied
from triptych.core.errors import DataError, MissingExtraError, NumericsError, TriptychWarning, WeightsError
from triptych.maths.counts import logged, normalised

dc = pytest.importorskip("decoupler", reason="the extra analyses is not installed")
METHODS = ("ulm", "mlm")


def run(material, network, **params):
    return Pathways(network, **params).analyse(material, np.random.default_rng(0))


def activities(material, edges, method):
    """The t-value of each weight in a regression of each observation, by the textbook."""
    y = logged(normalised(material.counts.matrix)).toarray()
    wide = edges.pivot_table(index="target", columns="source", values="weight", fill_value=0.0)
    weights = wide.reindex(material.counts.genes, fill_value=0.0)
    models = [list(weights)] if method == "mlm" else [[name] for name in weights]
    found = {}
    for names in models:
        design = np.column_stack([np.ones(len(weights)), weights[names]])
        inverse = np.linalg.inv(design.T @ design)
        for row in y:
            beta = inverse @ design.T @ row
            variance = ((row - design @ beta) ** 2).sum() / (len(row) - len(beta))
            for name, t in zip(names, (beta / np.sqrt(variance * np.diag(inverse)))[1:], strict=True):
                found.setdefault(name, []).append(t)
    return pd.DataFrame(found)


@pytest.mark.parametrize("method", METHODS)
def test_every_number_is_that_of_a_naive_loop(material, network, edges, method):
    found = run(material, network, method=method).set_index(["group", "pathway"])
    scores = activities(material, edges, method)
    assert len(found) == 3 * 4
    for (group, pathway), row in found.iterrows():
        code = material.names.index(group)
        inside = scores.loc[material.labels == code, pathway]
        outside = scores.loc[(material.labels >= 0) & (material.labels != code), pathway]
        test = stats.ttest_ind(inside, outside, equal_var=False)
        assert row["activity"] == pytest.approx(inside.mean(), rel=1e-6)
        assert row["difference"] == pytest.approx(inside.mean() - outside.mean(), rel=1e-5)
        assert row["statistic"] == pytest.approx(test.statistic, rel=1e-5)
        assert row["pvalue"] == pytest.approx(test.pvalue, rel=1e-4, abs=1e-300)
        assert row["n"] == len(inside)
        assert row["targets_found"] == (edges["source"] == pathway).sum()
    for _, rows in found.groupby("group"):
        np.testing.assert_allclose(rows["padj"], stats.false_discovery_control(rows["pvalue"]))


@pytest.mark.parametrize("method", METHODS)
def test_each_group_has_its_pathway(material, network, method):
    found = run(material, network, method=method)
    for name in material.names:
        rows = found[found["group"] == name].set_index("pathway")
        assert rows["difference"].idxmax() == f"{name} signal"
        assert rows.loc[f"{name} signal", "padj"] < 1e-6
        assert abs(rows.loc["idle", "difference"]) < rows.loc[f"{name} signal", "difference"] / 4
    assert "double dipping" in found.attrs["note"]


@pytest.mark.parametrize("method", METHODS)
def test_blocks_and_repetition_change_nothing(material, network, method, monkeypatch):
    whole = run(material, network, method=method)
    pd.testing.assert_frame_equal(run(material, network, method=method), whole, check_exact=True)
    monkeypatch.setattr(pathways, "AT_ONCE", 60 * 7)
    pd.testing.assert_frame_equal(run(material, network, method=method), whole, rtol=1e-9)


def test_observations_without_counts_or_labels_take_no_part(material, network):
    counts = material.counts.matrix.tolil()
    empty = np.flatnonzero(material.labels == 0)[:4]
    counts[empty] = 0
    changed = replace(material, counts=replace(material.counts, matrix=sp.csr_matrix(counts)))
    found = run(changed, network)
    assert found.groupby("group")["n"].first()["core"] == (material.labels == 0).sum() - 4
    unlabelled = replace(changed, labels=np.where(np.isin(np.arange(180), empty), -1, material.labels))
    pd.testing.assert_frame_equal(run(unlabelled, network), found)


def test_only_the_top_targets_are_used(material, network, edges):
    found = run(material, network, top_targets=3, min_targets=3)
    assert (found["targets_found"] == 3).all()
    first = edges.sort_values("p_value", kind="stable").groupby("source").head(3)
    mine = found.set_index(["group", "pathway"]).loc[("rim", "rim signal"), "activity"]
    assert mine == pytest.approx(
        activities(material, first, "ulm").loc[material.labels == 1, "rim signal"].mean()
    )


def test_pathways_with_few_targets_are_left_out_aloud(material, network):
    with pytest.warns(
        TriptychWarning, match="fewer than 6 targets .*: core signal, rim signal, stroma signal"
    ):
        found = run(material, network, min_targets=6)
    assert set(found["pathway"]) == {"idle"}


def test_the_fingerprint_follows_the_file(network, edges):
    component = Pathways(network)
    before = component.fingerprint()
    assert Pathways(network).fingerprint() == before
    edges.head(10).to_csv(network, index=False)
    assert component.fingerprint() != before


def test_genes_of_another_kind_are_explained(material, network):
    genes = np.array([f"ENSG{i:011d}" for i in range(60)])
    with pytest.raises(DataError, match="The genes are Ensembl ids .* the targets symbols"):
        run(replace(material, counts=replace(material.counts, genes=genes)), network)


def test_repeated_genes_are_refused(material, network):
    genes = material.counts.genes.copy()
    genes[1] = genes[0]
    with pytest.raises(DataError, match="gene names occur more than once: GENE0. Make them unique"):
        run(replace(material, counts=replace(material.counts, genes=genes)), network)


def test_pathways_that_depend_on_one_another_need_ulm(material, network, edges):
    again = edges[edges["source"] == "idle"].assign(source="again")
    pd.concat([edges, again]).to_csv(network, index=False)
    with pytest.raises(
        DataError, match="weights of 5 pathways depend on one another: their rank is 4. .*ulm"
    ):
        run(material, network, method="mlm")
    assert set(run(material, network)["pathway"]) >= {"idle", "again"}


def test_too_few_genes_for_one_model(material, network):
    few = replace(material.counts, matrix=material.counts.matrix[:, :5], genes=material.counts.genes[:5])
    each = [(f"p{i}", f"GENE{i}", 1.0) for i in range(4)]
    pd.DataFrame(each, columns=["source", "target", "weight"]).to_csv(network, index=False)
    with pytest.raises(DataError, match="5 genes are too few for a model of 4 pathways. Use method: ulm"):
        run(replace(material, counts=few), network, method="mlm", min_targets=1)


def test_weights_that_do_not_differ_are_refused(material, network):
    flat = pd.DataFrame({"source": "flat", "target": material.counts.genes, "weight": 1.0})
    flat.to_csv(network, index=False)
    with pytest.raises(DataError, match="every gene has the same weight in: flat. Leave them out"):
        run(material, network)
    flat.head(20).assign(weight=0.0).to_csv(network, index=False)
    with pytest.raises(DataError, match="every gene has the same weight in: flat"):
        run(material, network)


def test_activities_that_are_not_finite_are_no_result(material, network, monkeypatch):
    def broken(table, *_args, **_options):
        table.obsm["score_ulm"] = pd.DataFrame({"idle": np.nan}, index=table.obs_names)

    monkeypatch.setattr(dc.mt, "ulm", broken)
    with pytest.raises(NumericsError, match="activities are not finite: idle"):
        run(material, network)


def test_rows_with_one_value_for_all_genes_vary_in_nothing():
    x = sp.csr_matrix(np.array([[0.0, 0], [2, 2], [0, 2], [1, 2]]))
    assert list(varied(x)) == [False, False, True, True]


def test_a_missing_file_and_a_missing_package(material, network, tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="no network file"):
        run(material, str(tmp_path / "no.csv"))
    monkeypatch.setitem(sys.modules, "decoupler", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'triptych\[analyses\]'"):
        run(material, network)


@pytest.mark.parametrize(
    ("params", "message"),
    [({"network": ""}, "network must name a file with the columns source, target, weight"),
     ({"top_targets": -1}, "top_targets"), ({"min_targets": 0}, "min_targets"),
     ({"target_sum": -1.0}, "target_sum")],
)  # fmt: skip
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Pathways(**{"network": "net.csv", **params})
