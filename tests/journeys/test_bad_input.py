"""Every fault a user's files may have: one message, exit code 2, nothing left behind, never a traceback."""

import gzip
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from anndata import AnnData

from triptych.readers.toy.study import Toy
from triptych.readers.toy.write import write_spatial_transcriptomics


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("toy")
    write_spatial_transcriptomics(Toy(sections_per_donor=1, side=10, genes=60).make(), made)
    return made


@pytest.fixture
def study(folder, tmp_path):
    import shutil

    return shutil.copytree(folder, tmp_path / "study")


def run(data, tmp_path, *words, code=2):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "triptych", "run", "smooth-gaussian", str(data), "-o", str(out), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    assert not out.exists()
    return " ".join(done.stderr.split())


def counts_of(study, sample="A1"):
    return study / "counts" / f"{sample}.tsv.gz"


def rewrite(path, change):
    text = gzip.decompress(path.read_bytes()).decode()
    path.write_bytes(gzip.compress(change(text).encode()))


def cell(text, row, column, value):
    lines = text.split("\n")
    parts = lines[row].split("\t")
    parts[column] = value
    lines[row] = "\t".join(parts)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda s: rewrite(counts_of(s), lambda t: cell(t, 3, 2, "-1")), "negative"),
        (lambda s: rewrite(counts_of(s), lambda t: cell(t, 3, 2, "0.5")), "fraction"),
        (
            lambda s: rewrite(counts_of(s), lambda t: cell(t, 3, 2, "nan")),
            "not a number|NaN|not finite|missing",
        ),
        (
            lambda s: rewrite(counts_of(s), lambda t: t + t.split("\n")[1] + "\n"),
            "twice|duplicate|more than once",
        ),
        (lambda s: counts_of(s).write_bytes(counts_of(s).read_bytes()[:-200]), "truncated|damaged|cut"),
        (lambda s: (s / "spots" / "A1_selection.tsv").unlink(), "A1_selection.tsv"),
        (lambda s: rewrite(counts_of(s), lambda t: t.split("\n")[0] + "\n"), "none of the 0 spots|empty"),
    ],
    ids=["negative", "fractional", "nan", "duplicate", "truncated gzip", "missing file", "empty sample"],
)
def test_faults_of_the_counts(study, tmp_path, harm, words):
    import re

    harm(study)
    message = run(study, tmp_path)
    assert re.search(words, message, re.IGNORECASE), message
    assert "A1" in message


def image_of(study):
    return next((study / "images").glob("A1.*"))


def test_a_truncated_image(study, tmp_path):
    image = image_of(study)
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    assert image.name in run(study, tmp_path)


def test_spots_outside_the_image(study, tmp_path):
    spots = study / "spots" / "A1_selection.tsv"
    lines = spots.read_text().split("\n")
    head = lines[0].split("\t")
    parts = lines[1].split("\t")
    parts[head.index("pixel_x")] = "999999"
    spots.write_text("\n".join([lines[0], "\t".join(parts), *lines[2:]]))
    assert "outside" in run(study, tmp_path)


def test_all_faults_of_all_samples_together(study, tmp_path):
    (study / "spots" / "A1_selection.tsv").unlink()
    rewrite(counts_of(study, "B1"), lambda text: cell(text, 3, 2, "-1"))
    message = run(study, tmp_path)
    assert "A1_selection.tsv" in message
    assert "negative" in message


def h5ad(path, genes, name="s"):
    table = AnnData(sp.csr_matrix(np.ones((5, len(genes)), dtype=np.float32)))
    table.var_names = genes
    table.obs_names = [f"{name}{i}" for i in range(5)]
    table.obsm["spatial"] = np.random.default_rng(0).random((5, 2))
    table.write_h5ad(path)


def test_samples_without_shared_genes(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    h5ad(data / "one.h5ad", ["a", "b"])
    h5ad(data / "two.h5ad", ["c", "d"])
    message = run(data, tmp_path)
    assert "one" in message
    assert "two" in message
    assert "shared" in message or "share" in message


def test_a_truncated_h5ad(tmp_path):
    h5ad(tmp_path / "one.h5ad", ["a", "b"])
    whole = (tmp_path / "one.h5ad").read_bytes()
    (tmp_path / "one.h5ad").write_bytes(whole[: len(whole) // 2])
    assert "one.h5ad" in run(tmp_path / "one.h5ad", tmp_path)


def test_k_larger_than_n(study, tmp_path):
    message = run(study, tmp_path, "--set", "cluster.k=100000", "--set", "cluster.k_from=recipe")
    assert "k = 100000 is larger than" in message


def test_an_unwritable_out(study, tmp_path):
    (tmp_path / "file").write_text("")
    command = [
        sys.executable,
        "-m",
        "triptych",
        "run",
        "smooth-gaussian",
        str(study),
        "-o",
        str(tmp_path / "file"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert (tmp_path / "file").read_text() == ""
