"""The best marker of each known type."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Counts
from triptych.encoders.genes.log_normalised import LogNormalised
from triptych.encoders.genes.marker_subset import MarkerSubset


@pytest.fixture
def counts(rng):
    """Three types with two genes each that are four times as many; a fifth of the rows unlabelled."""
    truth = rng.integers(0, 3, 200)
    rate = np.full((3, 12), 2.0)
    for code in range(3):
        rate[code, [2 * code, 2 * code + 1]] = 10, 6
    matrix = sp.csr_matrix(rng.poisson(rate[truth]))
    truth = np.where(rng.random(200) < 0.2, -1, truth)
    return Counts(matrix, np.array(list("abcdefghijkl")), np.zeros(200, int), truth)


def test_the_best_gene_of_each_type_is_taken(counts, rng):
    value, model = MarkerSubset().fit(counts, rng)
    assert model.chosen_genes == ("a", "c", "e")
    whole = LogNormalised().encode(counts, rng).toarray()
    assert np.array_equal(value, whole[:, [0, 2, 4]])
    assert value.dtype == np.float32
    assert MarkerSubset(per_type=2).fit(counts, rng).model.chosen_genes == tuple("abcdef")


def test_scores_are_those_of_scipy(counts, rng):
    x = LogNormalised().encode(counts, rng).toarray()
    x, truth = x[counts.truth >= 0], counts.truth[counts.truth >= 0]
    wanted = set()
    for code in range(3):
        pairs = [stats.mannwhitneyu(x[truth == code, g], x[truth != code, g]).statistic for g in range(12)]
        wanted |= set(np.argsort(-np.array(pairs))[:1])
    assert set(MarkerSubset().fit(counts, rng).model.columns) == wanted


def test_a_gene_that_marks_two_types_counts_once(counts, rng):
    truth = np.where(counts.truth == 2, -1, counts.truth)
    model = MarkerSubset(per_type=12).fit(replace(counts, truth=truth), rng).model
    assert model.chosen_genes == tuple("abcdefghijkl")


def test_applying_needs_no_labels_and_ignores_them(counts, rng, tmp_path):
    value, model = MarkerSubset().fit(counts, rng)
    assert np.array_equal(model.apply(replace(counts, truth=None)), value)
    model.save(tmp_path)
    again = MarkerSubset().restore(tmp_path).apply(replace(counts, truth=counts.truth[::-1].copy()))
    assert again.tobytes() == value.tobytes()


def test_a_type_of_one_member_gives_no_gene(counts, rng):
    truth = np.where(counts.truth == 2, -1, counts.truth)
    truth[np.flatnonzero(counts.truth == 2)[0]] = 2
    with pytest.warns(TriptychWarning, match="types of fewer than 2 members give no gene; there are 1"):
        assert MarkerSubset().fit(replace(counts, truth=truth), rng).model.chosen_genes == ("a", "c")


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (
            lambda t: None,
            "marker-subset: no known labels were given. In a recipe, read a study with obs:truth",
        ),
        (lambda t: t[1:], "there are known labels of 199 rows and counts of 200"),
        (lambda t: np.zeros(200, int), "1 known types have 2 members; two must, to be compared"),
        (lambda t: np.full(200, -1), "0 known types have 2 members; two must"),
    ],
)
def test_what_cannot_be_used_is_refused(counts, rng, truth, message):
    with pytest.raises(DataError, match=message):
        MarkerSubset().encode(replace(counts, truth=truth(counts.truth)), rng)


def test_parameters_out_of_range():
    with pytest.raises(ValueError, match="per_type must be at least 1"):
        MarkerSubset(per_type=0)
