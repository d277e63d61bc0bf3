import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.pipeline import identity


def test_swapping_two_views_changes_the_identity():
    about = ("fuse", "Concat", 1)
    one = identity.of_step(about, {}, [("views.rna", "a"), ("views.img", "b")], None)
    other = identity.of_step(about, {}, [("views.rna", "b"), ("views.img", "a")], None)
    assert one != other
    assert one == identity.of_step(about, {}, [("views.img", "b"), ("views.rna", "a")], None)


@pytest.mark.parametrize(
    "change", [{"step": ("fuse", "Concat", 2)}, {"params": {"k": 2}}, {"seed": 1}, {"inputs": [("x", "b")]}]
)
def test_everything_that_moves_numbers_enters(change):
    base = {"step": ("fuse", "Concat", 1), "params": {"k": 1}, "inputs": [("x", "a")], "seed": 0}
    assert identity.of_step(**base) != identity.of_step(**{**base, **change})


def test_arrays_by_value_type_and_shape():
    x = np.arange(6.0)
    assert identity.of_array(x) == identity.of_array(x.copy())
    assert identity.of_array(x) != identity.of_array(x.reshape(2, 3))
    assert identity.of_array(x) != identity.of_array(x.astype(np.float32))
    assert identity.of_array(np.empty((0, 2))) != identity.of_array(np.empty((0, 3)))


def test_sparse_matrices_by_content_not_by_storage():
    a = sp.csr_matrix(([1, 2], ([0, 0], [2, 1])), shape=(2, 3))
    b = sp.csr_matrix(np.array([[0, 2, 1], [0, 0, 0]]))
    unsorted = sp.csr_matrix((np.array([1, 2]), np.array([2, 1]), np.array([0, 2, 2])), shape=(2, 3))
    assert identity.of_array(a) == identity.of_array(b) == identity.of_array(unsorted)


def test_columns_tell_missing_from_empty():
    assert identity.of_array(pd.Series(["a", None])) != identity.of_array(pd.Series(["a", ""]))


def test_folders_by_names_and_bytes(tmp_path):
    (tmp_path / "a").write_text("x")
    before = identity.of_file(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert identity.of_file(tmp_path) != before
