"""Transcripts teach a model of nuclei: a run, what it is applied to, what is killed, and every bad file."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import tifffile
from anndata import read_h5ad

from triptych.cli import main
from triptych.pipeline.recipe import load, parse
from triptych.pipeline.run import run as run_recipe
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.runs import How, finish, load_chain
from triptych.tiles.label_store import LabelStore

from .nuclei_study import (
    GENES,
    PANEL,
    QUICK,
    SECTIONS,
    TYPES,
    Painted,
    changes,
    other,
    place,
    write,
    write_picture,
    write_rings,
    write_words,
)  # fmt: skip

NEW = Painted("L1", "Lung", "D9", side_px=256)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with a study, its run in ``out``, and a picture of other tissue; and its cache."""
    where = tmp_path_factory.mktemp("st-nuclei")
    write(where / "study")
    tifffile.imwrite(where / "slide.tif", NEW.picture())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE_DIR", str(where / "cache"))
        patch.chdir(where)
        patch.setattr(sys, "argv", ["triptych", "run", "st-nuclei", "study", "-o", "out", *changes()])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
    return where


@pytest.fixture
def there(done, tmp_path, monkeypatch):
    """We stand in a folder of our own, with the cache of the run."""
    monkeypatch.setenv("TRIPTYCH_CACHE_DIR", str(done / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def told(capsys, monkeypatch):
    """Run the command line here and give what it says on stderr; a traceback would be raised."""

    def command(*words, code=0):
        monkeypatch.setattr(sys, "argv", ["triptych", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == code, said.out + said.err
        assert said.err.count("error:") == (1 if code else 0)
        return " ".join((said.err if code else said.out).split())

    return command


# -- the run -----------------------------------------------------------------------------------------


def test_a_run_leaves_tiles_a_model_scores_and_a_report(done):
    out = done / "out"
    store = LabelStore.open(out / "tiles" / "outlines", check=True)
    assert set(store.about["sample"]) == {one.name for one in SECTIONS}
    assert set(store.classes) <= {*TYPES, "neoplastic"}
    assert (out / "report.html").stat().st_size > 10_000
    scores = pd.read_csv(out / "scores.csv")
    found = scores[scores["slot"].isin(["nuclei:unet-hv", "nuclei:watershed-stain"])]
    assert {"dice", "aji", "pq", "pq-pooled", "detection-f1", "count-error", "mpq"} <= set(found["metric"])
    assert set(found["protocol"]) == {"organ held out, known nuclei"}
    dice = found[found["metric"] == "dice"].set_index(["slot", "sample"])["value"]
    assert (dice["nuclei:watershed-stain"][[one.name for one in SECTIONS]] > 0.9).all()
    assert json.loads((out / "provenance.json").read_text())["steps"][0]["do"] == "register"
    assert [link.step.do for link in load_chain(out).links if link.model is not None] == ["segment"] * 2


def test_types_and_places_are_those_that_were_painted(done):
    table = read_h5ad(done / "out" / "table.h5ad")
    kind = table.obs["nucleus_type"].astype(str).replace("neoplastic", "epithelial")
    known = kind != "nan"
    assert known.mean() > 0.9
    assert (kind == table.obs["truth"].astype(str))[known].mean() > 0.9
    moved = (table.obsm["spatial_registered"] - table.obsm["spatial"]) * 0.25
    for one in SECTIONS:
        mine = (table.obs["sample"] == one.name).to_numpy()
        assert np.median(moved[mine], axis=0) == pytest.approx(one.shift_um, abs=0.4)


def test_a_second_run_takes_everything_from_the_cache(done, there):
    record = finish(
        load("st-nuclei", QUICK), read(done / "study"), "study", out=None, reading=ReadOptions(), how=How()
    )
    states = {step.do: set(step.state.values()) for step in record.steps}
    assert states["register"] == states["annotate"] == states["segment"] == {"cached"}
    ours, theirs = record.scores, pd.read_csv(done / "out" / "scores.csv")
    assert list(ours["slot"]) == list(theirs["slot"])
    assert ours["value"].to_numpy() == pytest.approx(theirs["value"].to_numpy(), abs=1e-12, nan_ok=True)


# -- what was learned, on other pictures -------------------------------------------------------------


@pytest.fixture(scope="module")
def applied(done):
    """The network alone on a slide, in ``new``: it is the last to segment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE_DIR", str(done / "cache"))
        patch.chdir(done)
        words = ["apply", "out", "slide.tif", "--mpp", "0.25", "--pitch-um", "16", "-o", "new"]
        patch.setattr(sys, "argv", ["triptych", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
    return done / "new"


def test_nuclei_of_a_slide_are_written_for_other_programs(applied):
    import shapely

    (geojson,) = (applied / "slides").glob("*.nuclei.geojson")
    features = json.loads(geojson.read_text())["features"]
    frame = pd.read_csv(str(geojson).replace(".geojson", ".csv"), index_col="id")
    assert len(features) == len(frame) > 0
    assert len({one["id"] for one in features}) == len(features)
    for one in features:
        (ring,) = one["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        assert shapely.Polygon(ring).is_valid
        row = frame.loc[one["properties"]["name"]]
        assert shapely.Polygon(ring).area * 0.25**2 == pytest.approx(row["area_um2"], abs=1e-2)
        assert one["properties"]["classification"]["name"] == row["type"]
    kinds = [name for name in frame if name.startswith("p_")]
    assert frame[kinds].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-3)
    assert (frame[["x_px", "y_px"]].to_numpy() >= 0).all()
    assert list((applied / "slides").glob("*.png"))
    assert (applied / "report.html").is_file()


@pytest.mark.skipif(not find_spec("spatialdata"), reason="spatialdata is not installed")
def test_shapes_of_a_slide_can_be_read_again(applied):
    from spatialdata import read_zarr

    (store,) = (applied / "slides").glob("*.nuclei.zarr")
    frame = pd.read_csv(str(store).replace(".zarr", ".csv"), index_col="id")
    again = read_zarr(store)
    assert list(again["nuclei"].index) == list(frame.index)
    assert again["nuclei"].area.to_numpy() * 0.25**2 == pytest.approx(frame["area_um2"].to_numpy(), abs=1e-2)
    assert list(again["nuclei_types"].obs["type"].astype(str)) == list(frame["type"])


def test_a_section_whose_nuclei_are_known_is_scored(done, there, told):
    one = other(SECTIONS[0], name="N1", donor="D7", organ="Lung")
    told("apply", done / "out", write(there / "other", [one]), "-o", there / "new")
    scores = pd.read_csv(there / "new" / "scores.csv")
    dice = scores[scores["metric"] == "dice"].set_index(["slot", "sample"])["value"]
    assert dice["nuclei:watershed-stain", "N1"] > 0.9
    assert np.isfinite(dice["nuclei:unet-hv", "N1"])


def test_a_slide_without_a_resolution_is_refused(done, there, told):
    message = told("apply", done / "out", done / "slide.tif", "-o", there / "new", code=2)
    assert "--mpp" in message
    assert not (there / "new").exists()


def test_nuclei_counts_are_a_view_for_other_recipes(done, there):
    net = next(path for path in sorted((done / "out" / "model").glob("step-*"))
               if json.loads((path / "model.json").read_text())["model"] == "HvModel")  # fmt: skip
    text = (
        "name: counts\nsteps:\n  - {do: encode, use: nuclei-counts, with: {model: "
        f'"{net}", window_um: 16, spot_um: 0}}, to: "obsm:X_img.nuclei"}}\n'
    )
    table = read(done / "study", ReadOptions(samples=("K1",)))
    run_recipe(parse(text, "counts"), table)
    model = load_chain(done / "out").links[-1].model
    found = table.obsm["X_img.nuclei"]
    assert found.shape == (table.n_obs, len(model.classes) + 2)
    assert np.array_equal(found[:, : len(model.classes)].sum(axis=1), found[:, -2])


# -- killed ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("entries", [2, 6])
def test_a_run_that_is_killed_resumes_and_gives_the_same_bits(done, tmp_path, entries):
    command = [sys.executable, "-m", "triptych", "run", "st-nuclei", str(done / "study"), *changes()]
    environment = {**os.environ, "TRIPTYCH_CACHE_DIR": str(tmp_path / "cache")}
    out = ["-o", str(tmp_path / "out")]
    process = subprocess.Popen([*command, *out], env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(tmp_path.glob("cache/steps/*/*/entry.json"))) < entries:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    assert not (tmp_path / "out").exists()
    subprocess.run([*command, *out], env=environment, check=True, capture_output=True)
    ours, theirs = tmp_path / "out", done / "out"
    assert (ours / "scores.csv").read_bytes() == (theirs / "scores.csv").read_bytes()
    for path in sorted((theirs / "model").rglob("*.safetensors")):
        assert (ours / path.relative_to(theirs)).read_bytes() == path.read_bytes()
    for path in sorted((theirs / "tiles").rglob("*.npy")):
        assert (ours / path.relative_to(theirs)).read_bytes() == path.read_bytes()


# -- bad files ---------------------------------------------------------------------------------------

K1 = SECTIONS[0]
OUTLINES = "xenium_seg/K1_xenium_nucleus_seg.parquet"
MOLECULES = "transcripts/K1_transcripts.parquet"


def molecules(root, change):
    frame = pd.read_parquet(root / MOLECULES)
    change(frame).to_parquet(root / MOLECULES)


def far_away(frame):
    return frame.assign(he_x=frame["he_x"].where(frame.index % 10 > 0, 9000))


def renamed(root):
    for one in SECTIONS:
        path = root / "transcripts" / f"{one.name}_transcripts.parquet"
        frame = pd.read_parquet(path)
        frame.assign(feature_name="X" + frame["feature_name"]).to_parquet(path)
        write_words(root, one, panel=[])


def no_shared_gene(root):
    molecules(root, lambda frame: frame.assign(feature_name="Y" + frame["feature_name"]))
    for one in SECTIONS:
        write_words(root, one, panel=[])


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD = {
    "no outlines": (lambda r: (r / OUTLINES).unlink(), "K1.*xenium_seg/K1_xenium_nucleus_seg.parquet is|are"),
    "outlines truncated": (lambda r: half(r / OUTLINES), "K1.*K1_xenium_nucleus_seg.parquet"),
    "transcripts truncated": (lambda r: half(r / MOLECULES), "K1.*K1_transcripts.parquet"),
    "transcripts far away": (lambda r: molecules(r, far_away), "K1.*transcripts.*outside"),
    "no pixel size": (lambda r: write_words(r, K1, pixel_size_um_estimated=None), "how large a pixel is"),
    "a pixel of no size": (lambda r: write_words(r, K1, pixel_size_um_estimated=-1), "not micrometres"),
    "no image": (lambda r: (r / "wsis/K1.tif").unlink(), "K1.*wsis/K1.tif"),
    "image damaged": (lambda r: half(r / "wsis/K1.tif"), "K1"),
    "no transcripts": (lambda r: molecules(r, lambda f: f[:0]), "K1.*the section is empty"),
    "no outline in the file": (lambda r: write_rings(r, "K1", []), "K1.*outlines|nuclei"),
    "unknown genes": (renamed, "cannot be told"),
    "no shared gene": (no_shared_gene, "share no gene|genes"),
    "labels of another size": (
        lambda r: tifffile.imwrite(r / "truth/instances/K1.tif", np.ones((9, 9), np.uint32)), "9 × 9 px",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_a_message_and_leaves_nothing_behind(done, there, told, name):
    import re

    harm, words = BAD[name]
    root = shutil.copytree(done / "study", there / "bad")
    harm(root)
    message = told("run", "st-nuclei", root, "-o", there / "out", *changes(), code=2)
    assert re.search(words, message), message
    assert not (there / "out").exists()


def test_a_marker_file_with_an_unknown_class_is_refused(done, there, told):
    (there / "own.yaml").write_text(
        "organism: human\nsources: {me: myself}\nclasses:\n"
        "  inflamatory: {programmes: {t: {positive: [CD3D, CD3E], source: me}}}\n"
    )
    words = changes(f"hierarchical.markers={there / 'own.yaml'}")
    message = told("run", "st-nuclei", done / "study", "-o", there / "out", *words, code=2)
    assert "there is no class inflamatory. Did you mean inflammatory" in message


def test_sections_of_one_organ_say_what_to_do(done, there, told):
    message = told(
        "run", "st-nuclei", done / "study", "--samples", "K1,K2", "-o", there / "out", *changes(), code=2
    )
    assert "All sections are of one organ (Kidney)" in message
    assert "segment.held_out=donor" in message


# -- the rooms, and data that are simulated ----------------------------------------------------------


@pytest.mark.parametrize(
    ("room", "names"),
    [
        ("registrars", ["stain-correlation", "none"]),
        ("annotators", ["marker-score", "hierarchical", "cluster-vote", "precomputed"]),
        ("segmenters", ["unet-hv", "hovernet", "cellvit", "watershed-stain"]),
    ],
)
def test_the_rooms_are_listed_and_each_component_is_shown(told, room, names):
    said = told("list", room)
    for name in names:
        assert name in said
        assert told("show", room, name)


@pytest.mark.slow
def test_simulated_data_run(tmp_path, told):
    from anndata import AnnData

    rng = np.random.default_rng(0)
    for one in (SECTIONS[0], SECTIONS[3]):
        for part, pixels in (("images", one.picture()), ("instances", one.labels().astype(np.uint16))):
            tifffile.imwrite(place(tmp_path / "drawn", part, f"{one.organ.lower()}_{one.name}.tif"), pixels)
    kinds = np.repeat(TYPES[:2], 20)  # epithelium is made of them, as lymph nodes have none
    genes = [*GENES, *(f"H{i}" for i in range(60))]
    rates = np.array([[8.0 if gene in PANEL[kind] else 0.3 for gene in genes] for kind in kinds])
    names = pd.Index([f"c{i}" for i in range(len(kinds))])
    reference = AnnData(rng.poisson(rates).astype(np.float32), obs=pd.DataFrame({"ct": kinds}, index=names))
    reference.var_names = genes
    reference.write_h5ad(tmp_path / "reference.h5ad")
    types = "{" + ", ".join(f"{kind}: [{kind}]" for kind in TYPES[:2]) + "}"
    told("simulate", tmp_path / "drawn", "-o", tmp_path / "made", "--reference", tmp_path / "reference.h5ad",
         "--reference-types", types, "--genes", 60, "--shift-um", 1)  # fmt: skip
    told("run", "st-nuclei", tmp_path / "made", "-o", tmp_path / "out", *changes())
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_picture_that_is_all_glass_is_learned_from_without_a_fault(there):
    """Nothing is found where nothing is; no score divides by zero."""
    folder = write(there / "glass")
    write_picture(folder, SECTIONS[3], np.full((192, 192, 3), 245, np.uint8))
    table = read(folder)
    text = 'name: s\nsteps:\n  - {do: segment, use: watershed-stain, tile_px: 64, to: "nuclei:x"}\n'
    record = run_recipe(parse(f'{text}  - {{do: score, use: pq, guess: "nuclei:x"}}\n', "s"), table).record
    assert (record.scores.query("sample == 'B2' and slot == 'nuclei:x'")["value"] == 0).all()
