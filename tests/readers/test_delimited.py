import gzip

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError
from triptych.readers.delimited import read_counts, read_frame


@pytest.mark.parametrize("name", ["c.csv", "c.tsv", "c.csv.gz", "c.tsv.gz"])
@pytest.mark.parametrize("quoting", [0, 2])
@pytest.mark.parametrize("large", [False, True])
def test_as_pandas_reads(tmp_path, rng, name, quoting, large):
    values = rng.poisson(0.5, (9, 7)) * (10 ** rng.integers(0, 8, (9, 7)) if large else 1)
    frame = pd.DataFrame(values, index=[f"i {k}" for k in range(9)], columns=[f"g,{k}" for k in range(7)])
    path = tmp_path / name
    frame.to_csv(path, sep="\t" if ".tsv" in name else ",", quoting=quoting)
    matrix, ids, genes = read_counts(path)
    assert np.array_equal(matrix.toarray(), values)
    assert list(ids) == list(frame.index)
    assert list(genes) == list(frame.columns)


@pytest.mark.parametrize(
    "text", ["1.0,2e3,-4", "1,,3", "a,2,3", '"1","2","x"', "inf,nan,NA", " 1, 2,3 ", "1_0,2,3"]
)
def test_other_fields_as_pandas_makes_numbers_of_them(tmp_path, text):
    path = tmp_path / "c.csv"
    path.write_text(f"id,a,b,c\nr,{text}\n")
    fields = pd.Series(text.split(",")).str.strip().str.strip('"')
    wanted = pd.to_numeric(fields, errors="coerce")
    assert np.array_equal(read_counts(path)[0].toarray()[0], wanted, equal_nan=True)


def test_header_without_a_corner_and_windows_line_ends(tmp_path):
    path = tmp_path / "c.tsv"
    path.write_bytes(b"a\tb\r\nr1\t1\t2\r\n\r\nr2\t3\t4\r\n")
    matrix, ids, genes = read_counts(path)
    assert matrix.toarray().tolist() == [[1, 2], [3, 4]]
    assert list(ids) == ["r1", "r2"]
    assert list(genes) == ["a", "b"]


def test_header_of_another_length(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("id,a,b,c,d\nr,1,2\n")
    with pytest.raises(DataError, match="c.csv names 4 genes, but its lines have 2 values"):
        read_counts(path)


def test_what_is_no_text(tmp_path):
    path = tmp_path / "c.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="not text in UTF-8"):
        read_counts(path)
    with pytest.raises(DataError, match="the file gone.csv is missing"):
        read_counts(tmp_path / "gone.csv")
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n" * 99)[:-9])
    with pytest.raises(DataError, match="d.csv.gz is cut short"):
        read_frame(tmp_path / "d.csv.gz")
