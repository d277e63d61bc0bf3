"""What encoders of crops are given: centres, stains and molecules in one frame, section by section."""

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import tifffile

from triptych.core.errors import DataError, MissingSlotError
from triptych.pipeline.cropping import crops_of
from triptych.pipeline.study import STUDY, Study
from triptych.runs import read

MATRIX = [[4.0, 0.0, 10.0], [0.0, 4.0, 20.0]]  # 4 px per µm, moved


@dataclass(frozen=True)
class Seeing:
    """An encoder that looks at stains and molecules."""

    stains: tuple[str, ...] = ()
    sees: ClassVar[frozenset[str]] = frozenset({"stains", "molecules"})


@pytest.fixture(autouse=True)
def cached(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def toy():
    return read("toy", samples=["A1", "A2"])


@pytest.fixture
def table(toy, tmp_path):
    """Two sections of the toy with stains and molecules put beside them; rows of both are mixed."""
    held = toy.copy()
    held = held[np.random.default_rng(0).permutation(held.n_obs)].copy()
    about = held.uns["triptych"]["samples"].astype({"stains": object, "stain_matrix": object})
    rng = np.random.default_rng(1)
    for name in ("A1", "A2"):
        files = {}
        for stain in ("DAPI", "Membrane"):
            files[stain] = str(tmp_path / f"{name}-{stain}.tif")
            tifffile.imwrite(files[stain], rng.integers(0, 4096, (60, 50), dtype=np.uint16))
        mine = held.obs_names[held.obs["sample"] == name].to_numpy()
        molecules = pd.DataFrame({
            "x": rng.uniform(0, 90, 40), "y": rng.uniform(0, 90, 40),
            "gene": rng.choice(held.var_names[:5], 40), "cell": rng.choice([*mine[:3], "UNASSIGNED"], 40),
        })  # fmt: skip
        molecules["cell"] = [cell.removeprefix(f"{name}_") for cell in molecules["cell"]]
        molecules.to_csv(tmp_path / f"{name}.csv", index=False)
        about.loc[name, ["stains", "stain_matrix", "transcripts"]] = [
            json.dumps(files), json.dumps(MATRIX), str(tmp_path / f"{name}.csv"),
        ]  # fmt: skip
    held.uns["triptych"]["samples"] = about
    return held


def test_centres_are_in_pixels_of_the_stains(table):
    found = crops_of(Study(table), Seeing(), STUDY)
    expected = table.obsm["spatial_um"] * 4 + [10, 20]
    assert np.allclose(found.centres_px, expected)
    assert found.mpp == pytest.approx((0.25, 0.25))
    names = Study(table).samples
    assert [names[code] for code in found.sample] == table.obs["sample"].tolist()


def test_each_section_has_its_own_stains(table):
    study = Study(table)
    found = crops_of(study, Seeing(), STUDY)
    assert found.stains == ("DAPI", "Membrane")
    for code, name in enumerate(study.samples):
        files = json.loads(study.about.loc[name, "stains"])
        for k, stain in enumerate(found.stains):
            assert np.array_equal(found.pixels[code][k], tifffile.imread(files[stain]))


def test_channels_are_chosen_or_left_out_by_name(table):
    study = Study(table)
    assert crops_of(study, Seeing(("Membrane",)), "A1").stains == ("Membrane",)
    assert crops_of(study, Seeing(("-DAPI",)), "A1").stains == ("Membrane",)
    with pytest.raises(DataError, match=r"A1 has no Actin; it has DAPI, Membrane"):
        crops_of(study, Seeing(("Actin",)), "A1")
    with pytest.raises(DataError, match="which is left out"):
        crops_of(study, Seeing(("-DAPI", "-Membrane")), "A1")


def test_molecules_lie_in_the_same_frame_and_know_the_rows_of_their_cells(table, tmp_path):
    study = Study(table)
    found = crops_of(study, Seeing(), STUDY)
    for code, name in enumerate(study.samples):
        given = pd.read_csv(tmp_path / f"{name}.csv")
        mine = found.molecules[code]
        assert np.allclose(mine.px, given[["x", "y"]] * 4 + [10, 20], atol=1e-4)
        assert list(found.genes[mine.gene]) == given["gene"].tolist()
        for cell, row in zip(given["cell"], mine.cell, strict=True):
            assert (table.obs_names[row] == f"{name}_{cell}") if row >= 0 else cell == "UNASSIGNED"
            assert row < 0 or found.sample[row] == code


def test_a_section_alone_counts_its_rows_from_0(table):
    study = Study(table)
    alone, all_of_it = crops_of(study, Seeing(), "A2"), crops_of(study, Seeing(), STUDY)
    rows = study.rows("A2")
    assert np.array_equal(alone.centres_px, all_of_it.centres_px[rows])
    place = study.samples.index("A2")
    inside = alone.molecules[0].cell >= 0
    assert np.array_equal(rows[alone.molecules[0].cell[inside]], all_of_it.molecules[place].cell[inside])


def test_what_is_not_looked_at_is_not_read(table):
    blind = SimpleNamespace(sees=frozenset({"molecules"}), stains=())
    assert crops_of(Study(table), blind, STUDY).pixels == ((), ())
    deaf = SimpleNamespace(sees=frozenset({"stains"}), stains=())
    assert crops_of(Study(table), deaf, STUDY).molecules == ()


def test_pixels_are_those_of_the_image_where_there_are_no_stains(table):
    about = table.uns["triptych"]["samples"]
    about["stain_matrix"] = ""
    blind = SimpleNamespace(sees=frozenset({"molecules"}), stains=())
    found = crops_of(Study(table), blind, STUDY)
    mpp = float(about["mpp"].iloc[0])
    assert np.allclose(found.centres_px, table.obsm["spatial_um"] / mpp)
    about["mpp"] = np.nan
    with pytest.raises(DataError, match="nothing gives the µm per pixel"):
        crops_of(Study(table), blind, STUDY)


def test_what_is_missing_is_named(table):
    table.uns["triptych"]["samples"].loc["A2", ["stains", "transcripts"]] = ""
    study = Study(table)
    with pytest.raises(MissingSlotError, match=r"There are no stains of A2.*manifest"):
        study.require("stains")
    with pytest.raises(MissingSlotError, match=r"There are no single transcripts of A2.*transcripts: FILE"):
        study.require("molecules")


def test_identity_follows_the_files_and_the_matrix(table, tmp_path):
    def digests():
        study = Study(table)
        return [study.digest(slot, name) for slot in ("stains", "molecules") for name in study.samples]

    before = digests()
    assert digests() == before
    assert len(set(before)) == 4
    (tmp_path / "A1.csv").write_text((tmp_path / "A1.csv").read_text() + "1,1,g0,UNASSIGNED\n")
    changed = [a != b for a, b in zip(before, digests(), strict=True)]
    assert sum(changed) == 1
    table.uns["triptych"]["samples"]["stain_matrix"] = json.dumps([[2.0, 0, 0], [0, 2.0, 0]])
    assert all(a != b for a, b in zip(before, digests(), strict=True))
