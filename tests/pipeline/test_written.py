"""What steps make, put into the table."""

import numpy as np
import pytest

from triptych.core.abundance import Abundance
from triptych.maths.overlaps import as_arrays, from_arrays, overlaps_of
from triptych.pipeline.written import put, put_annotation


def test_an_annotation_is_a_column_its_confidence_and_its_probabilities(table):
    n = table.n_obs
    chance = np.random.default_rng(0).dirichlet(np.ones(3), n)
    chance[5] = np.nan
    put_annotation(table, "obs:kind", Abundance(chance, ("a", "b", "c")), 0.5)
    best = chance.max(axis=1)
    told = best >= 0.5
    assert np.array_equal(table.obs["kind"].notna(), told)
    assert np.array_equal(
        table.obs["kind"][told].astype(str), np.array(["a", "b", "c"])[chance[told].argmax(axis=1)]
    )
    assert np.array_equal(table.obs["kind.confidence"], best, equal_nan=True)
    assert list(table.obs["kind"].cat.categories) == ["a", "b", "c"]
    assert np.array_equal(table.obsm["kind"].to_numpy(), chance, equal_nan=True)


def test_what_was_there_before_is_replaced(table):
    put(
        table,
        "obsm:types",
        Abundance(np.ones((table.n_obs, 2)), ("a", "b"), *[np.ones((table.n_obs, 2))] * 2),
    )
    assert {"types", "types.low", "types.high"} <= set(table.obsm)
    put(table, "obsm:types", Abundance(np.zeros((table.n_obs, 1)), ("c",)))
    assert list(table.obsm["types"].columns) == ["c"]
    assert not {"types.low", "types.high"} & set(table.obsm)


def test_true_and_found_nuclei_lie_in_uns(table, tmp_path):
    from anndata import read_h5ad

    labels = np.array([[1, 1, 0, 2]], np.int32)
    value = overlaps_of(
        [(labels, np.array([0, 1]))], [(labels, np.array([1, 1]))], classes=("a", "b"), organs=["o"],
        samples=["S"], mpp=0.5,
    )  # fmt: skip
    put(table, "nuclei:x", value)
    table.write_h5ad(tmp_path / "t.h5ad")
    again = from_arrays(read_h5ad(tmp_path / "t.h5ad").uns["nuclei"]["x"])
    ours, theirs = as_arrays(value), as_arrays(again)
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        assert np.array_equal(array, theirs[name]), name


@pytest.mark.parametrize("codes", [[0, 1, 1], [2, 0, 1]])
def test_codes_are_a_column_of_text(table, codes):
    value = np.resize(codes, table.n_obs)
    put(table, "obs:domain", value)
    assert np.array_equal(table.obs["domain"].astype(str), value.astype(str))
