"""K without labels: right where the data say it, in doubt where they do not."""

import dataclasses
import json

import numpy as np
import pytest
from pydantic import TypeAdapter

from triptych.clusterers.choosing import CHOICE, Choice, Choosing
from triptych.clusterers.gaussian import Gaussian
from triptych.clusterers.kmeans import KMeans
from triptych.core.errors import DataError, RecipeError, TriptychWarning, WeightsError

CRITERIA = ("bic", "stability")
EACH = pytest.mark.parametrize("criterion", CRITERIA)
OF = pytest.mark.parametrize(
    "of", [KMeans(n_init=2), Gaussian(n_init=1, covariance="diag", max_iter=50)], ids=["kmeans", "gaussian"]
)
FEW = {"k_max": 6, "repeats": 2}


def blobs(k, n=240, d=4):
    """Clusters of different sizes, well apart."""
    rng = np.random.default_rng(k)
    truth = np.sort(rng.permutation(np.arange(n) % (2 * k) % k))
    return rng.normal(size=(n, d)) + 12 * np.random.default_rng(0).normal(size=(k, d))[truth], truth


@EACH
@OF
@pytest.mark.parametrize("k", [2, 4])
def test_separated_clusters_are_counted(of, criterion, k, rng):
    x, truth = blobs(k)
    choice = Choosing(of, criterion, **FEW).choose(x, rng)
    assert (choice.k, choice.doubt, choice.criterion) == (k, "", criterion)
    assert choice.ks == tuple(range(2, 7))
    assert len(choice.values) == 5
    codes = Choosing(of, criterion, **FEW).cluster(x, rng)
    assert len(np.unique(codes * k + truth)) == k


@EACH
@OF
def test_one_blob_is_in_doubt(of, criterion, rng):
    x, chooser = rng.normal(size=(300, 6)), Choosing(of, criterion, **FEW)
    choice = chooser.choose(x, rng)
    assert choice.k == 2
    assert choice.doubt.startswith(
        {
            "bic": "a single cluster",
            "stability": "no number has a prediction strength of 0.8; the best is 0.",
        }[criterion]
    )
    with pytest.warns(TriptychWarning, match=rf"k = 2 by {criterion} is in doubt: "):
        chooser.cluster(x, rng)


@EACH
def test_one_blob_is_one_cluster_where_one_may_be_chosen(criterion, rng):
    choice = Choosing(KMeans(), criterion, k_min=1, **FEW).choose(rng.normal(size=(400, 4)), rng)
    assert (choice.k, choice.doubt, choice.ks) == (1, "", (1, 2, 3, 4, 5, 6))


@EACH
def test_the_largest_tried_is_in_doubt(criterion, rng):
    choice = Choosing(KMeans(n_init=2), criterion, k_max=4, repeats=2).choose(blobs(4)[0], rng)
    assert choice.k == 4
    assert choice.doubt.startswith("it is the largest tried")


@EACH
@OF
def test_same_seed_same_bits(of, criterion, rng):
    x, _ = blobs(3)
    x += 3 * rng.normal(size=x.shape)
    before = x.copy()
    chooser = Choosing(of, criterion, k_max=4, repeats=2, threshold=0.01)
    a, b = (chooser.choose(x, np.random.default_rng(1)) for _ in range(2))
    assert a == b
    assert np.array_equal(x, before)
    assert chooser.choose(x.astype(np.float32), np.random.default_rng(1)).k == a.k


@EACH
def test_a_part_decides_for_many(criterion, rng, monkeypatch):
    seen = []
    fit = KMeans.fit
    monkeypatch.setattr(KMeans, "fit", lambda self, x, rng: seen.append(len(x)) or fit(self, x, rng))
    codes = Choosing(KMeans(), criterion, k_max=6, most=100).cluster(blobs(3)[0], rng)
    assert len(codes) == seen[-1] == 240
    assert max(seen[:-1]) == {"bic": 100, "stability": 50}[criterion]


@EACH
def test_few_distinct_rows_lower_the_largest_number(criterion, rng):
    x = np.repeat(rng.normal(size=(4, 2)), 10, axis=0)
    assert Choosing(KMeans(), criterion).choose(x, rng).ks == (2, 3, 4)


@EACH
@pytest.mark.parametrize(
    ("n", "words"),
    [
        (5, "5 observations are fewer than twice k_min = 3"),
        (2, "3 clusters cannot be made of 2 observations"),
    ],
)
def test_too_few_rows(criterion, n, words, rng):
    with pytest.raises(DataError, match=words):
        Choosing(KMeans(), criterion, k_min=3).choose(rng.normal(size=(n, 2)), rng)


@EACH
def test_wrong_rows(criterion, rng):
    chooser = Choosing(KMeans(), criterion)
    with pytest.raises(DataError, match="1 of 9 rows have values that are not finite"):
        chooser.choose(np.r_[np.nan, np.arange(8.0)][:, None], rng)
    with pytest.raises(DataError, match="2 clusters cannot be made of 1 distinct observations"):
        chooser.choose(np.ones((9, 2)), rng)
    with pytest.raises(DataError, match="the matrix has shape"):
        chooser.choose(np.ones((0, 2)), rng)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"k_min": 0}, "k_min must be at least 1"),
        ({"k_min": 5, "k_max": 4}, "k_max at least k_min"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"most": 10}, "most at least twice k_max"),
        ({"threshold": 0.0}, "threshold must be above 0"),
        ({"threshold": 1.5}, "at most 1"),
    ],
)
def test_parameters_out_of_range(params, words):
    with pytest.raises(ValueError, match=words):
        Choosing(KMeans(), **params)


def test_a_clusterer_without_k_is_refused():
    with pytest.raises(RecipeError, match="k cannot be chosen for object: it lacks k or fit"):
        Choosing(object())


def test_what_it_declares():
    for criterion in CRITERIA:
        chooser = Choosing(KMeans(), criterion)
        assert (chooser.revision, chooser.random) == (100 + KMeans.revision, True)
        assert chooser.cite.startswith("10.")
    assert json.loads(json.dumps(dataclasses.asdict(chooser)))["of"] == dataclasses.asdict(KMeans())


@EACH
@OF
def test_a_model_that_was_saved_gives_the_same_codes(of, criterion, tmp_path):
    x, _ = blobs(3)
    chooser = Choosing(of, criterion, **FEW)
    value, model = chooser.fit(x, np.random.default_rng(2))
    assert np.array_equal(value, chooser.cluster(x, np.random.default_rng(2)))
    assert np.array_equal(model.apply(x), value)
    model.save(tmp_path / "saved")
    again = chooser.restore(tmp_path / "saved")
    assert again.choice == model.choice
    assert np.array_equal(again.apply(x), value)


def test_a_damaged_choice(tmp_path):
    chooser = Choosing(KMeans(), "bic", k_max=4)
    with pytest.raises(WeightsError, match=f"holds no {CHOICE}"):
        chooser.restore(tmp_path)
    (tmp_path / CHOICE).write_text('{"k": 3', "utf-8")
    with pytest.raises(WeightsError, match="is damaged"):
        chooser.restore(tmp_path)


def test_a_choice_is_plain(rng):
    choice = Choosing(KMeans(), k_max=4).choose(blobs(3)[0], rng)
    assert TypeAdapter(Choice).validate_json(json.dumps(dataclasses.asdict(choice))) == choice
