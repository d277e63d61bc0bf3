"""Simulated sections as files: the truth and the dials; every fault of an input is told."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import tifffile
from PIL import Image

from triptych.core.errors import DataError, OutputError
from triptych.pipeline.simulating import simulate, true_displacement
from triptych.pipeline.simulating_files import chosen, load, sections_of
from triptych.pipeline.simulating_profiles import EPITHELIAL, NEOPLASTIC, read_profiles
from triptych.pipeline.simulating_settings import Settings, settings_of

pq = pytest.importorskip("pyarrow.parquet")
shapely = pytest.importorskip("shapely")

QUIET = {
    "dropout": 0, "spill": 0, "misassigned": 0, "background": 0, "low_quality": 0, "controls": 0,
    "shift_um": 0, "scale": 0, "jitter_um": 0, "lost": 0, "spurious": 0,
}  # fmt: skip
TYPES = {"inflammatory": ("B", "NK"), "connective": ("Endo",)}
AS_TEXT = "inflammatory: [B, NK], connective: [Endo]"
CLASSES = "2=inflammatory,3=epithelial,4=connective"


def nuclei_of(rng, number=12, side=64):
    """A picture of labels with gaps in its numbers, and a code of a type for each."""
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.uint16)
    for k in range(number):
        cx, cy = k % 4 * 16 + 8, k // 4 * 16 + 8
        labels[np.hypot(y - cy + 0.5, x - cx + 0.5) < 4 + k % 3] = 5 + 3 * k
    return labels, np.where(labels > 0, 1 + (labels - 5) // 3 % 4, 0).astype(np.uint8)


def write_folder(folder, stems, *, typed=True, side=64):
    rng = np.random.default_rng(0)
    for part in ("images", "instances", *(["types"] if typed else [])):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for stem in stems:
        labels, types = nuclei_of(rng, side=side)
        grey = np.where(labels[..., None] > 0, 90, 220) + rng.integers(0, 20, (side, side, 3))
        Image.fromarray(grey.astype(np.uint8)).save(folder / "images" / f"{stem}.png")
        Image.fromarray(labels).save(folder / "instances" / f"{stem}.png")
        if typed:
            Image.fromarray(types).save(folder / "types" / f"{stem}.png")
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Raw counts of three types, some genes high in each."""
    rng = np.random.default_rng(2)
    genes = [f"G{k}" for k in range(60)] + ["KRT8", "PECAM1", "CD3D"]
    types = np.repeat(["B", "NK", "Endo"], 12)
    rate = rng.gamma(1, 2, (3, len(genes)))[np.repeat(np.arange(3), 12)]
    table = ad.AnnData(
        sp.csr_matrix(rng.poisson(rate).astype(np.float32)), var=pd.DataFrame(index=genes),
        obs=pd.DataFrame({"ct": types}, index=[f"c{k}" for k in range(36)]),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("reference") / "reference.h5ad"
    table.write_h5ad(path)
    return path


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "in" / "gland", [f"train_{g}_{k:03d}" for g in (1, 2) for k in range(4)])


def settings(reference, **changes):
    words = {"reference": reference, "types": AS_TEXT, "classes": CLASSES, "genes": 60, "group": True}
    return settings_of(words | {"organs": ("gland=colon",)} | changes)


def written(out, sample):
    transcripts = pq.read_table(out / "transcripts" / f"{sample}_transcripts.parquet").to_pandas()
    rings = pq.read_table(out / "xenium_seg" / f"{sample}_xenium_nucleus_seg.parquet").to_pandas()
    labels = tifffile.imread(out / "truth" / "instances" / f"{sample}.tif")
    types = pd.read_csv(out / "truth" / "instances" / f"{sample}.types.csv")
    return transcripts, rings, labels, types


def test_without_noise_the_files_are_the_truth(folder, reference, tmp_path):
    table = simulate([folder], tmp_path / "out", settings(reference, **QUIET))
    assert table["sample"].tolist() == ["train_1", "train_2"]
    assert (table[["dx_px", "dy_px", "lost", "spurious"]] == 0).all(axis=None)
    transcripts, rings, labels, types = written(tmp_path / "out", "train_1")
    assert labels.shape == (128, 128)
    assert labels.max() == 48 == len(rings)
    x, y = transcripts[["he_x", "he_y"]].to_numpy().astype(int).T
    assert (labels[y, x].astype(str) == transcripts["cell_id"]).all()
    assert transcripts["overlaps_nucleus"].eq(1).all()
    polygons = shapely.from_wkb(rings["geometry"].to_numpy())
    areas = np.bincount(labels.ravel())[rings["cell_id"].astype(int)]
    assert shapely.area(polygons).tolist() == areas.tolist()
    known = types.set_index("instance")[
        "type"
    ]  # the first of the four types of a tile is none of the classes
    assert set(known) == {"inflammatory", "epithelial", "connective"}
    assert len(known) == 36
    assert 1 not in known.index
    assert known[[2, 3, 4, 14]].tolist() == ["inflammatory", "epithelial", "connective", "inflammatory"]


def test_pictures_carry_their_scale_and_pixels(folder, reference, tmp_path):
    simulate([folder], tmp_path / "out", settings(reference, mpp=0.5))
    with tifffile.TiffFile(tmp_path / "out" / "wsis" / "train_2.tif") as tiff:
        page = tiff.pages.first
        assert page.is_tiled
        top, bottom = page.tags["XResolution"].value
        assert bottom / top * 10_000 == pytest.approx(0.5)
        picture = tiff.asarray()
    assert np.array_equal(picture[:64, 64:], np.asarray(Image.open(folder / "images" / "train_2_001.png")))
    about = json.loads((tmp_path / "out" / "metadata" / "train_2.json").read_text("utf-8"))
    assert about["organ"] == "colon"
    assert about["pixel_size_um_estimated"] == 0.5


def test_transcripts_and_outlines_are_displaced_together(folder, reference, tmp_path):
    simulate([folder], tmp_path / "out", settings(reference, **QUIET | {"shift_um": 1, "scale": 0.01}))
    about = json.loads((tmp_path / "out" / "simulation.json").read_text("utf-8"))["sections"]["train_1"]
    away = true_displacement(about)
    assert away.dx_px != 0 != away.scale - 1
    transcripts, rings, labels, _ = written(tmp_path / "out", "train_1")
    polygons = shapely.from_wkb(rings["geometry"].to_numpy())
    of = dict(zip(rings["cell_id"], polygons, strict=True))
    few = transcripts.iloc[::20]
    points = shapely.points(few[["he_x", "he_y"]].to_numpy())
    assert shapely.distance(points, few["cell_id"].map(of).to_numpy()).max() < 1e-3
    centres = shapely.get_coordinates(shapely.centroid(polygons))
    y, x = np.nonzero(labels == int(rings["cell_id"][5]))
    assert centres[5] == pytest.approx(away.moved(np.array([[x.mean() + 0.5, y.mean() + 0.5]]))[0], abs=1e-3)


def test_lost_nuclei_have_no_outline_and_no_transcripts(folder, reference, tmp_path):
    simulate(
        [folder],
        tmp_path / "out",
        settings(reference, **QUIET | {"lost": 0.3, "spurious": 0.5, "background": 1.0}),
    )
    transcripts, rings, _, _ = written(tmp_path / "out", "train_1")
    about = json.loads((tmp_path / "out" / "simulation.json").read_text("utf-8"))["sections"]["train_1"]
    truth = pd.read_csv(tmp_path / "out" / "truth" / "simulated" / "train_1.csv", keep_default_na=False)
    lost = set(truth["instance"][truth["lost"] == 1].astype(str))
    assert 0 < len(lost) == about["lost"] < 30
    assert not lost & set(rings["cell_id"])
    assert not lost & set(transcripts["cell_id"])
    assert rings["cell_id"].str.startswith("s").sum() == 24 == about["spurious"]
    assert transcripts["cell_id"].str.startswith("s").any()
    assert (transcripts["cell_id"].eq("UNASSIGNED") == transcripts["overlaps_nucleus"].eq(0)).all()


def test_what_is_moved_off_the_picture_is_left_out(folder, reference, tmp_path):
    simulate([folder], tmp_path / "out", settings(reference, **QUIET | {"shift_um": 20}, seed=1))
    about = json.loads((tmp_path / "out" / "simulation.json").read_text("utf-8"))["sections"]["train_1"]
    away = np.array([about["dx_px"], about["dy_px"]])
    assert np.abs(away).max() > 20
    transcripts, rings, labels, _ = written(tmp_path / "out", "train_1")
    centres = {k: np.argwhere(labels == k)[:, ::-1].mean(axis=0) + 0.5 + away for k in range(1, 49)}
    there = {k for k, centre in centres.items() if (centre >= 0).all() and (centre < 128).all()}
    assert set(rings["cell_id"].astype(int)) == there
    assert about["lost"] == 48 - len(rings) > 0
    assert transcripts[["he_x", "he_y"]].to_numpy().min() >= 0
    assert transcripts[["he_x", "he_y"]].to_numpy().max() < 128
    assert set(transcripts["cell_id"]) - {"UNASSIGNED"} <= set(rings["cell_id"])


def test_markers_tell_the_types(folder, reference, tmp_path):
    simulate([folder], tmp_path / "out", settings(reference, **QUIET | {"neoplastic": 0.5, "counts": 300}))
    transcripts, _, _, types = written(tmp_path / "out", "train_1")
    assert types["type"].value_counts()[["neoplastic", "epithelial"]].tolist() == [6, 6]
    kind = transcripts["cell_id"].astype(int).map(types.set_index("instance")["type"])
    gene = transcripts["feature_name"]
    programme = np.select([gene.isin(EPITHELIAL), gene.isin(NEOPLASTIC)], ["e", "n"], "-")
    shares = pd.crosstab(kind, programme, normalize="index")
    assert shares.loc["epithelial", "e"] > 0.2 > 0.05 > shares.loc["inflammatory", "e"]
    assert shares.loc["neoplastic", "n"] > 0.05 > 0.01 > shares.loc["epithelial", "n"]


@pytest.mark.parametrize(("stand_in", "kinds"), [("shape", 3), ("unknown", 1)])
def test_types_that_nobody_knows_are_not_given(reference, tmp_path, stand_in, kinds):
    folder = write_folder(tmp_path / "in" / "plain", ["breast_A", "other_B"], typed=False)
    words = {"organs": (), "stand_in": stand_in, "classes": ""}
    table = simulate([folder], tmp_path / "out", settings(reference, **words))
    assert table["organ"].tolist() == ["breast", ""]
    *_, types = written(tmp_path / "out", "breast_A")
    assert len(types) == 0
    assert list(types) == ["instance", "type"]
    drawn = pd.read_csv(tmp_path / "out" / "truth" / "simulated" / "breast_A.csv", keep_default_na=False)
    assert drawn["known"].eq(0).all()
    assert len(drawn) == 12
    assert set(drawn["type"]) <= ({""} if kinds == 1 else {"inflammatory", "connective", "epithelial"})
    about = json.loads((tmp_path / "out" / "simulation.json").read_text("utf-8"))
    assert "nobody knows" in about["types_stand_in"][stand_in]


def test_the_same_seed_gives_the_same_files_whatever_else_is_there(folder, reference, tmp_path):
    simulate([folder], tmp_path / "all", settings(reference))
    simulate([folder], tmp_path / "one", settings(reference, held=("train_1",)))
    simulate([folder], tmp_path / "seed", settings(reference, held=("train_1",), seed=1))
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*train_2*"))
    assert len(names) == 7
    for name in names:
        assert (tmp_path / "all" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    moved = names[[name.parts[0] for name in names].index("transcripts")]
    assert (tmp_path / "seed" / moved).read_bytes() != (tmp_path / "one" / moved).read_bytes()
    assert not list((tmp_path / "one").rglob("*train_1*"))


def test_tiles_of_a_group_share_no_nucleus(folder):
    section = sections_of([folder], {}, group=True)[0]
    labelled = load(section)
    for corner in (np.s_[:64, :64], np.s_[:64, 64:], np.s_[64:, :64], np.s_[64:, 64:]):
        assert len(np.unique(labelled.instances[corner])) == 13
    assert len(np.unique(labelled.instances)) == 49
    single = sections_of([folder], {}, group=False)
    assert len(single) == 8
    assert load(single[0]).instances.max() == 12
    assert single[0].organ == ""


def test_profiles_are_of_the_reference(reference):
    profiles = read_profiles(reference, "ct", TYPES, 60, np.random.default_rng(0))
    assert len(profiles.genes) == 60 == len(set(profiles.genes))
    assert profiles.values.sum(axis=1) == pytest.approx(1)
    assert [len(rows) for rows in profiles.rows.values()] == [24, 12, 60, 60]
    table = ad.read_h5ad(reference)
    known = np.isin(profiles.genes, table.var_names)
    counts = table[table.obs["ct"] == "Endo", profiles.genes[known]].X.toarray()
    mean = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    assert profiles.values[profiles.rows["connective"]].mean(axis=0)[known] == pytest.approx(mean)
    one, other = (profiles.private(np.random.default_rng(k)) for k in (0, 1))
    tumour = profiles.rows["neoplastic"]
    assert not np.allclose(one.values[tumour], other.values[tumour])
    assert np.array_equal(
        one.values[profiles.rows["epithelial"]], profiles.values[profiles.rows["epithelial"]]
    )


def refused(folders, reference, tmp_path, **changes):
    with pytest.raises(DataError) as caught:
        simulate(folders, tmp_path / "out", settings(reference, organs=(), **changes))
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".triptych*"))
    return str(caught.value)


def test_all_faults_of_folders_are_told_together(folder, reference, tmp_path):
    empty = tmp_path / "in" / "empty"
    empty.mkdir()
    (folder / "types" / "train_1_000.png").unlink()
    (folder / "images" / "train_1_001.png").unlink()
    Image.new("L", (32, 64)).save(folder / "instances" / "train_2_003.png")
    cut = folder / "images" / "train_2_002.png"
    cut.write_bytes(cut.read_bytes()[:300])
    said = refused([folder, empty], reference, tmp_path)
    assert "has no images" in said
    assert "train_1_000 in images but not in types" in said
    assert "train_1_001 in instances but not in images" in said
    assert "sizes of train_2_003 differ: images 64 × 64, instances 32 × 64, types 64 × 64" in said
    assert "train_2_002.png is cut short" in said


def test_two_pictures_of_one_name_and_tiles_of_different_sizes(folder, reference, tmp_path):
    other = write_folder(tmp_path / "more" / "gland", ["train_1_000"], side=64)
    write_folder(folder, ["train_2_009"], side=80)
    said = refused([folder, other], reference, tmp_path)
    assert "several pictures are called train_1" in said
    assert "the tiles of train_2 have 2 different sizes" in said


def test_labels_must_be_whole_numbers_and_pictures_rgb(folder, reference, tmp_path):
    Image.new("RGB", (64, 64)).save(folder / "instances" / "train_1_000.png")
    assert "holds no whole numbers" in refused([folder], reference, tmp_path)
    Image.new("L", (64, 64)).save(folder / "images" / "train_1_000.png")
    assert "is not RGB of 8 bits" in refused([folder], reference, tmp_path)


def test_types_without_classes_and_folders_without_organs(folder, reference, tmp_path):
    said = refused([folder], reference, tmp_path, classes="")
    assert "gland has types, and nothing says what their numbers mean" in said
    with pytest.raises(
        DataError, match="--organ names the folder glnd, which is not there; Did you mean gland"
    ):
        simulate([folder], tmp_path / "out", settings(reference, organs=("glnd=colon",)))


def test_names_of_pictures_are_checked(folder):
    sections = sections_of([folder], {"gland": "colon"}, group=True)
    assert [one.id for one in chosen(sections, ["colon"], ["train_1"])] == ["train_2"]
    with pytest.raises(DataError, match="no picture and no organ trin_1; Did you mean train_1"):
        chosen(sections, [], ["trin_1"])
    with pytest.raises(DataError, match="leave no picture"):
        chosen(sections, [], ["colon"])


def test_a_reference_that_cannot_be_used(reference, tmp_path):
    def told(path, column="ct", types=TYPES):
        with pytest.raises(DataError) as caught:
            read_profiles(path, column, types, 60, np.random.default_rng(0))
        return str(caught.value)

    (tmp_path / "no.h5ad").write_text("nothing")
    assert "cannot be read" in told(tmp_path / "no.h5ad")
    assert "obs has no column cell; it has ct" in told(reference, "cell")
    assert "no type Endoo; Did you mean Endo?" in told(reference, "ct", TYPES | {"connective": ("Endoo",)})
    table = ad.read_h5ad(reference)
    table.X = table.X * 0.5
    table.write_h5ad(tmp_path / "half.h5ad")
    assert "no raw counts" in told(tmp_path / "half.h5ad")


def test_all_faults_of_settings_are_told_together(tmp_path):
    words = {
        "reference": tmp_path / "no.h5ad", "dropout": 2, "lost": -1, "genes": 3, "mpp": 0, "neoplastic": 7,
        "stand_in": "form", "classes": "2=inflamatory,x=epithelial,3", "organs": ("colon",),
        "types": "epithelial: [A]",
    }  # fmt: skip
    with pytest.raises(DataError) as caught:
        settings_of(words)
    said = str(caught.value)
    for word in (
        "no.h5ad does not exist", "there is no class inflamatory; Did you mean inflammatory?",
        "x is no number of a type", "--classes is written NAME=VALUE, not «3»", "NAME=VALUE, not «colon»",
        "epithelial is no class of a reference", "names no types for connective",
        "--without-types is shape or unknown", "neoplastic is a share", "20 genes or more",
    ):  # fmt: skip
        assert word in said, word
    assert "and 2 more" in said  # dropout, lost


@pytest.mark.parametrize("text", ["[", "- B", "inflammatory: B", "inflammatory: [1]"])
def test_maps_of_types_are_mappings_of_lists(reference, text):
    with pytest.raises(DataError, match="--reference-types is"):
        settings_of({"reference": reference, "types": text})


def test_defaults_are_those_of_the_settings(reference):
    assert settings_of({"reference": reference}) == Settings(reference)


def test_a_folder_that_holds_files_is_left_alone(folder, reference, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"is not empty: it holds mine\.txt"):
        simulate([folder], tmp_path / "out", settings(reference))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        simulate([folder], tmp_path / "file" / "out", settings(reference))


def test_empty_pictures_are_sections_too(reference, tmp_path):
    folder = write_folder(tmp_path / "in" / "gland", ["a"])
    for part in ("instances", "types"):
        Image.new("L", (64, 64)).save(folder / part / "a.png")
    table = simulate([folder], tmp_path / "out", settings(reference))
    assert table["nuclei"].tolist() == [0]
    transcripts, rings, *_ = written(tmp_path / "out", "a")
    assert len(rings) == 0
    assert list(transcripts)[:2] == ["transcript_id", "cell_id"]
