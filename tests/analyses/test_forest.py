"""Forests against naive loops and chance; what neighbours lend; what is refused; a published latent."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.ensemble import RandomForestClassifier

from triptych.analyses.forest import MEAN, Forest, note
from triptych.core.analysis import Material
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Counts, Places
from triptych.core.randomness import seed_from
from triptych.maths.counts import logged, normalised
from triptych.maths.folds import block_folds, blocks_of, by_place, random_folds

NAMES, TREES = ("a", "b", "c"), 8


def run(material, seed=0, **params):
    return Forest(**{"trees": TREES, **params}).analyse(material, np.random.default_rng(seed))


@pytest.fixture
def study(rng):
    """Three types that a space of four columns tells apart in part; some unlabelled."""
    truth = rng.integers(-1, 3, 300)
    x = rng.normal(size=(300, 4)) + 1.5 * truth[:, None] * [1, 0, 1, 0]
    places = Places(rng.uniform(0, 900, (300, 2)), np.repeat([0, 1], 150))
    return Material(np.full(300, -1), (), places, x=x, truth=truth, truth_names=NAMES)


def naive(study, seed):
    """Recall and balanced accuracy by loops over folds and types."""
    rng = np.random.default_rng(seed)
    order = by_place(study.places)
    rows = order[study.truth[order] >= 0]
    x, y, blocks = study.x[rows], study.truth[rows], blocks_of(study.places, 5)[rows]
    blocks = np.unique(blocks, return_inverse=True)[1]  # some hold nobody of known type
    found = {}
    ways = [("random", random_folds(y, 5, rng)), ("blocks", block_folds(y, blocks, 5, rng))]
    for kind, fold in ways:
        for shuffled in (False, True):
            recall = np.full((5, 3), np.nan)
            for held in range(5):
                train, test = fold != held, fold == held
                given = rng.permutation(y[train]) if shuffled else y[train]
                forest = RandomForestClassifier(
                    TREES, min_samples_leaf=5, class_weight="balanced", random_state=seed_from(rng)
                )
                guess = forest.fit(x[train], given).predict(x[test])
                for code in range(3):
                    recall[held, code] = (guess[y[test] == code] == code).mean()
            found[kind, shuffled] = recall
    return found


def test_every_number_is_that_of_a_naive_loop(study):
    table, wanted = run(study, seed=3), naive(study, 3)
    assert list(table) == ["folds", "group", "n", "recall", "deviation", "shuffled"]
    for kind, rows in table.groupby("folds"):
        recall, chance = wanted[kind, False], wanted[kind, True]
        assert list(rows["group"]) == [*NAMES, MEAN]
        expected = np.append(recall.mean(axis=0), recall.mean(axis=1).mean())
        np.testing.assert_allclose(rows["recall"], expected)
        expected = np.append(recall.std(axis=0, ddof=1), recall.mean(axis=1).std(ddof=1))
        np.testing.assert_allclose(rows["deviation"], expected)
        np.testing.assert_allclose(rows["shuffled"].iloc[-1], chance.mean())
        sizes = np.bincount(study.truth[study.truth >= 0])
        assert list(rows["n"]) == [*sizes, sizes.sum()]


def test_types_are_found_and_permuted_labels_are_not(study):
    means = run(study).set_index(["group", "folds"]).loc[MEAN]
    assert (means["recall"] > 0.6).all()
    assert (abs(means["shuffled"] - 1 / 3) < 0.12).all()


def test_neighbours_lend_what_blocks_take_away(rng):
    """The space knows nothing but the place, and types lie in patches: only neighbours tell."""
    um = rng.uniform(0, 900, (900, 2))
    patch = (um // 180).astype(int)
    truth = rng.integers(0, 3, (5, 5))[patch[:, 0], patch[:, 1]]
    places = Places(um, np.zeros(900, int))
    study = Material(np.full(900, -1), (), places, x=um, truth=truth, truth_names=NAMES)
    table = run(study)
    means = table[table["group"] == MEAN].set_index("folds")["recall"]
    assert means["random"] > 0.9
    assert means["blocks"] < 0.6
    lent = means["random"] - means["blocks"]
    assert table.attrs["note"].startswith(
        f"Balanced accuracy: random folds {means['random']:.2f}, folds of whole blocks "
        f"{means['blocks']:.2f}: the difference of {lent:.2f} is what neighbouring cells lend"
    )


def test_the_note_does_not_speak_of_a_difference_that_is_none():
    row = {"recall": 0.5, "shuffled": 0.1, "deviation": 0.05}
    assert "0.02 is within twice its standard error over folds (0.03), so" in note(
        pd.Series(row), pd.Series(row | {"recall": 0.48}), 5
    )
    assert "0.10 is what neighbouring cells lend" in note(pd.Series(row), pd.Series(row | {"recall": 0.4}), 5)


def test_sparse_spaces_give_what_dense_ones_give(study):
    x = np.where(np.abs(study.x) < 1, 0, study.x)
    dense, sparse = run(replace(study, x=x)), run(replace(study, x=sp.csr_matrix(x)))
    # scikit-learn puts thresholds elsewhere between the same values.
    np.testing.assert_allclose(dense["recall"], sparse["recall"], atol=0.1)


def test_scales_do_not_matter_and_unlabelled_rows_take_no_part(study):
    one = run(study)
    x = study.x * 2.0 ** np.arange(4)  # powers of two: thresholds stay exact
    x[study.truth < 0] = 1e6
    pd.testing.assert_frame_equal(run(replace(study, x=x)), one)


def test_a_type_in_one_block_cannot_be_judged_there(study):
    """Whatever a forest says of a type that it never saw counts for nothing."""
    truth = study.truth.copy()
    near = np.argsort(np.square(study.places.um - 450).sum(axis=1) + 1e9 * study.places.sample)[:6]
    truth[truth == 2] = 1
    truth[near] = 2
    um = study.places.um.copy()
    um[near] = 450 + np.arange(6)[:, None]
    moved = replace(study, truth=truth, places=Places(um, study.places.sample))
    with pytest.warns(TriptychWarning, match=r"folds \(blocks\): all of c lie in one fold and are never"):
        table = run(moved).set_index(["folds", "group"])
    assert np.isnan(table.loc[("blocks", "c"), "recall"])
    assert np.isfinite(table.loc[("blocks", MEAN), "recall"])
    assert np.isfinite(table.loc[("random", "c"), "recall"])


def test_single_members_are_left_out(study):
    truth = np.where(study.truth == 2, -1, study.truth)
    truth[5] = 2
    with pytest.warns(TriptychWarning, match="types of fewer than 2 members are left out: c"):
        table = run(replace(study, truth=truth))
    assert set(table["group"]) == {"a", "b", MEAN}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: replace(m, x=None, truth=None), "2 faults\n.*no space was given.*\n.*no known labels"),
        (lambda m: replace(m, x=m.x[1:]), "a space of 299 rows and known labels of 300"),
        (lambda m: replace(m, truth=m.truth[1:]), "places of 300 observations and known labels of 299"),
        (lambda m: replace(m, truth_names=NAMES[:2]), "code 2 has no name; there are 2"),
        (lambda m: replace(m, x=np.where(m.x > 2, np.nan, m.x)), "some values of the space are not finite"),
        (lambda m: replace(m, truth=np.zeros(300, int)), "two known types of at least 2 .* there is: a"),
        (lambda m: replace(m, places=replace(m.places, um=np.ones((300, 2)))), "make 2 blocks of neighbours"),
    ],
)
def test_what_cannot_be_used_is_refused(study, change, message):
    with pytest.raises(DataError, match=message):
        run(change(study))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"trees": 0}, "trees"),
        ({"min_leaf": 0}, "min_leaf"),
        ({"folds": 1}, "folds"),
        ({"blocks": 1}, "blocks"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Forest(**params)


@pytest.fixture
def ileum(real_data):
    """Mouse ileum (10.1038/s41587-021-01044-w) with two latents of Moser and Hamid (2025)."""
    from triptych.readers.door import ReadOptions
    from triptych.readers.tables import Tables

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TriptychWarning)  # cells that one of the tables lacks
        table = Tables().read(real_data / "mouse_ileum", ReadOptions())
    truth = table.obs["truth"].astype("category")
    codes = truth.cat.codes.to_numpy(np.int64)
    places = Places(np.asarray(table.obsm["spatial"], float), np.zeros(len(codes), int))
    counts = Counts(sp.csr_matrix(table.layers["counts"]), table.var_names.to_numpy(str), places.sample)
    names = tuple(map(str, truth.cat.categories))
    spaces = {name: np.asarray(table.obsm[f"X_img.{name}"]) for name in ("ls2_stain", "ls4_dual")}
    spaces["counts"] = logged(normalised(counts.matrix))
    return Material(codes, names, places, counts, truth=codes, truth_names=names), spaces


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("space", "wanted"), [("counts", 0.930), ("ls2_stain", 0.227), ("ls4_dual", 0.405)])
def test_published_latents_know_types_as_well_as_was_measured(ileum, space, wanted):
    material, spaces = ileum
    with pytest.warns(TriptychWarning, match=r"\(blocks\): not every fold holds Myenteric Plexus\.$"):
        table = run(replace(material, x=spaces[space]), seed=137, trees=300)
    means = table[table["group"] == MEAN].set_index("folds")
    assert means.loc["random", "n"] == 5192
    assert abs(means.loc["random", "recall"] - wanted) < 0.02
    assert means.loc["blocks", "recall"] < means.loc["random", "recall"] + 0.02
    assert (means["shuffled"] < 0.1).all()
