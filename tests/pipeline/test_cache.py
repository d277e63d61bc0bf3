import logging

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.core.errors import CacheError
from triptych.pipeline.cache import Cache
from triptych.pipeline.cached_tables import keepable

KEY = "ab" * 32


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.mark.parametrize("value", [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([3, 1, 2])])
def test_dense_round_trip(cache, value):
    cache.put(KEY, value, {"do": "x"})
    back = cache.get(KEY)
    assert back.dtype == value.dtype
    assert (back == value).all()


def test_sparse_round_trip(cache):
    value = sp.random(7, 5, 0.4, format="csr", random_state=0, dtype=np.float32)
    cache.put(KEY, value, {})
    back = cache.get(KEY)
    assert back.shape == value.shape
    assert (back != value).nnz == 0


def test_nothing_there(cache):
    assert cache.get(KEY) is None
    assert not cache.has(KEY)
    assert list(cache.entries()) == []


@pytest.mark.parametrize("harm", ["truncate", "flip", "remove", "garble"])
def test_a_damaged_entry_is_no_entry_and_is_logged(cache, harm, caplog):
    cache.put(KEY, np.arange(100.0), {})
    folder = next(cache.folder.glob("steps/*/*"))
    file = folder / "value.npy"
    content = bytearray(file.read_bytes())
    if harm == "truncate":
        file.write_bytes(content[:-8])
    elif harm == "flip":
        content[-1] ^= 1
        file.write_bytes(content)
    elif harm == "remove":
        file.unlink()
    else:
        (folder / "entry.json").write_text("{")
    with caplog.at_level(logging.WARNING, "triptych.pipeline.cache"):
        assert cache.get(KEY) is None
    assert "is damaged" in caplog.text
    cache.put(KEY, np.arange(3.0), {})
    assert (cache.get(KEY) == np.arange(3.0)).all()


def test_pickles_are_never_loaded(cache):
    cache.put(KEY, np.arange(3.0), {})
    folder = next(cache.folder.glob("steps/*/*"))
    np.save(folder / "value.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert cache.get(KEY) is None


def test_what_a_killed_run_left_is_no_entry(cache):
    cache.put(KEY, np.arange(3.0), {})
    left = cache.folder / "steps" / KEY[:2] / ".tmp-left"
    left.mkdir()
    (left / "entry.json").write_text("{}")
    assert [entry.key for entry in cache.entries()] == [KEY]


def test_prune_reaches_decoded_stains(cache):
    folder = cache.folder / "planes"
    folder.mkdir(parents=True)
    (folder / "a.npy").write_bytes(b"12345")
    (folder / ".draft-b").write_bytes(b"123")
    assert cache.prune(older_s=3600) == (0, 0)
    assert cache.prune() == (2, 8)
    assert not list(folder.iterdir())


def test_prune(cache):
    cache.put(KEY, np.arange(3.0), {})
    assert cache.prune(older_s=3600) == (0, 0)
    count, freed = cache.prune()
    assert count == 1
    assert freed > 0
    assert not cache.has(KEY)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="Set TRIPTYCH_CACHE_DIR to a folder that can"):
        Cache(tmp_path / "file").put(KEY, np.arange(3.0), {})


def test_tables_come_back_as_they_were(cache):
    table = pd.DataFrame({"gene": ["a", "NA"], "r2": [0.1, np.nan], "n": [1, 2], "found": [True, False]})
    table.attrs["note"] = "of two"
    cache.put(KEY, table, {"do": "analyse"})
    back = cache.get(KEY)
    pd.testing.assert_frame_equal(back, table, check_exact=True)
    assert back.attrs == table.attrs


def test_a_table_of_other_things_is_not_kept():
    assert keepable(pd.DataFrame({"a": ["x"], "b": [1]}))
    assert keepable(pd.DataFrame({"a": pd.Series([], dtype=object)}))
    assert not keepable(pd.DataFrame({"a": ["x", None]}))
    assert not keepable(pd.DataFrame({"a": [{}]}))
