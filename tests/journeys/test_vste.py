"""vste as a user runs it: cells with stains and molecules, their codes, another donor, and what codes add."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from anndata import read_h5ad

from triptych.readers.toy.crops_reader import ToyCrops

pytest.importorskip("umap")
pytest.importorskip("leidenalg")

SMALL = (
    "dual-vae.crop_px=40", "dual-vae.channels=[8, 8, 8]", "dual-vae.stain_channels=[4, 8, 8]",
    "dual-vae.latent=6", "dual-vae.epochs=3", "dual-vae.least_transcripts=1", "forest.trees=20",
    "umap.most=500", "umap.neighbours=10",
)  # fmt: skip
QUICK = (
    "leiden.try_neighbours=[10]", "leiden.try_resolutions=[0.5, 1.0]", "leiden.least=2",
    "multiplex-leiden.try_weights=[0.3, 0.7]", "multiplex-leiden.least=2", "forest.trees=20",
    "umap.most=500", "umap.neighbours=10", "permanova.permutations=99", "permdisp.permutations=99",
)  # fmt: skip


def triptych(where, *words, code=0):
    command = [sys.executable, "-m", "triptych", *map(str, words)]
    environment = {**os.environ, "TRIPTYCH_CACHE_DIR": str(where / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=where, env=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def changed(changes):
    return [word for change in changes for word in ("--set", change)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run on the first of two donors."""
    where = tmp_path_factory.mktemp("vste")
    study = ToyCrops(sections=2, cells=100).folder()
    (where / "study").symlink_to(study, target_is_directory=True)
    triptych(where, "run", "vste-5", "study", "--samples", "A1", "-o", "out", *changed(SMALL))
    return where


def test_codes_stand_beside_the_counts_and_are_judged_like_them(place):
    table = read_h5ad(place / "out" / "table.h5ad")
    assert table.obsm["X_both.vae5"].shape == (100, 6)
    for view in ("counts", "vae5"):
        forest = pd.read_csv(place / "out" / "tables" / f"forest.{view}.csv")
        assert set(forest["folds"]) == {"random", "blocks"}
    scores = pd.read_csv(place / "out" / "scores.csv")
    assert {"obs:domain", "obs:domain.counts"} <= set(scores.query("metric == 'completeness'")["slot"])


def test_the_report_shows_reconstructions_and_can_be_written_again(place):
    page = (place / "out" / "report.html").read_text("utf-8")
    for words in ("Reconstructions", "DAPI", "Membrane", "transcripts", "Known labels", "Random folds"):
        assert words in page
    triptych(place, "report", "out")
    again = (place / "out" / "report.html").read_text("utf-8")
    assert "Reconstructions" in again
    assert again.count("<img") == page.count("<img")


def test_what_was_learned_encodes_another_donor_with_the_same_bits_each_time(place):
    for out in ("new", "newer"):
        triptych(place, "apply", "out", "study", "--samples", "B1", "-o", out)
    one, other = (read_h5ad(place / out / "table.h5ad").obsm["X_both.vae5"] for out in ("new", "newer"))
    assert one.shape == (100, 6)
    assert np.isfinite(one).all()
    assert one.tobytes() == other.tobytes()


def test_whatever_views_a_table_holds_are_judged(place):
    """The table of the first run holds two views, counts' components among them."""
    table = place / "out" / "table.h5ad"
    triptych(place, "run", "vste-evaluate", table, "-o", "judged", *changed(QUICK))
    tables = {path.stem for path in (place / "judged" / "tables").iterdir()}
    for view in ("vae5", "pca"):
        assert {f"permanova.{view}", f"permdisp.{view}", f"forest.{view}", f"ridge.{view}"} <= tables
    assert {"forest.counts", "jaccard.multiplex.counts.vae5", "jaccard.multiplex.random-genes.vae5"} <= tables
    pairs = pd.read_csv(place / "judged" / "tables" / "permanova.vae5.csv")
    assert len(pairs) == 10  # of five types
    page = (place / "judged" / "report.html").read_text("utf-8")
    assert "genes were chosen by the known labels" in page
    assert "Multiplexing counts with vae5" in page
    assert "Multiplexing counts with shuffled-vae5" in page


def test_data_without_views_stop_with_a_sentence(place):
    done = triptych(place, "run", "vste-evaluate", "study", "--samples", "A1", "-o", "none", code=2)
    assert "they hold none" in done.stderr
    assert "Traceback" not in done.stderr


def test_data_without_molecules_stop_with_a_sentence(place):
    done = triptych(place, "run", "vste-1", "toy", "-o", "none", code=2)
    assert "no single transcripts of A1" in done.stderr
    assert "Traceback" not in done.stderr
