"""A few genes chosen without labels."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Counts
from triptych.encoders.genes.gene_subset import GeneSubset
from triptych.encoders.genes.log_normalised import LogNormalised
from triptych.encoders.genes.subset import FittedSubset


@pytest.fixture
def counts(rng):
    matrix = sp.csr_matrix(rng.poisson(rng.gamma(1, 1, (80, 4)) @ rng.gamma(1, 0.5, (4, 30))))
    return Counts(matrix, np.array([f"g{i}" for i in range(30)]), np.zeros(80, int))


@pytest.mark.parametrize("by", ["pca-loadings", "random"])
def test_columns_are_those_of_all_genes_normalised_first(counts, rng, by):
    value, model = GeneSubset(by=by, components=4, count=7).fit(counts, rng)
    whole = LogNormalised().encode(counts, rng).toarray()
    assert value.dtype == np.float32
    assert np.array_equal(value, whole[:, model.columns])
    assert model.chosen_genes == tuple(counts.genes[model.columns])
    assert (np.diff(model.columns) > 0).all()


def test_loadings_are_those_of_scikit_learn(counts, rng):
    model = GeneSubset(components=5, per_component=3).fit(counts, rng).model
    found = PCA(5).fit(LogNormalised().encode(counts, rng).toarray().astype(float))
    wanted = {gene for row in np.abs(found.components_) for gene in np.argsort(-row)[:3]}
    assert set(model.columns) == wanted
    assert 3 <= len(wanted) <= 15


def test_random_genes_follow_the_seed(counts):
    one, two, other = (
        GeneSubset(by="random", count=9).fit(counts, np.random.default_rng(seed)).model.chosen_genes
        for seed in (1, 1, 2)
    )
    assert one == two != other
    assert len(set(one)) == 9


def test_others_are_brought_to_the_depth_of_the_fit_over_all_genes(counts, rng):
    model = GeneSubset(by="random", count=5).fit(counts, rng).model
    other = Counts(sp.csr_matrix(rng.poisson(2.0, (20, 30))), counts.genes, np.zeros(20, int))
    dense, totals = other.matrix.toarray(), counts.matrix.sum(axis=1).A1
    wanted = np.log1p(dense / dense.sum(axis=1, keepdims=True) * np.median(totals[totals > 0]))
    assert np.allclose(model.apply(other), wanted[:, model.columns], rtol=1e-6)


def test_missing_genes_are_columns_of_zeros_and_their_share_of_the_counts_is_taken_off(counts, rng):
    model = GeneSubset(by="random", count=5).fit(counts, rng).model
    lost = model.columns[2]
    kept = np.delete(np.arange(30), lost)[::-1]
    part = Counts(counts.matrix[:, kept], counts.genes[kept], counts.batch)
    with pytest.warns(TriptychWarning, match="gene-subset: 1 of 30 genes .* 20.0% of those that were chosen"):
        found = model.apply(part)
    dense, totals = counts.matrix.toarray()[:, kept], counts.matrix.toarray().sum(axis=0)
    goal = model.target_sum * totals[kept].sum() / totals.sum()
    wanted = np.log1p(counts.matrix.toarray() / np.maximum(dense.sum(axis=1, keepdims=True), 1) * goal)
    wanted = wanted[:, model.columns]
    wanted[:, 2] = 0
    assert np.allclose(found, wanted, rtol=1e-6)


def test_other_genes_may_be_missing_as_long_as_the_chosen_are_there(counts, rng):
    model = GeneSubset(by="random", count=5).fit(counts, rng).model
    here = counts.matrix[:, model.columns], counts.genes[model.columns], counts.batch
    with pytest.warns(TriptychWarning, match=r"25 of 30 genes .* 0\.0% of those that were chosen"):
        assert model.apply(Counts(*here)).shape == (80, 5)
    gone = np.setdiff1d(np.arange(30), model.columns[:3])
    with pytest.raises(DataError, match="3 of 30 genes .* 60.0% of those that were chosen"):
        model.apply(Counts(counts.matrix[:, gone], counts.genes[gone], counts.batch))


def test_a_model_is_read_back(counts, rng, tmp_path):
    component = GeneSubset(components=4)
    model = component.fit(counts, rng).model
    model.save(tmp_path)
    again = component.restore(tmp_path)
    assert again.chosen_genes == model.chosen_genes
    assert again.apply(counts).tobytes() == model.apply(counts).tobytes()


def test_more_genes_than_there_are(counts, rng):
    with pytest.raises(DataError, match="gene-subset: 31 genes cannot be drawn from 30. Set count to 30"):
        GeneSubset(by="random", count=31).fit(counts, rng)
    with pytest.raises(DataError, match="30 components cannot be had"):
        GeneSubset(components=30).fit(counts, rng)


@pytest.mark.parametrize("name", ["components", "per_component", "count"])
def test_parameters_out_of_range(name):
    with pytest.raises(ValueError, match="components, per_component and count must be at least 1"):
        GeneSubset(**{name: 0})


@pytest.mark.parametrize(
    ("columns", "totals", "message"),
    [
        ([0], np.ones(3), r"its totals have shape \(3,\); it has 2 genes"),
        ([0, 2], np.ones(2), "its columns are not those of 2 genes"),
        ([-1], np.ones(2), "its columns are not those of 2 genes"),
        ([1, 0], np.ones(2), "its columns are not in order, each once"),
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(columns, totals, message):
    with pytest.raises(ValueError, match=message):
        FittedSubset("gene-subset", ("a", "b"), np.array(columns), 1.0, totals)
