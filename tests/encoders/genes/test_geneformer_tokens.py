"""Ranked tokens, against one cell after the other."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.encoders.genes.geneformer_tokens import Writing, batches, scaled, sequences

PLAIN, FRAMED = Writing(2048), Writing(4096, (2, 3))


def naive(row, total, medians, tokens, how):
    """The tokens of one cell."""
    x = [(-(count / total * 1e4 / medians[i]), tokens[i]) for i, count in enumerate(row) if count]
    ranked = [token for _, token in sorted(x)][: how.length - len(how.frame)]
    return [how.frame[0], *ranked, how.frame[1]] if how.frame else ranked


@pytest.mark.parametrize("length", [3, 5, 12, 2048])
@pytest.mark.parametrize("frame", [(), (2, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_equals_one_cell_after_the_other(length, frame, seed):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.7, (50, 30))  # small counts, few medians: many ties
    counts[[3, 17]] = 0
    medians, tokens = rng.choice([0.5, 1.0, 2.0], 30), rng.permutation(100)[:30] + 10
    totals, how = counts.sum(1) + rng.integers(1, 9, 50), Writing(length, frame)
    found, genes = sequences(scaled(sp.csr_matrix(counts), totals, medians), tokens, how)
    assert found.shape == genes.shape
    for i in range(50):
        wanted = naive(counts[i], totals[i], medians, tokens, how)
        assert found[i, : len(wanted)].tolist() == wanted
        assert not found[i, len(wanted) :].any()
        assert found[i, genes[i]].tolist() == wanted[len(frame) // 2 : len(wanted) - len(frame) // 2]


def test_ties_go_by_token_whatever_the_order_of_the_columns():
    rows = sp.csr_matrix(np.array([[1.0, 3.0, 3.0, 0.0, 3.0]]))
    assert sequences(rows, np.array([9, 8, 5, 6, 7]), PLAIN)[0].tolist() == [[5, 7, 8, 9]]
    assert sequences(rows[:, [4, 3, 2, 1, 0]], np.array([7, 6, 5, 8, 9]), FRAMED)[0].tolist() == [
        [2, 5, 7, 8, 9, 3]
    ]


def test_long_rows_lose_their_lowest_genes_and_keep_their_frame():
    rows = sp.csr_matrix(np.array([[1.0, 3.0, 3.0, 0.0, 2.0], [0.0, 0.0, 0.0, 7.0, 0.0]]))
    found, genes = sequences(rows, np.array([9, 8, 5, 6, 7]), Writing(4, (2, 3)))
    assert found.tolist() == [[2, 5, 8, 3], [2, 6, 3, 0]]
    assert genes.tolist() == [[False, True, True, False], [False, True, False, False]]


def test_rows_without_genes():
    rows = sp.csr_matrix((2, 3))
    assert sequences(rows, np.arange(3), PLAIN)[0].shape == (2, 0)
    assert sequences(rows, np.arange(3), FRAMED)[0].tolist() == [[2, 3], [2, 3]]


@pytest.mark.parametrize("how", [PLAIN, FRAMED, Writing(40)])
@pytest.mark.parametrize("budget", [1, 100, 5000])
def test_batches_hold_each_row_with_genes_once_and_keep_the_budget(how, budget):
    size = np.random.default_rng(0).integers(0, 90, 300)
    found = list(batches(size, how, budget))
    assert sorted(np.concatenate(found)) == np.flatnonzero(size).tolist()
    longest = 10**9
    for rows in found:
        shown = np.minimum(size[rows], how.room) + len(how.frame)
        assert len(rows) == 1 or len(rows) * shown.max() <= budget
        assert shown.max() <= longest
        longest = shown.min()


def test_no_batches_without_genes():
    assert list(batches(np.zeros(4, int), PLAIN, 100)) == []
