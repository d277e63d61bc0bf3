"""The hierarchy: one lineage with and without the second step, and what makes epithelium neoplastic."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.annotators.hierarchical import Hierarchical
from triptych.annotators.marker_score import MarkerScore
from triptych.annotators.neoplastic import LEAST, MOST, Evidence, chance_of, evidence
from triptych.core.errors import TriptychWarning
from triptych.core.protocols import Counts


def run(counts, sample, markers, seed=0, **params):
    return Hierarchical(markers, **params).annotate(counts, sample, None, np.random.default_rng(seed))


def shares(found, truth):
    """Share of each true class that is told to be neoplastic with a confidence of more than a half."""
    code, _ = found.best(0.5)
    neoplastic = code == found.classes.index("neoplastic")
    return {name: neoplastic[truth == name].mean() for name in set(truth)}


def test_the_lineage_is_the_same_with_and_without_the_second_step(donors, markers):
    counts, sample, _ = donors()
    with_it = run(counts, sample, markers)
    without = run(counts, sample, markers, neoplastic=False)
    assert with_it.classes == ("neoplastic", *without.classes)
    lineage = with_it.probabilities[:, 1:].copy()
    lineage[:, without.classes.index("epithelial")] += with_it.probabilities[:, 0]
    np.testing.assert_allclose(lineage, without.probabilities, rtol=1e-12)
    np.testing.assert_allclose(with_it.probabilities.sum(axis=1), 1)


def test_private_clusters_that_divide_are_neoplastic_and_shared_ones_are_not(donors, markers):
    counts, sample, truth = donors()
    found = shares(run(counts, sample, markers), truth)
    assert found["neoplastic"] > 0.95
    assert found["epithelial"] < 0.05
    assert found["connective"] == found["inflammatory"] == 0


def test_a_single_section_has_an_answer_from_what_it_expresses(donors, markers):
    counts, sample, truth = donors(1)
    found = shares(run(counts, sample, markers), truth)
    assert found["neoplastic"] > 0.95
    assert found["epithelial"] < 0.05


def test_samples_tell_where_no_gene_does(donors, markers):
    counts, sample, truth = donors(marks=False)
    together = shares(run(counts, sample, markers), truth)
    assert together["neoplastic"] > 0.9
    assert together["epithelial"] < 0.1
    apart = run(counts, sample, markers, private_weight=0.0)
    assert shares(apart, truth)["neoplastic"] < 0.1


def test_what_cannot_be_told_stays_between_the_two(donors, markers):
    counts, sample, truth = donors(1, marks=False)
    with pytest.warns(TriptychWarning, match="no evidence"):
        found = run(counts, sample, markers, proliferation_weight=0.0, tumour_weight=0.0, normal_weight=0.0)
    code, _ = found.best(0.55)
    assert (code[np.isin(truth, ["neoplastic", "epithelial"])] == -1).mean() > 0.9
    assert (code[truth == "connective"] >= 0).mean() > 0.9


def test_a_panel_without_any_evidence_is_told(donors, markers):
    counts, sample, _ = donors(1)
    kept = ~np.isin(counts.genes, ["P1", "P2", "P3", "X1", "X2", "G1", "G2", "G3", "D1", "D2"])
    less = Counts(counts.matrix[:, kept], counts.genes[kept], counts.batch)
    with (
        pytest.warns(TriptychWarning, match="of the markers"),
        pytest.warns(TriptychWarning, match="no evidence of neoplastic cells; .* .50%. among epithelial"),
    ):
        found = run(less, sample, markers)
    np.testing.assert_allclose(found.probabilities[:, 0], found.probabilities[:, 3])


def test_kinds_of_epithelium_that_are_normal_are_spared(tissue, markers):
    counts, _ = tissue(n=800, molecules=60)
    genes = np.array(counts.genes)
    guard = np.asarray(counts.matrix[:, np.isin(genes, ["G1", "G2", "G3"])].sum(axis=1)).ravel() > 8
    sample = np.zeros(800, int)
    spared, not_spared = (
        run(counts, sample, markers, normal_weight=weight).probabilities[guard, 0].mean()
        for weight in (4.0, 0.0)
    )
    assert spared < not_spared / 3


def test_smoothing_goes_from_the_cell_to_its_cluster(tissue, markers):
    counts, _ = tissue(molecules=20)
    sample = np.zeros(600, int)
    cells = MarkerScore(markers).annotate(counts, sample, None, None).probabilities
    none, some, all_of_it = (
        run(counts, sample, markers, neoplastic=False, smoothing=part).probabilities for part in (0, 0.25, 1)
    )
    np.testing.assert_array_equal(none, cells)
    np.testing.assert_allclose(some, 0.75 * none + 0.25 * all_of_it)
    assert len(np.unique(all_of_it.round(9), axis=0)) < 20


def test_the_same_seed_gives_the_same_bits(donors, markers):
    counts, sample, _ = donors()
    first = run(counts, sample, markers, seed=4)
    np.testing.assert_array_equal(run(counts, sample, markers, seed=4).probabilities, first.probabilities)


def test_names_of_samples_do_not_matter(donors, markers):
    counts, sample, _ = donors()
    np.testing.assert_array_equal(
        run(counts, 7 - 2 * sample, markers).probabilities, run(counts, sample, markers).probabilities
    )


def test_empty_cells_are_unknown_and_a_section_without_epithelium_has_no_tumour(tissue, markers):
    counts, _ = tissue(n=60, kinds=("t_cell", "fibroblast"))
    matrix = counts.matrix.tolil()
    matrix[3] = 0
    found = run(Counts(matrix.tocsr(), counts.genes, counts.batch), np.zeros(60, int), markers)
    assert np.isnan(found.probabilities[3]).all()
    assert (found.best(0.5)[0] != 0).all()
    empty = Counts(sp.csr_matrix(matrix.shape), counts.genes, counts.batch)
    assert np.isnan(run(empty, np.zeros(60, int), markers).probabilities).all()


def test_classes_without_the_lineage_of_tumours_have_no_second_step(tissue, markers):
    counts, _ = tissue()
    found = run(counts, np.zeros(600, int), markers, classes=("inflammatory", "connective"))
    assert found.classes == ("inflammatory", "connective")


def test_evidence_is_what_its_words_say():
    #            epithelium: two clusters of 50 cells; 100 other cells
    codes = np.repeat([0, 1, -1], [50, 50, 100])
    cycle, rest = np.repeat([40.0, 1.0, 1.0], [50, 50, 100]), np.full(200, 99.0)
    x = sp.csr_matrix(np.column_stack([cycle, rest]))
    sample = np.repeat([0, 0, 1, 0, 1], [50, 25, 25, 50, 50])
    normal = np.repeat([0.0, 0.5, 0.0], [50, 50, 100])
    found = evidence(x, codes, sample, {"proliferation": np.array([True, False])}, normal)
    np.testing.assert_allclose(found.proliferation, [MOST, LEAST], atol=0.02)
    assert found.tumour.tolist() == [0, 0]
    assert found.private[0] == pytest.approx(1, abs=0.1)  # of one sample alone
    assert found.private[1] == pytest.approx(-1 / 3, abs=0.05)  # half of it where a quarter is expected
    assert found.normal.tolist() == [0, -0.5]


def test_a_programme_of_tumours_that_all_epithelium_has_is_no_evidence():
    codes = np.repeat([0, 1, -1], 50)
    for genes, expected in (
        ([20.0, 20.0, 1.0], [0, 0]),
        ([20.0, 1.0, 1.0], [MOST, 0]),
        ([20.0, 1.0, 9.0], [0, 0]),
    ):
        x = sp.csr_matrix(np.column_stack([np.repeat(genes, 50), np.full(150, 99.0)]))
        found = evidence(x, codes, np.zeros(150, int), {"gland": np.array([True, False])}, np.zeros(150))
        np.testing.assert_allclose(found.tumour, expected, atol=0.1)
    alone = evidence(
        x, np.where(codes == 0, 0, -1), np.zeros(150, int), {"gland": np.array([True, False])}, codes * 0.0
    )
    assert alone.tumour.tolist() == [0]


def test_the_chance_is_logistic_in_the_evidence():
    found = Evidence(*(np.array([value]) for value in (2.0, 1.0, -1.0, -0.5)))
    logit = np.log(0.2 / 0.8) + 1 * 2 + 3 * 1 + 2 * -1 + 4 * -0.5
    assert chance_of(found, (1, 3, 2, 4), 0.2) == pytest.approx(1 / (1 + np.exp(-logit)))
    nothing = Evidence(*(np.zeros(1) for _ in range(4)))
    assert chance_of(nothing, (1, 1, 1, 1), 0.3) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"smoothing": 1.1}, "smoothing"),
        ({"prior": 0.0}, "prior"),
        ({"tumour_weight": -1.0}, "weights"),
        ({"sure": 0.0}, "sure"),
        ({"neighbours": 0}, "neighbours"),
    ],
)
def test_parameters_out_of_range_are_refused(params, words):
    with pytest.raises(ValueError, match=words):
        Hierarchical(**params)
