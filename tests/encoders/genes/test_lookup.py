"""Genes of a fit in other counts: any order, some missing, too many missing, one twice."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Counts
from triptych.encoders.genes.lookup import Missing, chosen, depth, find

GENES = ("a", "b", "c", "d")


def counts_of(names, rows=3):
    values = np.arange(rows * len(names)).reshape(rows, -1)
    return Counts(sp.csr_matrix(values), np.array(list(names)), np.zeros(rows, int))


def look(names, weight=(1, 1, 1, 1)):
    return find("pca", counts_of(names), GENES, Missing(np.array(weight), "the weight", "They are zero."))


def test_columns_follow_the_fit_and_others_are_left_out():
    found = look("dxcba")
    assert found.present.tolist() == [0, 1, 2, 3]
    assert np.array_equal(found.matrix.toarray(), counts_of("dxcba").matrix.toarray()[:, [4, 3, 2, 0]])
    assert found.matrix.has_sorted_indices


def test_all_genes_as_they_are_cost_no_copy():
    matrix = counts_of("abcd").matrix
    assert chosen(matrix, np.arange(4)) is matrix
    assert chosen(matrix, np.arange(3)) is not matrix


def test_missing_genes_are_named_and_weighed():
    with pytest.warns(TriptychWarning) as caught:
        found = look("ca", weight=(7, 1, 1, 1))
    assert str(caught[0].message) == (
        "pca: 2 of 4 genes of the fit are missing from the counts (b, d), 20.0% of the weight. They are zero."
    )
    assert found.present.tolist() == [0, 2]


def test_genes_that_carry_more_than_half_are_refused():
    with pytest.raises(DataError) as caught:
        look("bcdx", weight=(7, 1, 1, 1))
    assert str(caught.value) == (
        "pca: 1 of 4 genes of the fit are missing from the counts (a), 70.0% of the weight;"
        " at most 50% may be. The counts have b, c, d and 1 more."
        " Name the genes as in the fit, or fit again on genes that both have."
    )


def test_genes_without_any_weight_count_alike():
    with pytest.raises(DataError, match="75.0% of the weight"):
        look("a", weight=(0, 0, 0, 0))


def test_a_gene_that_stands_there_twice_is_refused_if_it_is_wanted():
    with pytest.raises(
        DataError, match="pca: the counts have several columns for b. Give each gene one name"
    ):
        look("abbcd")
    assert look("axxbcd").present.tolist() == [0, 1, 2, 3]


def test_values_that_no_count_has_are_refused():
    counts = counts_of("abcd")
    with pytest.raises(DataError, match="some values are negative"):
        find("pca", Counts(-counts.matrix, counts.genes, counts.batch), GENES, Missing(np.ones(4), "", ""))


def test_the_depth_is_that_of_the_genes_that_are_there():
    totals = np.array([5.0, 1.0, 3.0, 1.0])
    assert depth(200.0, totals, np.array([0, 2])) == 160.0
    assert depth(123.4, totals, np.arange(4)) == 123.4
