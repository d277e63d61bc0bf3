"""Types that were told before: handed on as they are, with the confidence that was told, or refused."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.annotators.precomputed import Precomputed
from triptych.core.errors import DataError
from triptych.core.protocols import Counts

GIVEN = np.array(["b", None, "a", np.nan, "", "b"], object)


def run(given, n=6, **params):
    counts = Counts(sp.csr_matrix((n, 3)), np.array(["x", "y", "z"]), np.zeros(n, int))
    return Precomputed(**params).annotate(counts, np.zeros(n, int), given, np.random.default_rng(0))


def test_types_are_certain_and_missing_ones_unknown():
    found = run(GIVEN)
    assert found.classes == ("a", "b")
    code, sure = found.best(0.5)
    assert code.tolist() == [1, -1, 0, -1, -1, 1]
    np.testing.assert_array_equal(sure, [1, np.nan, 1, np.nan, np.nan, 1])


@pytest.mark.parametrize("kind", [list, pd.Series, pd.Categorical])
def test_any_column_will_do(kind):
    np.testing.assert_array_equal(run(kind(GIVEN)).probabilities, run(GIVEN).probabilities)


def test_the_rest_of_the_confidence_is_shared():
    found = run(np.array(["a", "b", "c", "a", "a", "a"]), confidence=0.8)
    np.testing.assert_allclose(found.probabilities[0], [0.8, 0.1, 0.1])
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(run(np.array(["a"] * 6), confidence=0.8).probabilities, np.ones((6, 1)))


def test_types_become_classes_and_others_unknown():
    found = run(
        np.array(["T", "B", "F", "?", "T", "B"]), rename={"T": "immune", "B": "immune", "F": "stroma"}
    )
    assert found.classes == ("immune", "stroma")
    assert found.best(0)[0].tolist() == [0, 0, 1, -1, 0, 0]


def test_what_does_not_fit_is_refused_together():
    with pytest.raises(DataError) as caught:
        run(np.array(["tumor", "b", "c"]), confidence=0.2, rename={"tumour": "x", "b": "b", "c": "c"})
    text = str(caught.value)
    for part in (
        "3 types were given of 6",
        "no type tumour to rename. Did you mean tumor?",
        "an even chance",
    ):
        assert part in text
    with pytest.raises(DataError, match="every cell is missing"):
        run(np.array([None] * 6))
    with pytest.raises(DataError, match="0 types were given of 6 cells"):
        run(None)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"confidence": 0}, "confidence"),
        ({"confidence": 1.1}, "confidence"),
        ({"rename": {"a": ""}}, "rename"),
    ],
)
def test_parameters_out_of_range_are_refused(params, words):
    with pytest.raises(ValueError, match=words):
        Precomputed(**params)
