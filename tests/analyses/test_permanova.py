"""PERMANOVA: against scikit-bio, properties of the table, and what is refused."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.spatial.distance import pdist, squareform
from scipy.stats import false_discovery_control

from triptych.analyses import pairs
from triptych.analyses.permanova import Permanova
from triptych.core.analysis import Material
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Places

COLUMNS = ["group", "other", "n", "n_other", "pseudo_f", "r2", "distance", "pvalue", "padj"]


def material(x, labels, names="abcdefgh"):
    labels = np.asarray(labels)
    places = Places(np.zeros((len(labels), 2)), np.zeros(len(labels), int))
    return Material(labels, tuple(names), places, x=x)


def made(n=120, groups=4, d=5, seed=0):
    """Groups of unequal sizes, of which the first two are alike; one row in ten is unlabelled."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(groups, n, p=np.arange(1, groups + 1) / sum(range(1, groups + 1)))
    x = rng.normal(size=(n, d)) * [1, 5, 0.1, 2, 30][:d] + 0.5 * np.maximum(labels - 1, 0)[:, None]
    return material(x, np.where(rng.random(n) < 0.1, -1, labels), "abcdefgh"[:groups])


def analyse(given, seed=0, **params):
    return Permanova(**params).analyse(given, np.random.default_rng(seed))


def scikit_bio(given, permutations, *, standardise=True):
    """Pseudo-F and p of each pair, as a user of scikit-bio would get them."""
    from skbio.stats.distance import DistanceMatrix, permanova

    inside = given.labels >= 0
    x, labels = given.x[inside], given.labels[inside]
    x = x[:, x.std(axis=0) > 0]
    x = (x - x.mean(axis=0)) / x.std(axis=0) if standardise else x
    found = []
    for one in range(len(given.names)):
        for other in range(one + 1, len(given.names)):
            rows = np.isin(labels, (one, other))
            distances = DistanceMatrix(squareform(pdist(x[rows])))
            result = permanova(distances, labels[rows], permutations=permutations, seed=one)
            found.append((result["test statistic"], result["p-value"]))
    return np.array(found).T


@pytest.mark.parametrize("standardise", [True, False])
def test_equal_to_scikit_bio(standardise):
    given = made()
    found = analyse(given, permutations=1999, standardise=standardise)
    f, p = scikit_bio(given, 1999, standardise=standardise)
    assert list(found) == COLUMNS
    np.testing.assert_allclose(found["pseudo_f"], f, rtol=1e-9)
    np.testing.assert_allclose(found["pvalue"], p, atol=4 * np.sqrt(0.5 / 2000))
    degrees = found["n"] + found["n_other"] - 2
    np.testing.assert_allclose(found["r2"], 1 / (1 + degrees / found["pseudo_f"]), rtol=1e-9)
    np.testing.assert_allclose(found["padj"], false_discovery_control(found["pvalue"]))


@pytest.fixture(scope="module")
def ileum():
    if "TRIPTYCH_DATA" not in os.environ:
        pytest.skip("TRIPTYCH_DATA is not set")
    folder = Path(os.environ["TRIPTYCH_DATA"]) / "mouse_ileum"
    x = pd.read_csv(folder / "latent_ls2_stain.csv.gz", index_col=0)
    types = pd.read_csv(folder / "types.csv.gz", index_col=0).iloc[:, 0].reindex(x.index)
    codes, names = pd.factorize(types.where(types != "Removed"), sort=True)
    return material(x.to_numpy(), codes, names)


@pytest.mark.data
def test_all_pairs_of_the_ileum_are_those_of_scikit_bio(ileum):
    found = analyse(ileum)
    assert len(found) == 171
    np.testing.assert_allclose(found["pseudo_f"], scikit_bio(ileum, 0)[0], rtol=1e-9)


@pytest.mark.data
def test_pvalues_of_the_ileum_are_those_of_scikit_bio(ileum):
    few = replace(ileum, labels=np.where(ileum.labels < 5, ileum.labels, -1), names=ileum.names[:5])
    p, q = analyse(few)["pvalue"].to_numpy(), scikit_bio(few, 999)[1]
    middle = (p + q) / 2
    assert (np.abs(p - q) <= 4 * np.sqrt(2 * middle * (1 - middle) / 999) + 1e-3).all()


def test_every_pair_has_a_row_in_the_order_of_names():
    found = analyse(made())
    assert found["group"].tolist() == ["a", "a", "a", "b", "b", "c"]
    assert found["other"].tolist() == ["b", "c", "d", "c", "d", "d"]
    sizes = np.bincount(made().labels[made().labels >= 0])
    assert found["n"].tolist() == sizes[[0, 0, 0, 1, 1, 2]].tolist()
    assert found["n_other"].tolist() == sizes[[1, 2, 3, 2, 3, 3]].tolist()
    assert "not independent" in found.attrs["note"]


def test_distance_is_that_of_the_centroids_of_z_scores():
    given = made(groups=2)
    z = given.x[given.labels >= 0]
    z, labels = (z - z.mean(axis=0)) / z.std(axis=0), given.labels[given.labels >= 0]
    expected = np.linalg.norm(z[labels == 0].mean(axis=0) - z[labels == 1].mean(axis=0))
    assert analyse(given)["distance"][0] == pytest.approx(expected, rel=1e-12)


def test_units_and_constant_columns_do_not_matter_when_standardised():
    given = made()
    other = np.hstack([given.x * [1e-6, 10, 3, 1e8, 7] + [0, 5, -2, 1e9, 1], np.full((120, 2), 0.1)])
    one, two = analyse(given), analyse(replace(given, x=other))
    np.testing.assert_allclose(one["pseudo_f"], two["pseudo_f"], rtol=1e-6)
    raw = analyse(replace(given, x=other), standardise=False)
    assert not np.allclose(one["pseudo_f"], raw["pseudo_f"], rtol=0.01)


def test_order_of_rows_and_threads_do_not_matter(monkeypatch):
    given, order = made(), np.random.default_rng(5).permutation(120)
    tables = []
    for threads in (1, 4):
        monkeypatch.setattr(pairs, "threads", lambda threads=threads: threads)
        tables.append(analyse(given))
        tables.append(analyse(replace(given, x=given.x[order], labels=given.labels[order])))
    pd.testing.assert_frame_equal(tables[0], tables[2], check_exact=True)
    for table in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], table, rtol=1e-9)
        assert table["pvalue"].tolist() == tables[0]["pvalue"].tolist()


@pytest.mark.parametrize("standardise", [True, False])
def test_a_sparse_space_is_the_same_space(standardise):
    given = made()
    x = np.where(np.abs(given.x) > 1, given.x, 0)
    one = analyse(replace(given, x=x), standardise=standardise)
    two = analyse(replace(given, x=sp.csr_matrix(x)), standardise=standardise)
    pd.testing.assert_frame_equal(one, two, rtol=1e-9)


def test_unlabelled_observations_take_part_in_nothing():
    given = made()
    wild = np.where(given.labels[:, None] < 0, 1e9, given.x)
    pd.testing.assert_frame_equal(analyse(given), analyse(replace(given, x=wild)))


def test_a_group_of_one_is_left_out_with_a_word():
    given = made(groups=3)
    labels = np.concatenate([given.labels, [3]])
    more = material(np.vstack([given.x, np.full(5, 1e6)]), labels, ["a", "b", "c", "loner"])
    with pytest.warns(TriptychWarning, match="fewer than 2 members are left out: loner"):
        found = analyse(more)
    pd.testing.assert_frame_equal(found, analyse(given))


def test_groups_without_spread_are_infinitely_far_apart():
    found = analyse(material(np.repeat([[0.1, 0.3], [0.7, 0.2]], 5, axis=0), np.repeat([0, 1], 5), "ab"))
    assert found["pseudo_f"][0] == np.inf
    assert found["r2"][0] == pytest.approx(1)
    assert found["pvalue"][0] < 0.05


def test_what_cannot_be_compared_is_refused():
    given = made()
    with pytest.raises(DataError, match="permanova: no space was given. In a recipe, name one with x"):
        analyse(replace(given, x=None))
    with pytest.raises(DataError, match="permanova: there must be two groups of at least 2 members"):
        analyse(replace(given, labels=np.zeros(120, int)))
    with pytest.raises(DataError, match="permanova: all 5 columns are constant over the"):
        analyse(replace(given, x=np.full((120, 5), 0.3)))
    bad = given.x.copy()
    bad[3, :2] = np.nan, np.inf
    with pytest.raises(DataError, match="2 values of the space are not finite"):
        analyse(replace(given, x=bad))
    with pytest.raises(DataError) as caught:
        analyse(replace(given, x=given.x[:7], names=("a", "b")))
    assert "there is a space of 7 rows and labels of 120" in str(caught.value)
    assert "code 3 has no name; there are 2" in str(caught.value)


def test_a_test_without_permutations_is_refused():
    with pytest.raises(ValueError, match="permutations must be 1 or more"):
        Permanova(permutations=0)
