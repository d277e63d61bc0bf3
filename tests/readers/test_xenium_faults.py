"""What a user is told when a bundle is not whole."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from triptych.core.errors import DataError, MissingExtraError
from triptych.readers import long_tables
from triptych.readers.read import read
from triptych.readers.toy.cells import ToyCells
from triptych.readers.toy.write_xenium import write_xenium


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("xenium")
    for bundle in ToyCells(sections=2, cells=60, genes=56).make():
        write_xenium(root / bundle.name, bundle)
    return root


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "study") / "A1"


def edit(path, change):
    frame = pq.read_table(path).to_pandas()
    change(frame).to_parquet(path, index=False)


def remove(folder, *names):
    for name in names:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


MATRIX = ("cell_feature_matrix.h5", "cell_feature_matrix")
CELLS = ("cells.parquet", "cells.csv.gz")


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (
            (*MATRIX, "transcripts.parquet"),
            r"A1: the file cell_feature_matrix.h5 \(or the folder .* is missing",
        ),
        (CELLS, r"A1: the file cells.parquet \(or cells.csv.gz\) is missing, which places the cells"),
        (
            ("A1_he_imagealignment.csv",),
            r"A1_he_image.ome.tif has no matrix beside it .*: A1_he_imagealignment.csv",
        ),
        (
            ("experiment.xenium",),
            r"experiment.xenium is missing, whose pixel_size places A1_he_image.ome.tif",
        ),
    ],
)
def test_missing_files(folder, gone, message):
    remove(folder, *gone)
    with pytest.raises(DataError, match=message):
        read(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cells.parquet", "the file cells.parquet is cut short or damaged"),
        ("cell_feature_matrix.h5", "the file cell_feature_matrix.h5 cannot be read"),
        ("A1_he_image.ome.tif", "the image A1_he_image.ome.tif (is cut short|cannot be read)"),
        ("experiment.xenium", "the file experiment.xenium is no JSON"),
    ],
)
def test_truncated_files(folder, name, message):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=message):
        read(folder)


def test_truncated_transcripts_and_outlines(folder):
    remove(folder, *MATRIX)
    outlines = folder / "nucleus_boundaries.parquet"
    outlines.write_bytes(outlines.read_bytes()[:-100])
    read(folder)  # the table of cells places them
    remove(folder, *CELLS)
    with pytest.raises(DataError, match=r"nucleus_boundaries.parquet is cut short or damaged"):
        read(folder)
    path = folder / "transcripts.parquet"
    path.write_bytes(b"PAR1" + path.read_bytes()[2000:])
    with pytest.raises(DataError, match=r"transcripts.parquet is cut short or damaged"):
        read(folder)


def test_truncated_text(folder):
    remove(folder, "cells.parquet")
    path = folder / "cells.csv.gz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"the file cells.csv.gz is cut short or damaged"):
        read(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "the file experiment.xenium has no names and values"),
        ('{"run_name": "a"}', "experiment.xenium has no key pixel_size; it has run_name"),
        ('{"pixel_size": "0.2"}', "pixel_size of experiment.xenium is '0.2', not micrometres per pixel"),
        ('{"pixel_size": 0}', "pixel_size of experiment.xenium is 0, not"),
        ('{"pixel_size": true}', "pixel_size of experiment.xenium is True, not"),
        ('{"pixel_size": NaN}', "pixel_size of experiment.xenium is nan, not"),
    ],
)
def test_pixel_size_is_never_guessed(folder, text, message):
    (folder / "experiment.xenium").write_text(text)
    with pytest.raises(DataError, match=message):
        read(folder)


def test_columns_that_are_missing(folder):
    edit(folder / "cells.parquet", lambda f: f.drop(columns=["x_centroid"]))
    with pytest.raises(
        DataError, match=r"cells.parquet has no column x_centroid; it has cell_id, y_centroid"
    ):
        read(folder)
    remove(folder, *MATRIX, "cells.parquet")
    edit(folder / "transcripts.parquet", lambda f: f.drop(columns=["qv"]))
    with pytest.raises(DataError, match=r"transcripts.parquet has no column qv"):
        read(folder)


def test_columns_of_outlines(folder):
    remove(folder, *MATRIX, *CELLS)
    path = folder / "cell_boundaries.parquet"
    edit(path, lambda f: f.assign(vertex_x=f["vertex_x"].where(f.index > 4)))
    with pytest.raises(DataError, match=r"5 vertices of cell_boundaries.parquet have no finite coordinates"):
        read(folder)
    edit(path, lambda f: f.drop(columns=["vertex_x"]))
    with pytest.raises(DataError, match=r"cell_boundaries.parquet has no column vertex_x"):
        read(folder)


def moved(frame, column, value, rows=3):
    frame.loc[: rows - 1, column] = value
    return frame


def test_coordinates_that_are_no_places(folder):
    edit(folder / "cells.parquet", lambda f: moved(f, "x_centroid", np.nan))
    with pytest.raises(DataError, match=r"A1: 3 observations have no finite coordinates"):
        read(folder)
    edit(folder / "cells.parquet", lambda f: moved(f, "x_centroid", -2.0))
    with pytest.raises(DataError, match=r"A1: 3 cells of cells.parquet lie at negative coordinates"):
        read(folder)
    edit(folder / "cells.parquet", lambda f: moved(f, "x_centroid", 5000.0))
    with pytest.raises(DataError, match=r"A1: 3 of \d+ observations lie outside the image of"):
        read(folder)


def test_cells_twice(folder):
    edit(folder / "cells.parquet", lambda f: moved(f, "cell_id", f["cell_id"][0], 2))
    with pytest.raises(DataError, match=r"1 cells are there more than once in cells.parquet"):
        read(folder)


def test_cells_twice_in_the_matrix(folder):
    with h5py.File(folder / "cell_feature_matrix.h5", "r+") as file:
        file["matrix/barcodes"][1] = file["matrix/barcodes"][0]
    with pytest.raises(DataError, match=r"1 cells are there more than once in cell_feature_matrix.h5"):
        read(folder)


def test_other_cells_in_the_matrix(folder):
    edit(folder / "cells.parquet", lambda f: moved(f.iloc[2:].reset_index(drop=True), "cell_id", "other", 1))
    with pytest.raises(
        DataError,
        match=r"cell_feature_matrix.h5 has (\d+) cells and cells.parquet \d+: 3 are only in the first \(.*\) "
        r"and 1 only in the second \(other\)",
    ):
        read(folder)


def test_other_cells_in_the_transcripts(folder):
    remove(folder, *MATRIX)
    edit(folder / "cells.parquet", lambda f: f.iloc[2:])
    with pytest.raises(
        DataError, match=r"2 of the \d+ cells of transcripts.parquet are not in cells.parquet"
    ):
        read(folder)


def test_controls_only(folder):
    with h5py.File(folder / "cell_feature_matrix.h5", "r+") as file:
        file["matrix/features/feature_type"][...] = b"Blank Codeword"
    with pytest.raises(DataError, match=r"cell_feature_matrix.h5 has no feature of the type Gene Expression"):
        read(folder)
    remove(folder, *MATRIX)
    edit(folder / "transcripts.parquet", lambda f: f.assign(feature_name="BLANK_0001"))
    with pytest.raises(
        DataError, match=r"none of the \d+ transcripts of transcripts.parquet counts: it must"
    ):
        read(folder)


def test_no_transcripts_at_all(folder):
    remove(folder, *MATRIX)
    edit(folder / "transcripts.parquet", lambda f: f.iloc[:0])
    with pytest.raises(DataError, match=r"none of the 0 transcripts"):
        read(folder)


def test_an_alignment_that_is_damaged(folder):
    (folder / "A1_he_imagealignment.csv").write_text("1,0,0\n0,0,0\n0,0,1\n")
    with pytest.raises(DataError, match=r"A1: the matrix of A1_he_imagealignment.csv has no inverse"):
        read(folder)


def test_several_where_one_is_meant(folder):
    shutil.copy(folder / "A1_he_image.ome.tif", folder / "B_he_image.ome.tif")
    shutil.copy(folder / "cell_types.csv", folder / "an_annotation.csv")
    with pytest.raises(DataError) as error:
        read(folder)
    assert "there are several stained images: A1_he_image.ome.tif, B_he_image.ome.tif; keep one" in str(
        error.value
    )
    assert "there are several tables of labels: an_annotation.csv, cell_types.csv; keep one" in str(
        error.value
    )


def test_several_matrices(folder):
    for name in ("x", "y"):
        shutil.copy(folder / "A1_he_imagealignment.csv", folder / f"{name}_he_imagealignment.csv")
    read(folder)  # the one of the image's own name
    remove(folder, "A1_he_imagealignment.csv")
    with pytest.raises(
        DataError, match=r"several matrices for A1_he_image.ome.tif: x_he_.*, y_he_.*; keep one"
    ):
        read(folder)


def test_labels_of_other_cells(folder):
    labels = pd.DataFrame({"cell_id": ["x", "x"], "cell_type": ["a", "b"]})
    labels.iloc[:1].to_csv(folder / "cell_types.csv", index=False)
    with pytest.raises(DataError, match=r"no cell of cell_types.csv is in the bundle"):
        read(folder)
    labels.to_csv(folder / "cell_types.csv", index=False)
    with pytest.raises(DataError, match=r"cells are there more than once in cell_types.csv"):
        read(folder)
    (folder / "cell_types.csv").write_text("")
    with pytest.raises(DataError, match=r"the file cell_types.csv is no table"):
        read(folder)


def test_all_faults_of_all_samples_together(folder):
    remove(folder, "A1_he_imagealignment.csv")
    edit(folder / "cells.parquet", lambda f: f.drop(columns=["x_centroid"]))
    other = folder.parent / "B1"
    (other / "experiment.xenium").write_text('{"region_name": "B1"}')
    with h5py.File(other / "cell_feature_matrix.h5", "r+") as file:
        del file["matrix/indptr"]
    with pytest.raises(DataError) as error:
        read(folder.parent)
    text = str(error.value)
    assert "4 faults" in text
    for words in (
        "A1: the image A1_he_image.ome.tif has no matrix",
        "A1: the file cells.parquet has no column x_centroid",
        "B1: the file experiment.xenium has no key pixel_size",
        "B1: the file cell_feature_matrix.h5 is not a matrix",
    ):
        assert words in text


def test_parquet_wants_its_extra(folder, monkeypatch):
    def need(module, extra):
        raise MissingExtraError(f"{module} is not installed.", f"pip install 'triptych[{extra}]'")

    monkeypatch.setattr(long_tables, "need", need)
    with pytest.raises(MissingExtraError, match=r"triptych\[cells\]"):
        read(folder)
