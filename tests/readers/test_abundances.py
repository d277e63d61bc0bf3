import gzip

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.abundances import read_abundances

IDS, TYPES = ["1x1", "1x2", "2x1"], ["B", "T cells"]


def table(start=0.0, ids=IDS, types=TYPES):
    values = start + np.arange(len(ids) * len(types)).reshape(len(ids), -1) / 4
    return pd.DataFrame(values, index=list(ids), columns=list(types))


@pytest.fixture
def folder(tmp_path):
    """A table for each of two sections whose ids are the same."""
    made = tmp_path / "shares"
    made.mkdir()
    table().to_csv(made / "C2.tsv.gz", sep="\t")
    table(10).to_csv(made / "C3.csv")
    return made


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".tsv.gz", ".csv.gz", ".parquet"])
def test_one_table_in_every_form(tmp_path, ending):
    path = tmp_path / f"shares{ending}"
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra cells is not installed")
        table().to_parquet(path)
    else:
        table().to_csv(path, sep="\t" if "tsv" in ending else ",")
    found = read_abundances(path, {"C2": ["2x1", "1x1", "1x2"]})
    np.testing.assert_array_equal(found.values, table().to_numpy()[[2, 0, 1]])
    assert found.types == ("B", "T cells")
    assert found.low is None


def test_parquet_with_ids_in_its_first_column(tmp_path):
    pytest.importorskip("pyarrow", reason="the extra cells is not installed")
    table().rename_axis("spot").reset_index().to_parquet(tmp_path / "a.parquet")
    np.testing.assert_array_equal(read_abundances(tmp_path / "a.parquet", {"C2": IDS}).values, table())


def test_a_header_as_r_writes_it_and_spaces_around_types(tmp_path):
    (tmp_path / "a.csv").write_text('"B"," T cells "\n"1x1",1,2\n"1x2",3,4\n')
    found = read_abundances(tmp_path / "a.csv", {"C2": ["1x2", "1x1"]})
    np.testing.assert_array_equal(found.values, [[3, 4], [1, 2]])
    assert found.types == ("B", "T cells")


@pytest.mark.parametrize("study", ["{i}", "{s}_{i}"])
def test_a_folder_of_tables_with_either_form_of_ids(folder, study):
    names = {s: [study.format(s=s, i=i) for i in IDS] for s in ("C3", "C2")}
    found = read_abundances(folder, names)
    np.testing.assert_array_equal(found.values, np.concatenate([table(10), table()]))


@pytest.mark.parametrize("study", ["{i}", "{s}_{i}"])
def test_one_table_of_several_sections(tmp_path, folder, study):
    names = {s: [study.format(s=s, i=i) for i in IDS] for s in ("C2", "C3")}
    both = pd.concat([table().add_prefix("C2_", axis=0), table(10).add_prefix("C3_", axis=0)])
    both.to_csv(tmp_path / "all.csv")
    np.testing.assert_array_equal(read_abundances(tmp_path / "all.csv", names).values, both)
    both.index = IDS * 2
    both.insert(1, "sample", ["C2"] * 3 + ["C3"] * 3)
    both.to_csv(tmp_path / "column.csv")
    found = read_abundances(tmp_path / "column.csv", names)
    np.testing.assert_array_equal(found.values, both[TYPES])
    assert found.types == ("B", "T cells")


def test_types_are_matched_by_name(folder):
    table(10)[TYPES[::-1]].to_csv(folder / "C3.csv")
    found = read_abundances(folder, {"C2": IDS, "C3": IDS})
    np.testing.assert_array_equal(found.values, np.concatenate([table(), table(10)]))


def test_observations_in_no_table_are_unknown_with_a_word(folder):
    names = {"C2": [*IDS, "9x9"], "C3": IDS[:1], "C9": ["1x1", "1x2"]}
    with pytest.warns(TriptychWarning, match=r"3 of 7 observations are in no table \(C2 1, C9 2\)"):
        found = read_abundances(folder, names)
    np.testing.assert_array_equal(np.isnan(found.values).all(axis=1), [0, 0, 0, 1, 0, 1, 1])
    np.testing.assert_array_equal(found.values[4], table(10).iloc[0])


def test_an_empty_row_is_unknown(tmp_path):
    (tmp_path / "a.csv").write_text(",B,T\n1x1,,\n1x2,0,0\n")
    found = read_abundances(tmp_path / "a.csv", {"C2": ["1x1", "1x2"]})
    np.testing.assert_array_equal(found.values, [[np.nan, np.nan], [0, 0]])


def test_all_faults_of_values_together(folder):
    (folder / "C2.tsv.gz").unlink()
    (folder / "C2.csv").write_text(",B,T cells,B\n1x1,1,2,-3\n1x1,inf,much,0\n1x2,,1,1\n")
    pd.DataFrame({"B": [1.0, -1.0]}, index=IDS[:2]).to_csv(folder / "C3.csv")
    with pytest.raises(DataError) as error:
        read_abundances(folder, {"C2": IDS, "C3": IDS})
    for part in (
        "8 faults", "C2.csv: types are there more than once: B", "1 ids are there more than once: 1x1",
        "C2.csv: 1 value is no number, first much at 1x1, type T cells",
        "C2.csv: 1 value is missing in a row that has others, first nan at 1x2, type B",
        "C2.csv: 1 value is infinite", "C2.csv: 1 value is negative, first -3 at 1x1, type B",
        "C3.csv: 1 value is negative, first -1.0 at 1x2, type B", "C3.csv has no column T cells, which other",
    ):  # fmt: skip
        assert part in str(error.value), part


def test_tables_that_differ_in_types_are_refused(folder):
    table(types=["B", "T"]).to_csv(folder / "C3.csv")
    with pytest.raises(DataError) as error:
        read_abundances(folder, {"C2": IDS, "C3": IDS})
    assert "C2.tsv.gz has no column T, which" in str(error.value)
    assert "C3.csv has no column T cells, which" in str(error.value)


def test_ids_that_do_not_match(folder, tmp_path):
    with pytest.raises(
        DataError, match="C3.csv: no row is of C3; its observations are e.g. x, y, the rows 1x1"
    ):
        read_abundances(folder, {"C2": IDS, "C3": ["x", "y"]})
    table().to_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match="no row is of C3"):
        read_abundances(tmp_path / "a.csv", {"C3": ["x", "y"]})


def test_rows_of_more_than_one_observation(tmp_path):
    table().to_csv(tmp_path / "a.csv")
    with pytest.raises(
        DataError, match="3 rows are each of more than one observation, first 1x1, sought in C2, "
    ):
        read_abundances(tmp_path / "a.csv", {"C2": IDS, "C3": IDS})


def test_a_column_of_other_sections(tmp_path):
    table().assign(sample="D1").to_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match="column sample names D1; the sections are C2"):
        read_abundances(tmp_path / "a.csv", {"C2": IDS})


def test_files_that_are_none(folder, tmp_path):
    with pytest.raises(DataError, match=r"no table of D1, e.g. D1.tsv.gz; there is C2.tsv.gz, C3.csv"):
        read_abundances(folder, {"D1": IDS})
    with pytest.raises(DataError, match="the file none.csv is missing"):
        read_abundances(tmp_path / "none.csv", {"C2": IDS})
    with pytest.raises(DataError, match="the file none.xlsx ends in none of .tsv.gz"):
        read_abundances(tmp_path / "none.xlsx", {"C2": IDS})
    for text, said in {
        "": "is no table",
        ",B\n": "is no table",
        "1x1\n1x2\n": "names 1 columns, but its lines have 1",
        ",B,T,X\n1x1,1,2\n": "names 4 columns, but its lines have 3",
        ",B,\n1x1,1,2\n": "has a column without a name",
        ",B\n1x1,1\n1x2,1,2\n": "is no table",
    }.items():
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(DataError, match=said):
            read_abundances(tmp_path / "a.csv", {"C2": IDS})
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b",B\n1x1,1\n" * 99)[:30])
    with pytest.raises(DataError, match="cut.csv.gz is cut short"):
        read_abundances(tmp_path / "cut.csv.gz", {"C2": IDS})
    pytest.importorskip("pyarrow", reason="the extra cells is not installed")
    (tmp_path / "a.parquet").write_text("none")
    with pytest.raises(DataError, match="a.parquet is cut short or damaged"):
        read_abundances(tmp_path / "a.parquet", {"C2": IDS})


def test_a_section_whose_name_leads_out_of_the_folder_has_no_table(folder):
    table().to_csv(folder.parent / "C2.csv")
    with pytest.raises(DataError, match="there is no table of ../C2"):
        read_abundances(folder, {"../C2": IDS})


@pytest.mark.data
@pytest.mark.parametrize("samples", [["C2"], ["C2", "C3"]])
def test_it_reads_what_the_reader_of_that_study_reads(real_data, samples):
    import triptych

    study = triptych.read(real_data / "her2st", samples=samples)
    of = study.obs["sample"].astype(str)
    found = read_abundances(
        real_data / "her2st" / "proportions" / "major", {s: study.obs_names[of == s] for s in samples}
    )
    np.testing.assert_array_equal(found.values, study.obsm["abundance"])
    assert found.types == tuple(study.obsm["abundance"].columns)
