"""A new user fits on one donor and applies to another: the same bits every time, and nothing leaks."""

import gzip
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from anndata import read_h5ad

import triptych as tp
from triptych.pipeline.applying import apply
from triptych.pipeline.chain import Chain
from triptych.pipeline.recipe import parse
from triptych.pipeline.run import run
from triptych.readers.toy.study import Toy
from triptych.readers.toy.write import write_spatial_transcriptomics

RECIPE = """\
name: small
seed: 3
steps:
  - {do: encode, use: pca, with: {components: 5}, to: "obsm:X_rna.pca"}
  - {do: encode, use: stain-texture, to: "obsm:X_img.stain-texture"}
  - {do: align, use: center, x: "obsm:X_rna.pca", to: "obsm:X_rna.pca.center"}
  - do: fuse
    use: concat
    views: {img: "obsm:X_img.stain-texture", rna: "obsm:X_rna.pca.center"}
    to: "obsm:X_fused"
  - {do: cluster, use: gaussian, x: "obsm:X_fused", k_from: truth, with: {k: 4}, to: "obs:domain.raw"}
  - {do: refine, use: majority, labels: "obs:domain.raw", with: {neighbours: 5}, to: "obs:domain"}
  - {do: score, use: ari, guess: "obs:domain"}
"""


def triptych(where, *words):
    command = [sys.executable, "-m", "triptych", *map(str, words)]
    environment = {**os.environ, "TRIPTYCH_CACHE_DIR": str(where / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=where, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def files(folder):
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study of two donors, and a run on the sections of the first."""
    where = tmp_path_factory.mktemp("place")
    write_spatial_transcriptomics(Toy(side=10, genes=60).make(), where / "study")
    (where / "small.yaml").write_text(RECIPE)
    triptych(where, "run", "small.yaml", "study", "--samples", "A1,A2", "-o", "out")
    return where


@pytest.fixture(scope="module")
def applied(place):
    return triptych(place, "apply", "out", "study", "--samples", "B1", "-o", "new")


def test_a_section_of_another_donor_is_embedded_and_labelled(place, applied):
    table = read_h5ad(place / "new" / "table.h5ad")
    assert set(table.obs["sample"]) == {"B1"}
    assert np.isfinite(table.obsm["X_fused"]).all()
    fit = read_h5ad(place / "out" / "table.h5ad")
    assert table.obsm["X_fused"].shape[1] == fit.obsm["X_fused"].shape[1]
    assert set(table.obs["domain"].astype(str)) <= set(fit.obs["domain"].astype(str))
    distance = pd.read_csv(place / "new" / "tables" / "distance.csv")
    assert set(distance["slot"]) >= {"layers:counts", "obsm:X_rna.pca", "obsm:X_fused"}
    assert (distance["distance"] >= 0).all()
    centred = distance.set_index("slot").loc["obsm:X_rna.pca.center"]
    assert np.isnan(
        centred["ratio"]
    )  # centring makes all means equal: a ratio of rounding errors says nothing
    scores = pd.read_csv(place / "new" / "scores.csv")
    assert set(scores["protocol"]) == {"donor held out, oracle K of the fit"}
    assert "small, applied" in (place / "new" / "report.html").read_text("utf-8")
    assert "nan" not in applied.stdout
    assert "report: new/report.html" in applied.stdout


def test_two_applies_and_python_give_the_same_bits(place, applied):
    triptych(place, "apply", "out/model", "study", "--samples", "B1", "-o", "again")
    tables = [read_h5ad(place / name / "table.h5ad") for name in ("new", "again")]
    tables.append(tp.apply(place / "out", tp.read(place / "study", samples=["B1"])))
    for other in tables[1:]:
        for key in ("X_rna.pca", "X_img.stain-texture", "X_rna.pca.center", "X_fused"):
            assert tables[0].obsm[key].tobytes() == other.obsm[key].tobytes(), key
        assert (tables[0].obs["domain"].astype(str) == other.obs["domain"].astype(str)).all()
    for name in ("scores.csv", "tables/distance.csv"):
        assert (place / "new" / name).read_bytes() == (place / "again" / name).read_bytes(), name


def rewrite(path, change):
    packed = path.suffix == ".gz"
    text = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).decode()
    made = change(text).encode()
    path.write_bytes(gzip.compress(made) if packed else made)


def poisoned_counts(text):
    """Other counts, and genes that no other section has."""
    head, *rows = text.rstrip("\n").split("\n")
    changed = [line.split("\t")[0] + "\t" + "\t".join(["977"] * line.count("\t")) for line in rows]
    return "\n".join([head.replace("GENE0", "OTHER0"), *changed]) + "\n"


def poisoned_places(text):
    head, *rows = text.rstrip("\n").split("\n")
    return "\n".join([head, *reversed(rows)]) + "\n"


def poison(study, donor):
    """Alter everything that the files say of a donor's sections."""
    for path in (study / "counts").glob(f"{donor}*"):
        rewrite(path, poisoned_counts)
    for path in (study / "spots").glob(f"{donor}*"):
        rewrite(path, lambda text: poisoned_places(text).replace("\t1\n", "\t0\n", 5))
    for path in (study / "labels").glob(f"{donor}*"):
        rewrite(path, lambda text: text.replace("invasive cancer", "adipose tissue"))
    for path in (study / "images").glob(f"{donor}*"):
        path.write_bytes(b"no picture")


def test_nothing_of_the_held_out_donors_files_reaches_the_model(place, tmp_path):
    shutil.copytree(place / "study", tmp_path / "study")
    shutil.copy(place / "small.yaml", tmp_path)
    before = files(tmp_path / "study")
    poison(tmp_path / "study", "B")
    after = files(tmp_path / "study")
    assert {name for name in before if before[name] != after[name]} == {
        name for name in before if "/B" in name and "proportions" not in name
    }
    triptych(tmp_path, "run", "small.yaml", "study", "--samples", "A1,A2", "-o", "out")
    assert files(place / "out" / "model") == files(tmp_path / "out" / "model")
    assert files(place / "out")["scores.csv"] == files(tmp_path / "out")["scores.csv"]


ALIGNERS = {
    "none": "{do: align, use: none, x: 'obsm:X_rna.pca', to: 'obsm:X_rna.aligned'}",
    "center": "{do: align, use: center, x: 'obsm:X_rna.pca', to: 'obsm:X_rna.aligned'}",
    "combat": "{do: align, use: combat, x: 'obsm:X_rna.pca', to: 'obsm:X_rna.aligned'}",
    "harmony": "{do: align, use: harmony, x: 'obsm:X_rna.pca', to: 'obsm:X_rna.aligned'}",
    "scanorama": "{do: align, use: scanorama, x: 'obsm:X_rna.pca', to: 'obsm:X_rna.aligned'}",
    "scvi": "{do: align, use: scvi, x: 'layers:counts', with: {latent: 4, hidden: 8, epochs: 2}, "
    "to: 'obsm:X_rna.aligned'}",
}
ENDS = {
    "smooth+gaussian": """
  - {do: fuse, use: smooth, views: {rna: "obsm:X_rna.aligned"}, with: {components: 0}, to: "obsm:X_fused"}
  - {do: cluster, use: gaussian, x: "obsm:X_fused", with: {k: 3}, to: "obs:domain"}""",
    "grid-triplet+kmeans+majority": """
  - do: fuse
    use: grid-triplet
    views: {rna: "obsm:X_rna.aligned"}
    with: {window: 3, latent: 4, hidden: 8, members: 1, clusters: 3, epochs: 2}
    to: "obsm:X_fused"
  - {do: cluster, use: kmeans, x: "obsm:X_fused", with: {k: 3}, to: "obs:domain.raw"}
  - {do: refine, use: majority, labels: "obs:domain.raw", with: {neighbours: 4}, to: "obs:domain"}""",
    "concat+leiden": """
  - {do: fuse, use: concat, views: {rna: "obsm:X_rna.aligned"}, to: "obsm:X_fused"}
  - {do: cluster, use: leiden, x: "obsm:X_fused", with: {neighbours: 8}, to: "obs:domain"}""",
}
PCA = "{do: encode, use: pca, with: {components: 4}, to: 'obsm:X_rna.pca'}"


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("aligner", ALIGNERS)
def test_every_chain_is_saved_and_applied(aligner, end, make_table, tmp_path):
    if aligner in {"scanorama", "scvi"}:
        pytest.importorskip(aligner, reason="the extra align is not installed")
    view = [] if aligner == "scvi" else [PCA]
    steps = "\n".join(f"  - {step}" for step in [*view, ALIGNERS[aligner]]) + ENDS[end]
    table = make_table(samples=("A1", "B1", "C1"))
    fit, new = (table[(table.obs["sample"] == "C1") == held].copy() for held in (False, True))
    run(parse(f"name: chain\nsteps:\n{steps}\n", "chain"), fit).chain.save(tmp_path)
    apply(Chain.load(tmp_path), new)
    for key, x in fit.obsm.items():
        if key.startswith("X_"):
            assert new.obsm[key].shape == (new.n_obs, x.shape[1])
            assert np.isfinite(new.obsm[key]).all()
    assert set(new.obs["domain"].astype(str)) <= set(fit.obs["domain"].astype(str))
