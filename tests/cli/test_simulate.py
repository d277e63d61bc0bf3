"""The command `simulate`: a folder, a table and exit codes."""

import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triptych.cli import main

pytest.importorskip("pyarrow")
pytest.importorskip("shapely")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with one picture and a reference, in which we stand."""
    monkeypatch.chdir(tmp_path)
    labels = np.kron(np.arange(1, 10).reshape(3, 3), np.pad(np.ones((10, 10), int), 5)).astype(np.uint8)
    for part, values in (("images", np.dstack([200 - 5 * labels] * 3)), ("instances", labels)):
        (tmp_path / "tiles" / part).mkdir(parents=True)
        Image.fromarray(values).save(tmp_path / "tiles" / part / "kidney_1.png")
    counts = np.random.default_rng(0).poisson(2.0, (20, 50)).astype(np.float32)
    names = [f"G{k}" for k in range(50)]
    types = pd.DataFrame({"kind": ["B", "Endo"] * 10}, index=[f"c{k}" for k in range(20)])
    ad.AnnData(counts, obs=types, var=pd.DataFrame(index=names)).write_h5ad("ref.h5ad")
    return tmp_path


@pytest.fixture
def told(capsys, monkeypatch):
    def command(*words, code=0):
        monkeypatch.setattr(sys, "argv", ["triptych", "simulate", *map(str, words)])
        with pytest.raises(SystemExit) as done:
            main()
        said = capsys.readouterr()
        assert done.value.code == code, said.out + said.err
        assert "Traceback" not in said.err
        return said

    return command


REFERENCE = (
    "--reference", "ref.h5ad", "--reference-column", "kind",
    "--reference-types", "{inflammatory: [B], connective: [Endo]}",
)  # fmt: skip


def test_it_writes_a_folder_and_prints_a_table(place, told):
    said = told(
        "tiles", "-o", "out", *REFERENCE, "--genes", 40, "--shift-um", 1, "--false", 0.2, "--low-qv", 0
    )
    assert "kidney_1" in said.out
    assert said.out.strip().endswith("out")
    assert {path.name for path in (place / "out").iterdir()} == {
        "wsis", "xenium_seg", "transcripts", "metadata", "truth", "simulation.json",
    }  # fmt: skip


def test_faults_are_one_message(place, told):
    said = told("tiles", "-o", "out", *REFERENCE, "--dropout", 3, "--lost", 2, "--classes", "1=x", code=2)
    assert said.err.count("error:") == 1
    assert "4 faults" not in said.err
    assert "3 faults" in said.err
    assert not (place / "out").exists()


def test_folders_and_samples_that_are_not_there(place, told):
    assert "has no images" in told("nowhere", "-o", "out", *REFERENCE, code=2).err
    said = told("tiles", "-o", "out", *REFERENCE, "--held", "prostate", code=2)
    assert "no picture and no organ prostate" in " ".join(said.err.split())
