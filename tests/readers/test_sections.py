import numpy as np
import pandas as pd
import scipy.sparse as sp

from triptych.core.checks import Faults
from triptych.core.slots import UNS
from triptych.readers.door import admit
from triptych.readers.h5ad import H5ad
from triptych.readers.joining import join
from triptych.readers.layouts import ReadOptions
from triptych.readers.sections import FILES, About, about_frame, about_of, section, with_files


def table(name, about):
    counts = sp.csr_matrix(np.ones((3, 60), int))
    ids = pd.Index([f"c{i}" for i in range(3)])
    genes = pd.DataFrame(index=[f"g{i}" for i in range(60)])
    places = {"spatial": np.arange(6.0).reshape(3, 2)}
    return section(name, counts, obs=pd.DataFrame(index=ids), genes=genes, obsm=places, about=about)


def older(made):
    """As tables were before they told of these files."""
    made.uns[UNS]["samples"] = made.uns[UNS]["samples"].drop(columns=list(FILES))
    return made


def test_a_row_is_the_value_again():
    about = About(
        donor="d",
        mpp=0.5,
        spot_um=1.0,
        pitch_um=1.0,
        stains='{"DAPI": "/d.tif"}',
        stain_matrix="[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]",
        transcripts="/t.parquet",
        nucleus_boundaries="/n.parquet",
    )
    assert about_of(about_frame({"s": about}), "s") == about


def test_an_older_row_names_no_files():
    about = About(donor="d", mpp=0.5, spot_um=1.0, pitch_um=1.0)
    frame = about_frame({"s": about}).drop(columns=list(FILES))
    assert about_of(frame, "s") == about
    assert (with_files(frame)[list(FILES)] == "").all(axis=None)


def test_an_older_table_is_admitted():
    made = admit(older(table("a", About(mpp=1.0))), ReadOptions(), "here")
    assert (made.uns[UNS]["samples"][list(FILES)] == "").all(axis=None)


def test_old_and_new_are_joined():
    parts = [older(table("a", About(mpp=1.0))), table("b", About(mpp=1.0, transcripts="/t.parquet"))]
    samples = join(parts, ReadOptions(), Faults("here")).uns[UNS]["samples"]
    assert samples["transcripts"].tolist() == ["", "/t.parquet"]


def test_an_older_file_is_read(tmp_path):
    made = older(admit(table("a", About(mpp=1.0)), ReadOptions(), "here"))
    made.write_h5ad(tmp_path / "old.h5ad")
    found = H5ad().read(tmp_path / "old.h5ad", ReadOptions())
    assert about_of(found.uns[UNS]["samples"], "a").stains == ""
