"""Marker scores: against a loop over cells, by what must not matter, and what confidence is worth."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import rankdata

from triptych.annotators.marker_score import MarkerScore
from triptych.annotators.markers import fingerprint, read_markers
from triptych.core.errors import DataError
from triptych.core.protocols import Counts
from triptych.maths.reliability import calibration_error, reliability


def run(counts, markers, sample=None, **params):
    sample = np.zeros(counts.matrix.shape[0], int) if sample is None else sample
    return MarkerScore(markers, **params).annotate(counts, sample, None, np.random.default_rng(0))


def told(found, truth):
    """Confidence, and whether the guess is right."""
    code, sure = found.best(0)
    return sure, np.array(found.classes)[code] == truth


def deviation(ranks, genes):
    """z of the rank sum of some genes of one cell."""
    chosen = ranks[genes]
    k, g = len(chosen), len(ranks)
    return (k * ranks.mean() - chosen.sum()) / np.sqrt(k * ranks.var(ddof=1) * (g - k) / g)


@pytest.mark.parametrize("combine", ["max", "mean"])
def test_without_rounds_each_cell_is_that_of_a_naive_loop(tissue, markers, combine):
    counts, _ = tissue(n=30)
    found = run(counts, markers, rounds=0, combine=combine, temperature=0.7)
    read = read_markers(markers)
    for row, chances in zip(counts.matrix.toarray(), found.probabilities, strict=True):
        ranks, scores = rankdata(-row), []
        for one in read.chosen(()).values():
            values = []
            for programme in one.programmes.values():
                against = np.isin(counts.genes, programme.negative)
                off = max(deviation(ranks, against), 0) if against.any() else 0
                values.append(deviation(ranks, np.isin(counts.genes, programme.positive)) - off)
            scores.append(max(values) if combine == "max" else np.mean(values))
        weights = np.exp(0.7 * np.array(scores))
        np.testing.assert_allclose(chances, weights / weights.sum(), rtol=1e-9)


def test_cells_get_their_class_and_profiles_help(tissue, markers):
    counts, truth = tissue(molecules=25)
    alone, learned = (told(run(counts, markers, rounds=rounds), truth)[1].mean() for rounds in (0, 1))
    assert alone > 0.8
    assert learned > alone
    assert learned > 0.95


@pytest.mark.parametrize("molecules", [8, 15, 40])
def test_confidence_means_what_it_says(tissue, markers, molecules):
    counts, truth = tissue(n=3000, molecules=molecules)
    sure, right = told(run(counts, markers), truth)
    assert calibration_error(reliability(sure, right)) < 0.05
    assert right[sure > 0.9].mean() > right[sure < 0.7].mean() + 0.15 or (sure < 0.7).sum() < 30


def test_molecules_that_are_correlated_say_less(tissue, markers):
    counts, _ = tissue(molecules=20)
    loose, strict = (run(counts, markers, overdispersion=rho).best(0)[1].mean() for rho in (0.0, 0.3))
    assert strict < loose


def test_order_of_cells_genes_and_samples_does_not_matter(tissue, markers, rng):
    counts, _ = tissue()
    whole = run(counts, markers).probabilities
    cells, genes = rng.permutation(600), rng.permutation(len(counts.genes))
    moved = Counts(counts.matrix[cells][:, genes], counts.genes[genes], counts.batch)
    found = run(moved, markers, sample=np.arange(600)).probabilities
    np.testing.assert_allclose(found, whole[cells], rtol=1e-9, atol=1e-12)


def test_rows_add_to_one_and_an_empty_cell_is_unknown(tissue, markers):
    counts, _ = tissue()
    matrix = counts.matrix.tolil()
    matrix[4] = 0
    found = run(Counts(matrix.tocsr(), counts.genes, counts.batch), markers)
    assert np.isnan(found.probabilities[4]).all()
    np.testing.assert_allclose(np.delete(found.probabilities, 4, axis=0).sum(axis=1), 1)
    assert found.best(0)[0][4] == -1


def test_cells_without_any_count_are_all_unknown(markers, tissue):
    counts, _ = tissue(n=5)
    empty = Counts(sp.csr_matrix(counts.matrix.shape), counts.genes, counts.batch)
    assert np.isnan(run(empty, markers).probabilities).all()


def test_a_class_without_cells_takes_none(tissue, markers):
    counts, _ = tissue(kinds=("t_cell", "fibroblast"))
    code, sure = run(counts, markers).best(0.5)
    assert (code == 2).mean() < 0.01
    assert np.nanmean(sure) > 0.9


def test_only_the_classes_asked_for_in_their_order(tissue, markers):
    counts, _ = tissue()
    assert run(counts, markers).classes == ("inflammatory", "connective", "epithelial")
    asked = ("dead", "epithelial", "connective")
    assert run(counts, markers, classes=asked).classes == asked


def test_the_temperature_makes_it_surer(tissue, markers):
    counts, _ = tissue()
    cold, hot = (run(counts, markers, rounds=0, temperature=t).best(0)[1].mean() for t in (0.5, 2.0))
    assert cold < hot


def test_max_rank_is_at_least_the_largest_programme(tissue, markers):
    counts, truth = tissue(molecules=80)
    sure, right = told(run(counts, markers, rounds=0, max_rank=1), truth)
    assert np.isfinite(sure).all()
    assert right.mean() > 0.8


def test_the_counts_are_not_written_to(tissue, markers):
    counts, _ = tissue()
    before = counts.matrix.copy()
    run(counts, markers)
    assert (counts.matrix != before).nnz == 0


def test_its_identity_follows_the_file(markers):
    assert MarkerScore(markers).fingerprint() == fingerprint(markers) != MarkerScore().fingerprint()


def test_an_empty_section_and_wrong_samples_are_refused(tissue, markers):
    counts, _ = tissue(n=5)
    none = Counts(counts.matrix[:0], counts.genes, counts.batch[:0])
    with pytest.raises(DataError, match="the matrix is empty: 0 observations"):
        run(none, markers)
    with pytest.raises(DataError, match="5 cells but 2 codes of samples"):
        run(counts, markers, sample=np.zeros(2, int))
    with pytest.raises(DataError, match="negative"):
        run(Counts(-counts.matrix, counts.genes, counts.batch), markers)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"markers": ""}, "markers must name"),
        ({"classes": ("a", "a")}, "classes must not name one twice"),
        ({"least_genes": 0}, "least_genes"),
        ({"temperature": 0}, "temperature"),
        ({"rounds": -1}, "rounds"),
        ({"sure": 0}, "sure"),
        ({"overdispersion": 1.5}, "overdispersion"),
        ({"max_rank": -1}, "max_rank"),
    ],
)
def test_parameters_out_of_range_are_refused(params, words):
    with pytest.raises(ValueError, match=words):
        MarkerScore(**params)
