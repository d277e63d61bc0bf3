import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError, RecipeError, TriptychWarning
from triptych.core.protocols import Counts
from triptych.deconvolvers import registry
from triptych.deconvolvers.precomputed import Precomputed

VALUES = np.array([[1.0, 2.0, 1.0], [0.0, 3.0, 3.0], [np.nan] * 3, [4.0, 0.0, 0.0]])


def counts(n=4):
    return Counts(sp.csr_matrix((n, 2), dtype=np.int32), np.array(["a", "b"]), np.zeros(n, int))


def given(values=VALUES, types=("B", "CD4", "CD8"), **ends):
    return Abundance(values, types, **ends)


def test_a_table_is_passed_on(rng):
    table = given(low=VALUES - 0.5, high=VALUES + 0.5)
    found = Precomputed().deconvolve(counts(), table, rng)
    np.testing.assert_array_equal(found.values, VALUES)
    np.testing.assert_array_equal(found.low, VALUES - 0.5)
    np.testing.assert_array_equal(found.high, VALUES + 0.5)
    assert found.types == table.types
    assert given().low is None
    assert Precomputed().deconvolve(counts(), given(), rng).low is None


def test_types_are_kept_in_the_order_asked_for(rng):
    found = Precomputed(types=("CD8", "B")).deconvolve(counts(), given(low=VALUES), rng)
    np.testing.assert_array_equal(found.values, VALUES[:, [2, 0]])
    np.testing.assert_array_equal(found.low, VALUES[:, [2, 0]])
    assert found.types == ("CD8", "B")


def test_proportions_are_of_the_types_kept(rng):
    table = given(high=VALUES * 2)
    found = Precomputed(normalise="proportions").deconvolve(counts(), table, rng)
    np.testing.assert_allclose(found.values[[0, 1, 3]].sum(axis=1), 1)
    np.testing.assert_allclose(found.values[0], [0.25, 0.5, 0.25])
    np.testing.assert_allclose(found.high[0], [0.5, 1.0, 0.5])
    assert np.isnan(found.values[2]).all()
    with pytest.warns(TriptychWarning, match="1 of 4 rows are all 0"):
        found = Precomputed(types=("CD4", "CD8"), normalise="proportions").deconvolve(counts(), table, rng)
    np.testing.assert_allclose(found.values[0], [2 / 3, 1 / 3])
    assert np.isnan(found.values[[2, 3]]).all()


def test_merged_types_are_sums_without_an_interval(rng):
    made = Precomputed(merge={"T": ("CD8", "CD4")}).deconvolve(counts(), given(low=VALUES), rng)
    np.testing.assert_array_equal(made.values, np.column_stack([VALUES[:, 0], VALUES[:, 1:].sum(axis=1)]))
    assert made.types == ("B", "T")
    assert made.low is None
    kept = Precomputed(merge={"B": ("B", "CD8")}, types=("CD4", "B")).deconvolve(counts(), given(), rng)
    np.testing.assert_array_equal(kept.values[0], [2, 2])


def test_the_table_is_not_written_to(rng):
    table = given(VALUES.copy())
    Precomputed(normalise="proportions").deconvolve(counts(), table, rng)
    np.testing.assert_array_equal(table.values, VALUES)


def test_what_it_gives():
    assert Precomputed(made_by="stereoscope").gives == "abundances given by stereoscope"
    found = Precomputed(made_by="stereoscope", normalise="proportions").gives
    assert found == "proportions given by stereoscope"
    assert Precomputed().gives == "abundances as they were given"


def test_all_faults_together(rng):
    bad = np.array([[1.0, np.nan, -1.0], [np.inf, 0.0, 0.0]])
    component = Precomputed(types=("Bb", "CD4"), merge={"CD4": ("CD9", "CD8")})
    with pytest.raises(DataError) as error:
        component.deconvolve(counts(3), given(bad, high=bad[:, :1]), rng)
    for part in (
        "8 faults", "the table has shape (2, 3); observations and types need (3, 3)",
        "the high end has shape (2, 1)", "no type CD9 to merge. Did you mean CD8?",
        "merge makes the type CD4, which is there already", "there is no type Bb. Did you mean B?",
        "1 values are missing in a row that has others", "1 values are infinite", "1 values are negative",
    ):  # fmt: skip
        assert part in str(error.value), part


def test_tables_of_nothing(rng):
    with pytest.raises(DataError, match="nothing is known of any observation"):
        Precomputed().deconvolve(counts(), given(VALUES * np.nan), rng)
    with pytest.raises(DataError, match="types are there more than once: B"):
        Precomputed().deconvolve(counts(), given(types=("B", "B", "T")), rng)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"types": ["B", "B"]}, "types must not name one twice"),
        (
            {"merge": {"T": ["CD4"], "U": ["CD4"]}},
            "merge must name at least one type for each new one, and none",
        ),
        ({"merge": {"T": []}}, "merge must name at least one type"),
        ({"normalise": "shares"}, "normalise"),
    ],
)
def test_parameters_that_cannot_be(params, said):
    with pytest.raises(RecipeError, match=said):
        registry.make("precomputed", params)


def test_the_registry_makes_it():
    made = registry.make("precomputed", {"merge": {"T": ["CD4", "CD8"]}, "made_by": "x"})
    assert made.merge == {"T": ("CD4", "CD8")}
    assert made.takes == "table"
