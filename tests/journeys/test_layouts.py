"""The same study through other doors: Space Ranger folders, h5ad, a manifest; the domains come out."""

import pytest
import yaml

import triptych as tp
from triptych.readers.toy.study import Toy
from triptych.readers.toy.write_visium import write_space_ranger

RECIPE = "smooth-gaussian"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("visium")
    write_space_ranger(Toy(sections_per_donor=1, lattice="hex").make(), made)
    return made


def ari(table):
    scores = table.uns["triptych"]["scores"]
    return scores.query("metric == 'ari' and slot == 'obs:domain'").set_index("sample")["value"]


def test_space_ranger_h5ad_and_manifest_agree(folder, tmp_path):
    table = tp.read(folder)
    about = table.uns["triptych"]["samples"]
    assert set(about["lattice"]) == {"hex"}
    first = ari(tp.run(RECIPE, table))
    assert first["(mean)"] > 0.25
    table.write_h5ad(tmp_path / "study.h5ad")
    again = ari(tp.run(RECIPE, tmp_path / "study.h5ad"))
    assert again.equals(first)
    samples = {name: {"path": str(folder / name), "donor": name[0]} for name in ("A1", "B1")}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"samples": samples}))
    assert ari(tp.run(RECIPE, tmp_path / "study.yaml")).equals(first)


def test_the_image_view_of_space_ranger(folder):
    table = tp.run("cross-sample", folder, changes=["grid-triplet.epochs=3", "pca.hvg=0"])
    assert table.obsm["X_img.stain-texture"].shape[0] == table.n_obs


def test_the_report_says_which_column_the_labels_are(folder, tmp_path):
    tp.run(RECIPE, folder, out=tmp_path / "out")
    assert "<dd>obs:truth, from the column domain</dd>" in (tmp_path / "out" / "report.html").read_text(
        "utf-8"
    )
