import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.readers.door import admit
from triptych.readers.layouts import ReadOptions
from triptych.readers.sections import About, about_frame, section

ALL = ReadOptions()


@pytest.fixture
def table(rng):
    def make(about=None, **obs):
        frame = pd.DataFrame(obs, index=[f"s{i}" for i in range(8)])
        genes = pd.DataFrame(index=[f"G{i}" for i in range(5)])
        counts = sp.csr_matrix(rng.poisson(2.0, (8, 5)).astype(float))
        xy = {"spatial": rng.integers(0, 50, (8, 2))}
        return section("a", counts, obs=frame, genes=genes, obsm=xy, about=about or About())

    return make


def test_the_form(table):
    made = admit(table(About(mpp=0.5, donor="D")), ALL, "here")
    assert made.X is None
    assert made.layers["counts"].dtype == np.int32
    assert made.layers["counts"].format == "csr"
    assert made.obsm["spatial"].dtype == np.float64
    assert np.array_equal(made.obsm["spatial_um"], made.obsm["spatial"] / 2)
    for column in ("sample", "donor", "batch"):
        assert isinstance(made.obs[column].dtype, pd.CategoricalDtype)
    assert (made.obs["donor"].iloc[0], made.obs["batch"].iloc[0]) == ("D", "a")
    assert made.uns["triptych"]["schema"] == 1
    assert list(made.uns["triptych"]["samples"].columns) == [
        "donor",
        "image",
        "image_scale",
        "mpp",
        "spot_um",
        "pitch_um",
        "lattice",
        "stains",
        "stain_matrix",
        "transcripts",
        "cell_boundaries",
        "nucleus_boundaries",
        "outline_matrix",
        "nuclei",
        "organ",
    ]


def test_zeros_are_not_stored(table):
    made = table()
    made.layers["counts"].data[:] = 0
    made.layers["counts"].data[0] = 2
    assert admit(made, ALL, "here").layers["counts"].nnz == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.layers.pop("counts"), "no layers:counts; there is obsm:spatial"),
        (lambda t: t.obsm.pop("spatial"), "no coordinates obsm:spatial"),
        (lambda t: t.obs.pop("sample"), "some observations have no obs:sample"),
        (lambda t: t.uns.pop("triptych"), "no table «samples»"),
        (lambda t: t.obs.__setitem__("sample", "z"), "does not describe the samples z"),
        (lambda t: t.obsm.__setitem__("spatial", np.zeros((8, 3))), r"shape \(8, 3\), not x and y"),
        (
            lambda t: t.obs.__setitem__("array_row", list("abcdefgh")),
            "array_row has 8 values that",
        ),
        (
            lambda t: t.obs.__setitem__("array_col", 0.5),
            "array_col has 8 values that are no whole",
        ),
        (lambda t: t.layers.__setitem__("counts", sp.csr_matrix((8, 5), dtype=complex)), "not numbers"),
    ],
)
def test_tables_without_form(table, spoil, message):
    made = table()
    spoil(made)
    with pytest.raises(DataError, match=message):
        admit(made, ALL, "here")


def test_a_sample_without_observations(table):
    made = table()
    made.uns["triptych"]["samples"] = about_frame({"a": About(), "b": About()})
    with pytest.raises(DataError, match="here: b: it has no observations"):
        admit(made, ALL, "here")


def test_an_image_that_does_not_exist(table, tmp_path):
    with pytest.raises(DataError, match=r"a: the image .*none.png does not exist"):
        admit(table(About(image=str(tmp_path / "none.png"))), ALL, "here")


@pytest.mark.parametrize(
    ("obs", "options", "column", "known"),
    [
        ({"Layer": list("aabbccdd"), "domain": list("12121212")}, ALL, "Layer", 8),
        ({"layer": list("aabbccdd"), "label": list("12121212")}, ALL, "label", 8),
        ({"label": ["NA", " undetermined", "Removed ", "", None, np.nan, "x", "y "]}, ALL, "label", 2),
        ({"z": [1.0, np.nan, 3, 1, 1, 1, 1, 1]}, ReadOptions(truth="z"), "z", 7),
        ({"label": list("aabbccdd")}, ReadOptions(unlabelled=("a", "b")), "label", 4),
    ],
)
def test_which_truth(table, obs, options, column, known):
    made = admit(table(**obs), options, "here")
    assert made.uns["triptych"]["truth_column"] == column
    assert made.obs.truth.notna().sum() == known
    assert not {" ", "1.0", "nan", "None"} & set(made.obs.truth.cat.categories)
    assert all(c == c.strip() for c in made.obs.truth.cat.categories)


def test_no_label_is_known(table):
    made = admit(table(label=["NA"] * 8), ALL, "here")
    assert "truth" not in made.obs
    assert made.uns["triptych"]["truth_column"] == ""


def test_sample_column_is_ordered_as_the_samples(table):
    made = table()
    made.obs["sample"] = ["b", "a"] * 4
    made.uns["triptych"]["samples"] = about_frame({"b": About(), "a": About()})
    again = admit(admit(made, ALL, "here"), ALL, "here")
    assert list(again.obs["sample"].cat.categories) == ["b", "a"]
    assert list(again.obs_names[:2]) == ["b_s0", "a_s1"]  # prefixed once only
