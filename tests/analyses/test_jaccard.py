"""Jaccard index of each type: against scikit-learn and the metric, by hand, and what is refused."""

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from triptych.analyses.jaccard import Jaccard
from triptych.core.analysis import Material
from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.metrics.jaccard import JaccardIndex

TYPES = ("T cell", "B cell", "rare", "absent")


def material(truth, labels):
    truth, labels = np.asarray(truth), np.asarray(labels)
    places = Places(np.zeros((len(labels), 2)), np.zeros(len(labels), int))
    names = tuple("abcdefgh"[: int(labels.max(initial=-1)) + 1])
    return Material(labels, names, places, truth=truth, truth_names=TYPES)


def analyse(*given):
    return Jaccard().analyse(material(*given), np.random.default_rng(0))


def test_values_by_hand():
    found = analyse([0, 0, 0, 0, 1, 1, 1, 2, 0, -1, 1], [0, 0, 1, 0, 2, 2, 2, 2, 2, 0, -1])
    assert list(found) == ["group", "n", "jaccard", "cluster"]
    assert found["group"].tolist() == ["T cell", "B cell", "rare"]  # by size; absent does not occur
    assert found["n"].tolist() == [5, 3, 1]
    assert found["jaccard"].tolist() == pytest.approx([3 / 5, 3 / 5, 0])
    assert found["cluster"].tolist() == ["a", "c", "–"]


def test_equal_to_scikit_learn_and_to_the_metric():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 400)
    labels = np.where(rng.uniform(size=400) < 0.5, truth, rng.integers(0, 5, 400))
    found = analyse(truth, labels).set_index("group").loc[list(TYPES[:3])]
    for code, row in enumerate(found.itertuples()):
        assert row.jaccard == pytest.approx(
            jaccard_score(truth == code, labels == "abcde".index(row.cluster))
        )
    assert found["jaccard"].mean() == pytest.approx(JaccardIndex().score(truth, labels))
    assert found["cluster"].is_unique


def test_without_known_labels_it_is_refused():
    given = material([0, 1], [0, 1])
    with pytest.raises(DataError, match="jaccard: no known labels were given"):
        Jaccard().analyse(Material(given.labels, given.names, given.places), np.random.default_rng(0))
    with pytest.raises(DataError, match="jaccard: no observation has both a known label and a group"):
        analyse([-1, 0], [0, -1])


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(DataError) as caught:
        analyse([0, 5, 1], [0, 1])
    assert "there are known labels of 3 rows and labels of 2" in str(caught.value)
    assert "code 5 has no name; there are 4" in str(caught.value)
