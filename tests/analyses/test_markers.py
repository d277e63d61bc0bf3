"""Markers against naive loops, scipy and scanpy; what is refused; known layers of a brain."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats

from triptych.analyses.groups import grouped
from triptych.analyses.markers import Markers
from triptych.core.analysis import Material
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Counts, Places
from triptych.maths import rank_sums as kernel
from triptych.maths.counts import logged, normalised


def run(material, **params):
    return Markers(**params).analyse(material, np.random.default_rng(0))


def naive(material):
    """Group → gene → what a loop over genes and scipy's own test find, in normalised counts."""
    dense = normalised(material.counts.matrix).toarray()
    rows = []
    for code, name in enumerate(material.names):
        inside, outside = (
            dense[material.labels == code],
            dense[(material.labels >= 0) & (material.labels != code)],
        )
        one = 1 / min(len(inside), len(outside))
        for g, gene in enumerate(material.counts.genes):
            a, b = (part[:, g].astype(np.float32).astype(np.float64) for part in (inside, outside))
            test = stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=False)
            held = [s for s in np.unique(material.places.sample) if holds(material, s, code)]
            change = np.log2(inside[:, g].mean() + one) - np.log2(outside[:, g].mean() + one)
            agree = sum(np.sign(difference(material, dense[:, g], s, code)) == np.sign(change) for s in held)
            rows.append((name, gene, test.pvalue, test.statistic / len(a) / len(b), change,
                         (a > 0).mean(), (b > 0).mean(), agree, len(held)))  # fmt: skip
    columns = ["group", "gene", "pvalue", "auroc", "change", "share_in", "share_out", "agree", "held"]
    return pd.DataFrame(rows, columns=columns).set_index(["group", "gene"])


def holds(material, sample, code):
    here = material.labels[(material.places.sample == sample) & (material.labels >= 0)]
    return (here == code).any() and (here != code).any()


def difference(material, values, sample, code):
    here = (material.places.sample == sample) & (material.labels >= 0)
    return values[here & (material.labels == code)].mean() - values[here & (material.labels != code)].mean()


def test_every_number_is_that_of_a_naive_loop(material):
    found = run(material, top=0).set_index(["group", "gene"])
    wanted = naive(material).loc[found.index]
    for mine, theirs in [("pvalue", "pvalue"), ("auroc", "auroc"), ("log2_fold_change", "change"),
                         ("share_in", "share_in"), ("share_out", "share_out")]:  # fmt: skip
        np.testing.assert_allclose(found[mine], wanted[theirs], rtol=1e-9, atol=1e-12)
    assert (found["samples_agree"] == wanted["agree"]).all()
    assert (found["samples"] == wanted["held"]).all()
    assert (np.sign(found["score"]) == np.sign(wanted["auroc"] - 0.5)).all()


def test_padj_is_that_of_scipy_over_all_genes_of_a_group_though_few_are_shown(material):
    whole, few = run(material, top=0), run(material, top=4)
    for _, rows in whole.groupby("group"):
        np.testing.assert_allclose(rows["padj"], stats.false_discovery_control(rows["pvalue"]))
    pd.testing.assert_frame_equal(few, whole[whole["rank"] <= 4].reset_index(drop=True))


def test_scores_are_those_of_scanpy(material):
    scanpy = pytest.importorskip("scanpy")
    from anndata import AnnData

    rows = material.labels >= 0
    groups = pd.Categorical(np.array(material.names)[material.labels[rows]])
    names = pd.Index([str(i) for i in range(rows.sum())])
    table = AnnData(
        logged(normalised(material.counts.matrix))[rows].astype(np.float32),
        obs=pd.DataFrame({"group": groups}, index=names),
    )
    table.var_names = material.counts.genes
    scanpy.tl.rank_genes_groups(table, "group", method="wilcoxon", tie_correct=True)
    theirs = scanpy.get.rank_genes_groups_df(table, None).set_index(["group", "names"])
    mine = run(material, top=0).set_index(["group", "gene"])
    theirs = theirs.loc[mine.index]
    np.testing.assert_allclose(mine["score"], theirs["scores"], atol=1e-5)
    np.testing.assert_allclose(mine["padj"], theirs["pvals_adj"], rtol=1e-4, atol=1e-12)


def test_the_genes_of_each_group_come_first(material, marked):
    found = run(material, top=5)
    for name, genes in marked.items():
        rows = found[found["group"] == name]
        assert set(rows["gene"]) == genes
        assert list(rows["rank"]) == [1, 2, 3, 4, 5]
        assert rows["score"].is_monotonic_decreasing
        assert (rows[["auroc", "log2_fold_change"]] > [0.5, 0]).all(axis=None)
        assert (rows["samples"] == 3).all()


def test_blocks_of_columns_give_the_same_bits(material, monkeypatch):
    whole = run(material, top=0)
    monkeypatch.setattr(kernel, "AT_ONCE", 100)
    pd.testing.assert_frame_equal(run(material, top=0), whole, check_exact=True)


def test_equal_shares_tie_whatever_the_depth():
    """1/500 and 3/1500 of the counts are the same expression, though they differ in the last bit."""
    depth = np.array([500, 1500, 700, 2100, 900, 2700])
    counts = np.stack([depth // [500, 500, 700, 700, 900, 900]] * 2 + [depth], axis=1)
    counts[:, 1] = [1, 3, 1, 3, 1, 3]
    counts[:, 2] -= counts[:, :2].sum(axis=1)
    material = Material(
        np.array([0, 1] * 3), ("a", "b"), Places(np.zeros((6, 2)), np.zeros(6, int)),
        Counts(sp.csr_matrix(counts), np.array(["x", "y", "z"]), np.zeros(6, int)),
    )  # fmt: skip
    assert (run(material)["score"] == 0).all()
    assert (run(material)["pvalue"] == 1).all()
    assert (run(material)["samples_agree"] <= 1).all()


def test_genes_never_seen_have_no_row_and_unlabelled_observations_no_part(material):
    counts = material.counts.matrix.tolil()
    counts[:, 3] = 0
    outside = material.labels < 0
    counts[np.flatnonzero(outside), 4] = 999  # only the labelled decide
    counts[np.flatnonzero(~outside), 4] = 0
    changed = replace(material, counts=replace(material.counts, matrix=sp.csr_matrix(counts)))
    found = run(changed, top=0)
    assert not {"GENE3", "GENE4"} & set(found["gene"])
    assert len(found) == 3 * 58


def test_a_gene_seen_in_one_group_only_has_a_finite_change(material):
    counts = material.counts.matrix.tolil()
    counts[np.flatnonzero(material.labels != 0), 0] = 0
    found = run(replace(material, counts=replace(material.counts, matrix=sp.csr_matrix(counts))), top=0)
    assert np.isfinite(found.select_dtypes("number")).all(axis=None)
    assert found.set_index(["group", "gene"]).loc[("core", "GENE0"), "share_out"] == 0


def test_sections_without_the_group_do_not_count(material):
    sample = np.where((material.labels == 0) & (material.places.sample == 2), 0, material.places.sample)
    found = run(replace(material, places=replace(material.places, sample=sample)))
    assert found.groupby("group")["samples"].first().to_dict() == {"core": 2, "rim": 3, "stroma": 3}
    assert (found["samples_agree"] <= found["samples"]).all()


def test_a_single_member_is_left_out_but_counts_among_the_rest(material):
    labels = material.labels.copy()
    labels[labels == 2] = -1
    labels[0] = 2
    with pytest.warns(TriptychWarning, match="fewer than 2 members are left out .*: stroma"):
        found = run(replace(material, labels=labels), top=0)
    assert set(found["group"]) == {"core", "rim"}
    assert (
        (found["auroc"] * 2 - 1).groupby(found["gene"]).sum().abs() > 0
    ).any()  # the rest is not the other


def test_the_note_says_what_p_values_are_worth(material):
    assert "double dipping" in run(material).attrs["note"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: replace(m, counts=None), "markers: no counts were given. In a recipe"),
        (lambda m: replace(m, labels=np.zeros_like(m.labels)), "two groups of at least 2 .* there is: core"),
        (lambda m: replace(m, labels=np.full_like(m.labels, -1)), "there is: nothing"),
        (lambda m: replace(m, labels=m.labels[1:]), "2 faults\n.*counts of 180 observations"),
        (lambda m: replace(m, labels=m.labels[1:]), "places of 180 observations and labels of 179"),
        (lambda m: replace(m, names=("core",)), "code 2 has no name; there are 1"),
        (lambda m: replace(m, counts=replace(m.counts, genes=m.counts.genes[1:])), "59 genes and counts"),
        (lambda m: replace(m, counts=replace(m.counts, matrix=-m.counts.matrix)), "some values are negative"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(material, change, message):
    with pytest.raises(DataError, match=message):
        run(change(material))


@pytest.mark.parametrize(("params", "message"), [({"top": -1}, "top"), ({"target_sum": 0.0}, "target_sum")])
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Markers(**params)


def test_groups_give_means_of_members_and_of_the_rest(material, rng):
    groups = grouped("markers", material)
    x = rng.normal(size=(len(groups.rows), 4))
    inside, outside = groups.means(x)
    for code in range(3):
        np.testing.assert_allclose(inside[code], x[groups.codes == code].mean(axis=0))
        np.testing.assert_allclose(outside[code], x[groups.codes != code].mean(axis=0))


LAYERS = {
    "WM": {"ENSG00000197971": "MBP", "ENSG00000123560": "PLP1", "ENSG00000168314": "MOBP"},
    "L2": {"ENSG00000115756": "HPCAL1", "ENSG00000162545": "CAMK2N1"},
    "L3": {"ENSG00000171617": "ENC1", "ENSG00000164326": "CARTPT"},
    "L4": {"ENSG00000100285": "NEFH"},
    "L5": {"ENSG00000183036": "PCP4"},
    "L6": {"ENSG00000128422": "KRT17"},
}


@pytest.mark.data
def test_known_markers_of_cortical_layers_come_first(real_data):
    """Maynard et al. 2021, 10.1038/s41593-020-00787-0: sections 151673 and 151674, manual layers."""
    import triptych as tp

    table = tp.read(real_data / "dlpfc", samples=["151673", "151674"])
    truth = table.obs["truth"].astype("category")
    section = table.obs["sample"].astype("category").cat.codes.to_numpy(np.int64)
    counts = Counts(sp.csr_matrix(table.layers["counts"]), table.var_names.to_numpy(str), section)
    places = Places(np.asarray(table.obsm["spatial"], float), section)
    labels = truth.cat.codes.to_numpy(np.int64)
    found = run(Material(labels, tuple(map(str, truth.cat.categories)), places, counts), top=10)
    for layer, genes in LAYERS.items():
        rows = found[found["group"] == layer].set_index("gene")
        present = set(genes) & set(counts.genes)
        assert present
        assert present <= set(rows.index), (layer, genes)
        assert (rows.loc[sorted(present), "samples_agree"] == rows.loc[sorted(present), "samples"]).all()
