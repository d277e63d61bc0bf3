from __future__ import annotations

import time
from functools import cache

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from triptych.readers.toy import tissue
from triptych.readers.toy.expression import DISPERSION, Programmes, marked_type
from triptych.readers.toy.study import Toy, ToyStudy


@cache
def study(**changes) -> ToyStudy:
    return Toy(**{"lattice": "hex", **changes}).make()


def log_normalised(made):
    counts = np.vstack([section.counts.toarray() for section in made.sections])
    return np.log1p(1e3 * counts / counts.sum(axis=1, keepdims=True))


def section_codes(made):
    return np.repeat(np.arange(len(made.sections)), [len(s.domain) for s in made.sections])


def arrays(section):
    matrix = section.counts
    held = (matrix.data, matrix.indices, matrix.indptr, section.grid, section.spatial_px, section.domain)
    return (*held, section.labelled, section.abundance, section.image, section.cells_px, section.cell_type)


def test_same_seed_same_bits():
    for one, other in zip(study().sections, Toy(lattice="hex").make().sections, strict=True):
        for a, b in zip(arrays(one), arrays(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_numbers_are_pinned():
    """They belong to revision 1; when they move, the revision must rise."""
    section = Toy(side=8).make().sections[0]
    assert Toy.revision == 1
    assert section.counts.sum() == 92109
    assert np.bincount(section.domain).tolist() == [12, 10, 4, 12, 12]
    assert len(section.cell_type) == 2956
    np.testing.assert_allclose(
        section.image.mean(axis=(0, 1)), [229.440012, 181.804979, 214.735026], atol=0.01
    )


def test_another_seed_is_another_study():
    one, other = study().sections[0], study(seed=1).sections[0]
    assert not np.array_equal(one.image, other.image)


def test_more_donors_leave_the_first_as_they_are():
    more = study(donors=3, sections_per_donor=3, side=10)
    named = {section.name: section for section in more.sections}
    assert list(named) == [f"{donor}{number}" for donor in "ABC" for number in (1, 2, 3)]
    for section in study(side=10).sections:
        np.testing.assert_array_equal(section.image, named[section.name].image)
        np.testing.assert_array_equal(section.counts.toarray(), named[section.name].counts.toarray())


@pytest.mark.parametrize("lattice", ["square", "hex"])
def test_forms(lattice):
    made = study(lattice=lattice, side=10)
    for section in made.sections:
        n, m = len(section.domain), len(section.cell_type)
        assert section.counts.shape == (n, 200)
        assert section.counts.dtype == np.int32
        assert section.abundance.shape == (n, 5)
        np.testing.assert_allclose(section.abundance.sum(axis=1), 1)
        assert section.spatial_px.shape == section.grid.shape == (n, 2)
        assert section.cells_px.shape == (m, 2)
        assert section.image.dtype == np.uint8
        height, width, _ = section.image.shape
        for points in (section.spatial_px, section.cells_px):
            assert (points > 0).all()
            assert (points < (width, height)).all()
        assert len(np.unique(section.grid, axis=0)) == n
        assert 0.8 < section.labelled.mean() < 1
    assert len(set(made.genes)) == 200


@pytest.mark.parametrize(("lattice", "pitch_um", "neighbours"), [("square", 200, 4), ("hex", 100, 6)])
def test_lattice(lattice, pitch_um, neighbours):
    made = study(lattice=lattice, side=10)
    array = made.array
    distances = cKDTree(array.um).query(array.um, k=neighbours + 2)[0]
    inner = np.median(distances, axis=0)
    np.testing.assert_allclose(inner[1:-1], pitch_um)
    assert inner[-1] > 1.3 * pitch_um
    if lattice == "hex":
        assert (array.grid.sum(axis=1) % 2 == 0).all()


def test_size_and_speed():
    start = time.process_time()
    made = Toy(seed=5).make()
    assert time.process_time() - start < 12  # 2 s on one quiet core
    assert all(240 < len(section.domain) < 310 for section in made.sections)


def test_domains_are_coherent_and_none_is_lost():
    for seed in range(3):
        made = study(seed=seed)
        for section in made.sections:
            _, near = cKDTree(section.spatial_px).query(section.spatial_px, k=7)
            agreement = (section.domain[near[:, 1:]] == section.domain[:, None]).mean()
            assert agreement > 0.7
        assert (np.bincount(np.concatenate([s.domain for s in made.sections]), minlength=5) > 20).all()


def test_sections_of_a_donor_are_alike():
    one, two, other, _ = study().sections
    same = {tuple(place): domain for place, domain in zip(one.grid, one.domain, strict=True)}

    def agreement(section):
        pairs = [
            (same[tuple(p)], d) for p, d in zip(section.grid, section.domain, strict=True) if tuple(p) in same
        ]
        return np.mean([a == b for a, b in pairs])

    assert agreement(two) > 0.6
    assert agreement(other) < 0.5


def test_neither_too_easy_nor_too_hard():
    """K-means on genes finds part of the truth, averaging the neighbours nearly all of it."""
    plain, smoothed = [], []
    for seed in range(3):
        made = study(seed=seed)
        x, section = log_normalised(made), section_codes(made)
        for code in range(4):
            x[section == code] -= x[section == code].mean(axis=0)
        x = PCA(15, random_state=0).fit_transform(x)
        mean = x.copy()
        for code, part in enumerate(made.sections):
            _, near = cKDTree(part.spatial_px).query(part.spatial_px, k=7)
            mean[section == code] = x[section == code][near].mean(axis=1)
        truth = np.concatenate([part.domain for part in made.sections])
        for view, scores in ((x, plain), (mean, smoothed)):
            guess = KMeans(5, n_init=5, random_state=0).fit_predict(view)
            scores.append(adjusted_rand_score(truth, guess))
    assert 0.3 < np.mean(plain) < 0.65
    assert np.mean(smoothed) > np.mean(plain) + 0.15
    assert 0.65 < np.mean(smoothed) < 0.97


def test_batch_effect_can_be_seen_and_left_out():
    def explained(made):
        x, section = log_normalised(made), section_codes(made)
        means = np.stack([x[section == code].mean(axis=0) for code in range(4)])[section]
        return means.var(axis=0).sum() / x.var(axis=0).sum()

    assert explained(study(batch=0.0)) < 0.03
    assert explained(study(batch=0.5)) > 0.12


def test_stains_differ_between_donors():
    colours = np.array([s.image[s.image.mean(axis=2) < 200].mean(axis=0) for s in study(batch=0.4).sections])
    within = np.linalg.norm(colours[[0, 2]] - colours[[1, 3]], axis=1).mean()
    assert np.linalg.norm(colours[:2].mean(axis=0) - colours[2:].mean(axis=0)) > 0.5 * within


def test_markers_follow_their_type():
    made = study()
    own = marked_type(200, 5)
    x = log_normalised(made)
    abundance = np.vstack([section.abundance for section in made.sections])
    for kind in range(5):
        assert spearmanr(x[:, own == kind].mean(axis=1), abundance[:, kind]).statistic > 0.5


def test_abundances_follow_their_domain():
    section = study().sections[0]
    for domain in range(5):
        mean = section.abundance[section.domain == domain].mean(axis=0)
        np.testing.assert_allclose(mean, tissue.MIX[domain], atol=0.15)


def test_cells_follow_abundances():
    for section in study().sections:
        spot = cKDTree(section.spatial_px).query(section.cells_px)[1]
        seen = np.zeros_like(section.abundance)
        np.add.at(seen, (spot, section.cell_type), 1)
        enough = seen.sum(axis=1) > 20
        share = seen[enough] / seen[enough].sum(axis=1, keepdims=True)
        assert np.corrcoef(share.ravel(), section.abundance[enough].ravel())[0, 1] > 0.9


def test_counts_are_negative_binomial():
    rng = np.random.default_rng(0)
    programmes = Programmes(np.full((1, 4), 0.25))
    drawn = programmes.count(np.ones((60000, 1)), np.ones(4), rng).toarray()
    depth = 1500 * np.exp(
        np.random.default_rng(0).normal(0, 0.45, 60000)
    )  # the first draw of the same generator
    scaled = drawn[:, 0] / (depth / 4)
    assert scaled.mean() == pytest.approx(1, abs=0.02)
    assert scaled.var() == pytest.approx(1 / DISPERSION, rel=0.1)


def test_nuclei_are_dark_where_cells_are():
    for section in study().sections:
        x, y = section.cells_px.astype(int).T
        red = section.image[..., 0].astype(float)
        on_tissue = red < 240
        assert red[y, x].mean() < red[on_tissue].mean() - 20
        assert section.image[:20, :20].min() > 220  # glass


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"donors": 0}, "donors must be from 1 to 26.*got 0"),
        ({"donors": 27}, "donors must be from 1 to 26"),
        ({"side": 3}, "side must be from 6 to 64, got 3"),
        ({"genes": 5}, "genes must be at least 20, got 5"),
        ({"seed": -1}, "must not be negative"),
        ({"batch": -0.1}, "must not be negative"),
        ({"sections_per_donor": 0}, "at least 1"),
    ],
)
def test_parameters_are_checked(changes, said):
    with pytest.raises(ValueError, match=said):
        Toy(**changes)
