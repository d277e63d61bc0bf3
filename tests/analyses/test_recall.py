"""Recall of each type: values by hand, against scikit-learn, and what is refused."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from triptych.analyses.recall import Recall
from triptych.core.analysis import Material
from triptych.core.errors import DataError
from triptych.core.protocols import Places

TYPES = ("T cell", "B cell", "rare", "absent")


def material(truth, labels, types=TYPES):
    truth, labels = np.asarray(truth), np.asarray(labels)
    places = Places(np.zeros((len(labels), 2)), np.zeros(len(labels), int))
    names = tuple("abcdefgh"[: int(labels.max(initial=-1)) + 1])
    return Material(labels, names, places, truth=truth, truth_names=types)


def analyse(*given):
    return Recall().analyse(material(*given), np.random.default_rng(0))


def test_values_by_hand():
    # a, b and d are called after T cells; the rare type shares a cluster with B cells
    found = analyse([0, 0, 0, 0, 0, 1, 1, 1, 2, 0, -1, 1], [0, 0, 1, 1, 3, 2, 2, 2, 2, 2, 0, -1])
    assert found["group"].tolist() == ["T cell", "B cell", "rare"]  # by size; absent does not occur
    assert found["n"].tolist() == [6, 3, 1]
    assert found["recall"].tolist() == pytest.approx([5 / 6, 1, 0])
    assert found["precision"].tolist() == pytest.approx([1, 3 / 5, 0])
    assert found["clusters"].tolist() == ["a, b, d", "c", "–"]
    assert found["recall_hungarian"].tolist() == pytest.approx([2 / 6, 1, 0])
    assert found["cluster"].tolist() in (["a", "c", "–"], ["b", "c", "–"])


def test_equal_to_scikit_learn():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 400)
    labels = np.where(rng.uniform(size=400) < 0.5, truth, rng.integers(0, 6, 400))
    table = np.array([[((truth == t) & (labels == c)).sum() for c in range(6)] for t in range(3)])
    called = table.argmax(axis=0)[labels]
    precision, recall, _, size = precision_recall_fscore_support(truth, called, zero_division=0)
    found = analyse(truth, labels).set_index("group").loc[list(TYPES[:3])]
    assert np.allclose(found["recall"], recall)
    assert np.allclose(found["precision"], precision)
    assert found["n"].tolist() == size.tolist()


def test_without_known_labels_it_is_refused():
    given = material([0, 1], [0, 1])
    with pytest.raises(DataError, match="recall: no known labels were given"):
        Recall().analyse(Material(given.labels, given.names, given.places), np.random.default_rng(0))
    with pytest.raises(DataError, match="no observation has both a known label and a group"):
        analyse([-1, 0], [0, -1])


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(DataError) as caught:
        analyse([0, 5, 1], [0, 1])
    assert "there are known labels of 3 rows and labels of 2" in str(caught.value)
    assert "code 5 has no name; there are 4" in str(caught.value)
