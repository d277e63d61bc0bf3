"""Neighbour averages and their components, sparse and dense, and a published section."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA

from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.fusers.smooth import FittedSmooth, Smooth


@pytest.fixture
def places(rng):
    return Places(rng.uniform(0, 1000, (80, 2)), np.arange(80) % 2)


@pytest.fixture
def genes(rng):
    return sp.csr_matrix(rng.poisson(0.7, (80, 40)).astype(float))


def averaged(x, places, neighbours):
    """A loop over observations."""
    found = np.empty_like(x)
    for i in range(len(x)):
        same = np.flatnonzero(places.sample == places.sample[i])
        near = same[np.argsort(np.linalg.norm(places.um[same] - places.um[i], axis=1))[: neighbours + 1]]
        found[i] = x[near].mean(axis=0)
    return found


def same_up_to_sign(a, b):
    return np.abs(np.abs(a) - np.abs(b)).max() < 1e-6


@pytest.mark.parametrize("rounds", [0, 1, 2])
@pytest.mark.parametrize("dense", [True, False])
def test_components_of_the_averages(genes, places, rng, rounds, dense):
    expected = genes.toarray()
    for _ in range(rounds):
        expected = averaged(expected, places, 6)
    view = genes.toarray() if dense else genes
    found = Smooth(components=5, rounds=rounds).fuse({"rna": view}, places, rng)
    assert same_up_to_sign(found, PCA(5, svd_solver="full").fit_transform(expected))


def test_dense_views_can_be_kept_whole(places, rng):
    x = rng.normal(size=(80, 3))
    found = Smooth(components=0, neighbours=4).fuse({"rna": x}, places, rng)
    assert np.allclose(found, averaged(x, places, 4))


def test_sparse_and_dense_views_join(genes, places, rng):
    img = rng.normal(size=(80, 4))
    mixed = Smooth(components=5).fuse({"rna": genes, "img": img}, places, rng)
    dense = Smooth(components=5).fuse({"rna": genes.toarray(), "img": img}, places, rng)
    assert same_up_to_sign(mixed, dense)


def test_weights_multiply(places, rng):
    views = {"a": rng.normal(size=(80, 2)), "b": rng.normal(size=(80, 2))}
    plain = Smooth(components=0).fuse(views, places, rng)
    heavy = Smooth(components=0, weights={"b": 2.0}).fuse(views, places, rng)
    assert np.allclose(heavy[:, 2:], 2 * plain[:, 2:])


def test_a_sparse_view_cannot_be_kept_whole(genes, places, rng):
    with pytest.raises(DataError, match="40 columns of a sparse view cannot be kept whole. Set components"):
        Smooth(components=0).fuse({"rna": genes}, places, rng)


@pytest.mark.parametrize("rounds", [0, 2])
@pytest.mark.parametrize("dense", [True, False])
def test_others_are_averaged_over_their_own_neighbours(genes, places, rng, rounds, dense):
    """Factors, means and loadings are those of the fit; neighbours are those of the new section."""
    img = rng.normal(size=(80, 3))
    rna = genes.toarray() if dense else genes
    model = Smooth(components=4, rounds=rounds).fit({"img": img, "rna": rna}, places, rng).model
    where = Places(rng.uniform(0, 500, (30, 2)), np.arange(30) % 3)
    new = {"img": rng.normal(2, 1, (30, 3)), "rna": rng.poisson(2.0, (30, 40)).astype(float)}

    def joint(views, at):
        factor = [1 / np.sqrt(v.var(axis=0).sum()) for v in (img, genes.toarray())]
        x = np.hstack([v * f for v, f in zip(views, factor, strict=True)])
        for _ in range(rounds):
            x = averaged(x, at, 6)
        return x

    known = PCA(4, svd_solver="full").fit(joint([img, genes.toarray()], places))
    expected = known.transform(joint([new["img"], new["rna"]], where))
    given = new if dense else new | {"rna": sp.csr_matrix(new["rna"])}
    assert same_up_to_sign(model.apply(given, where), expected)


def test_views_kept_whole_are_only_averaged(places, rng):
    model = Smooth(components=0).fit({"a": rng.normal(size=(80, 3))}, places, rng).model
    x = rng.normal(size=(80, 3))
    assert model.loadings is None
    assert np.allclose(model.apply({"a": x}, places), averaged(x, places, 6))
    with pytest.raises(DataError, match="3 columns of a sparse view cannot be kept whole"):
        model.apply({"a": sp.csr_matrix(x)}, places)


def test_a_model_whose_parts_do_not_fit_is_refused():
    with pytest.raises(ValueError, match="its arrays do not fit 2 columns and 3 components"):
        FittedSmooth(Smooth(components=3), {"a": 2}, {"a": 1.0}, np.ones(2), np.ones((2, 2)))
    with pytest.raises(ValueError, match="its arrays do not fit 2 columns and 3 components"):
        FittedSmooth(Smooth(components=3), {"a": 2}, {"a": 1.0}, None, None)
    with pytest.raises(ValueError, match="every role needs one factor"):
        FittedSmooth(Smooth(components=0), {"a": 2}, {}, None, None)


@pytest.mark.parametrize("params", [{"neighbours": 0}, {"rounds": -1}, {"components": -1}])
def test_parameters_out_of_range(params):
    with pytest.raises(ValueError, match="neighbours must be at least 1"):
        Smooth(**params)


@pytest.mark.data
@pytest.mark.parametrize(("section", "expected"), [("151673", 0.566), ("151674", 0.616)])
def test_layers_of_the_cortex(real_data, section, expected):
    """Agreement with the manual layers, number of layers given, as measured with scikit-learn alone."""
    from anndata import read_h5ad

    from triptych.clusterers.gaussian import Gaussian
    from triptych.core.protocols import Counts
    from triptych.encoders.genes.log_normalised import LogNormalised
    from triptych.metrics.ari import Ari

    table = read_h5ad(real_data / "dlpfc" / f"{section}.h5ad")
    zeros, rng = np.zeros(table.n_obs, int), np.random.default_rng(0)
    view = LogNormalised().encode(Counts(sp.csr_matrix(table.X), table.var_names.to_numpy(str), zeros), rng)
    x = Smooth(components=15).fuse(
        {"rna": view}, Places(np.asarray(table.obsm["spatial"], float), zeros), rng
    )
    guess = Gaussian(k=7, n_init=5).cluster(x, rng)
    layer = table.obs["layer"].astype(str).to_numpy()
    known = layer != "NA"
    truth = np.unique(layer[known], return_inverse=True)[1]
    assert abs(Ari().score(truth, guess[known]) - expected) < 0.02
