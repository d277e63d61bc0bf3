"""The table, and what it refuses."""

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.metrics import registry
from triptych.metrics.contingency import Contingency

TRUTH = [name for name in registry if registry.find(name).against == "truth"]


def test_cells_and_margins():
    table = Contingency.of(np.array([0, 0, 5, 5, 5]), np.array([2, 2, 2, 9, 9]))
    assert table.cells.tolist() == [2, 1, 2]
    assert table.row.tolist() == [2, 3, 3]
    assert table.column.tolist() == [3, 3, 2]
    assert table.truth.tolist() == [2, 3]
    assert table.guess.tolist() == [3, 2]


@pytest.mark.parametrize("name", TRUTH)
def test_missing_labels_are_refused(name):
    with pytest.raises(DataError) as caught:
        registry.make(name).score(np.array([0, -1, 1]), np.array([0, -1]))
    for words in (
        f"{name}: 3 faults",
        "3 true labels but 2 guesses",
        "1 true labels are missing",
        "1 guesses",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize("name", TRUTH)
def test_nothing_to_compare_is_refused(name):
    with pytest.raises(DataError, match="there is no labelled observation"):
        registry.make(name).score(np.array([], int), np.array([], int))
