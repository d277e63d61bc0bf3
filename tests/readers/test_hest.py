"""A folder in the layout of HEST-1k, against shapely's counts, and every fault."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import tifffile
from skimage.draw import disk

from triptych.core.errors import DataError, RecipeError, TriptychWarning
from triptych.readers import long_tables, registry
from triptych.readers.layouts import ReadOptions
from triptych.readers.outlines import outlines_of
from triptych.readers.read import read
from triptych.readers.sections import about_of

WIDTH, HEIGHT, MPP, GENES = 200, 160, 0.25, 8
CENTRES = np.array([[x, y] for y in range(20, 150, 30) for x in range(20, 190, 40)], float)
RADIUS = 9.0
SEG, TRANSCRIPTS = "{}_xenium_nucleus_seg.parquet", "{}_transcripts.parquet"


def circles(centres=CENTRES):
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = RADIUS * np.column_stack([np.cos(angle), np.sin(angle)])
    return [shapely.Polygon(centre + ring) for centre in centres]


def molecules(rng, number=4000):
    gene = rng.integers(0, GENES + 2, number)
    names = np.array([*(f"G{i}" for i in range(GENES)), "NegControlProbe_1", "BLANK_7"])
    xy = rng.uniform((0, 0), (WIDTH, HEIGHT), (number, 2))
    near = np.linalg.norm(xy[:, None] - CENTRES, axis=2)
    cell = np.where(near.min(axis=1) < 1.4 * RADIUS, (near.argmin(axis=1) + 1).astype(str), "UNASSIGNED")
    return pd.DataFrame(
        {
            "transcript_id": np.arange(number),
            "cell_id": cell,
            "he_x": xy[:, 0],
            "he_y": xy[:, 1],
            "x_location": xy[:, 0] / 7,
            "feature_name": names[gene],
            "qv": rng.choice([10.0, 20.0, 40.0], number),
        }
    )


def write_seg(root, name, shapes, ids):
    binary = pa.array(list(shapely.to_wkb(shapes)), pa.binary())
    table = pa.table({"cell_id": pa.array(ids), "geometry": binary})
    pq.write_table(table, root / "xenium_seg" / SEG.format(name))


def write(root, name="S1", *, rng=None, truth=False, **words):
    for folder in ("wsis", "xenium_seg", "transcripts", "metadata", "truth/instances"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(root / "wsis" / f"{name}.tif", np.full((HEIGHT, WIDTH, 3), 200, np.uint8))
    write_seg(root, name, circles(), [str(i + 1) for i in range(len(CENTRES))])
    table = molecules(rng or np.random.default_rng(0))
    table.to_parquet(root / "transcripts" / TRANSCRIPTS.format(name))
    about = {"id": name, "organ": "Breast", "patient": "P7", "pixel_size_um_estimated": MPP, **words}
    (root / "metadata" / f"{name}.json").write_text(json.dumps(about))
    if truth:
        picture = np.zeros((HEIGHT, WIDTH), np.uint32)
        for number, (x, y) in enumerate(CENTRES[:10], 1):
            picture[disk((y, x), 8)] = number
        tifffile.imwrite(root / "truth" / "instances" / f"{name}.tif", picture)
        (root / "truth" / "instances" / f"{name}.types.csv").write_text(
            "instance,type\n1,epithelial\n2,\n3,inflammatory\n40,dead\n"
        )
    return table


@pytest.fixture
def root(tmp_path):
    return tmp_path / "hest"


def counted(table, found):
    """Counts that shapely finds, in the order of the table."""
    good = table[table["feature_name"].str.startswith("G") & (table["qv"] >= 20)]
    rows, columns = shapely.STRtree(circles()).query(shapely.points(good[["he_x", "he_y"]]), "within")
    counts = np.zeros((len(CENTRES), found.n_vars), int)
    np.add.at(counts, (columns, found.var_names.get_indexer(good["feature_name"].iloc[rows])), 1)
    return counts


def about(table):
    return table.uns["triptych"]["samples"]


def test_transcripts_inside_outlines_are_counted(root):
    table = write(root)
    found = read(root)
    assert sorted(found.var_names) == [f"G{i}" for i in range(GENES)]
    np.testing.assert_array_equal(found.layers["counts"].toarray(), counted(table, found))
    assert found.layers["counts"].sum() > 200
    assert list(found.obs_names) == list(found.obs["cell_id"]) == [str(i + 1) for i in range(len(CENTRES))]
    np.testing.assert_allclose(found.obsm["spatial"], CENTRES, atol=1e-3)
    np.testing.assert_allclose(found.obsm["spatial_um"], CENTRES * MPP, atol=1e-3)
    np.testing.assert_allclose(found.obs["area_um2"], circles()[0].area * MPP**2, rtol=1e-5)


def test_pieces_of_any_length_give_the_same(root, monkeypatch):
    write(root)
    whole = read(root)
    monkeypatch.setattr(long_tables, "PIECE", 333)
    parts = read(root)
    np.testing.assert_array_equal(
        parts[:, whole.var_names].layers["counts"].toarray(), whole.layers["counts"].toarray()
    )


def test_what_is_known_of_the_section(root):
    write(root)
    found = about(read(root)).loc["S1"]
    assert (found.donor, found.organ, found.mpp) == ("P7", "Breast", MPP)
    assert found.image == str(root / "wsis" / "S1.tif")
    assert found.nucleus_boundaries == str(root / "xenium_seg" / SEG.format("S1"))
    assert found.transcripts == str(root / "transcripts" / TRANSCRIPTS.format("S1"))
    assert (found.cell_boundaries, found.nuclei, found.outline_matrix) == ("", "", "")


def test_outlines_belong_to_the_rows(root):
    write(root)
    table = read(root)
    outlines = outlines_of(about_of(about(table), "S1"), table.obs["cell_id"].to_numpy())
    np.testing.assert_array_equal(outlines.row, np.arange(len(CENTRES)))


def test_by_the_cell_that_the_instrument_names(root):
    table = write(root)
    found = registry.make("hest", {"of": "cell"}).read(root, ReadOptions())
    good = table[table["feature_name"].str.startswith("G") & (table["qv"] >= 20)]
    expected = good[good["cell_id"] != "UNASSIGNED"].groupby(["cell_id", "feature_name"]).size().unstack()
    made = pd.DataFrame(found.layers["counts"].toarray(), found.obs_names, found.var_names)
    pd.testing.assert_frame_equal(
        made, expected.fillna(0).astype(np.int32).reindex(made.index)[made.columns], check_names=False
    )
    assert found.layers["counts"].sum() > read(root).layers["counts"].sum()


def test_quality_and_its_range(root):
    write(root)
    lower = registry.make("hest", {"quality": 10}).read(root, ReadOptions())
    assert lower.layers["counts"].sum() > read(root).layers["counts"].sum()
    with pytest.raises(RecipeError, match="quality must not be negative"):
        registry.make("hest", {"quality": -1})


def test_bytes_as_older_instruments_wrote_them(root):
    table = write(root)
    expected = read(root)
    for column in ("cell_id", "feature_name"):
        table[column] = table[column].str.encode("utf-8")
    table.to_parquet(root / "transcripts" / TRANSCRIPTS.format("S1"))
    write_seg(root, "S1", circles(), [str(i + 1).encode() for i in range(len(CENTRES))])
    made = read(root)
    assert list(made.obs_names) == list(expected.obs_names)
    np.testing.assert_array_equal(made.layers["counts"].toarray(), expected.layers["counts"].toarray())


def test_known_nuclei_beside(root):
    write(root, truth=True)
    write(root, "S2", rng=np.random.default_rng(1), patient="P8")
    table = read(root)
    first = table[table.obs["sample"] == "S1"].obs
    assert first["instance"].iloc[:10].tolist() == list(range(1, 11))
    assert first["instance"].iloc[10:].isna().all()
    assert first["truth"].astype(object).dropna().to_dict() == {"S1_1": "epithelial", "S1_3": "inflammatory"}
    assert table.obs["instance"][table.obs["sample"] == "S2"].isna().all()
    assert about(table).loc["S1", "nuclei"] == str(root / "truth" / "instances" / "S1.tif")
    assert set(table.obs["donor"]) == {"P7", "P8"}


def test_words_of_the_collection_fill_what_the_section_does_not_say(root):
    write(root, pixel_size_um_estimated=None, patient="")
    (root / "HEST_v1_0_0.csv").write_text("id,organ,patient,pixel_size_um_estimated\nS1,Skin,P1,0.5\n")
    (root / "HEST_v1_1_0.csv").write_text("id,organ,patient,pixel_size_um_estimated\nS1,Skin,12,0.4\n")
    found = about(read(root)).loc["S1"]
    assert (found.donor, found.organ, found.mpp) == ("12", "Breast", 0.4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"pixel_size_um_estimated": None}, r"nothing says how large a pixel is: neither metadata/S1\.json"),
        (
            {"pixel_size_um_estimated": -0.5},
            "pixel_size_um_estimated of the section is -0.5, not micrometres",
        ),
        ({"pixel_size_um_estimated": "wide"}, "is 'wide', not micrometres"),
        ({"pixel_size_um_estimated": True}, "is True, not micrometres"),
    ],
)
def test_the_size_of_a_pixel_must_be_known(root, words, message):
    write(root, **words)
    with pytest.raises(DataError, match=message):
        read(root)


def test_words_that_are_none(root):
    write(root)
    (root / "metadata" / "S1.json").write_text("{")
    with pytest.raises(DataError, match=r"S1\.json is no JSON"):
        read(root)
    (root / "metadata" / "S1.json").write_text("[1]")
    with pytest.raises(DataError, match=r"S1\.json has no names and values"):
        read(root)
    (root / "metadata" / "S1.json").unlink()
    (root / "HEST_v1.csv").write_text("")
    with pytest.raises(DataError, match=r"HEST_v1\.csv is no table"):
        read(root)


def test_faults_of_all_sections_are_shown_together(root):
    write(root, "S1", pixel_size_um_estimated=None)
    (root / "transcripts" / TRANSCRIPTS.format("S1")).unlink()
    write(root, "S2")
    (root / "xenium_seg" / SEG.format("S2")).unlink()
    write(root, "S3")
    with pytest.raises(DataError, match="3 faults") as caught:
        read(root)
    text = str(caught.value)
    assert "S1: the files transcripts/S1_transcripts.parquet are missing" in text
    assert "S1: nothing says how large a pixel is" in text
    assert (
        "S2: the files xenium_seg/S2_xenium_nucleus_seg.parquet are missing; only sections of Xenium" in text
    )
    read(root, ReadOptions(samples=("S3",)))


def test_no_section_has_all_files(root):
    write(root, "S1")
    (root / "wsis" / "S1.tif").rename(root / "wsis" / "T1.tif")
    with pytest.raises(DataError, match=r"no section has .*wsis: T1; xenium_seg: S1; transcripts: S1"):
        read(root)


def test_transcripts_outside_the_image(root):
    table = write(root)
    path = root / "transcripts" / TRANSCRIPTS.format("S1")
    table.loc[:39, "he_x"] = WIDTH + 50.0
    table.to_parquet(path)
    with pytest.warns(
        TriptychWarning, match=r"Of 1 sections \d+ of \d+ transcripts lie outside .* S1, 1\.\d+%"
    ):
        read(root)
    table["he_x"] *= 4
    table.to_parquet(path)
    with pytest.raises(
        DataError, match=r"7\d\.\d% of the .* outside the image of 200 × 160 px: he_x and he_y"
    ):
        read(root)


def test_nuclei_outside_the_image(root):
    write(root)
    shapes, ids = circles(), [str(i + 1) for i in range(len(CENTRES))]
    write_seg(root, "S1", [*shapes, *circles([[300.0, 20.0]])], [*ids, "99"])
    with pytest.warns(TriptychWarning, match="and 1 of 26 nuclei, which are left out"):
        assert list(read(root).obs_names) == ids
    write_seg(root, "S1", [*shapes, *circles([[300.0, 20.0]] * 3)], [*ids, "99", "98", "97"])
    with pytest.raises(DataError, match="3 of 28 nuclei lie outside the image"):
        read(root)


def test_outlines_without_three_points_are_told(root):
    write(root)
    ids = [str(i + 1) for i in range(len(CENTRES))]
    write_seg(root, "S1", [shapely.Polygon(), *circles()[1:]], ids)
    with pytest.warns(TriptychWarning, match="S1: 1 outlines of .* are left out"):
        table = read(root)
    assert list(table.obs_names) == ids[1:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[:0], "has no transcripts: the section is empty"),
        (lambda t: t.assign(qv=3.0), "none of the 4000 transcripts .* is of a gene and of a quality"),
        (lambda t: t.assign(feature_name="BLANK_1"), "none of the 4000 transcripts .* is of a gene"),
        (lambda t: t.assign(he_x=1.0, he_y=1.0), "is inside an outline of a nucleus"),
        (lambda t: t.assign(he_x=np.nan), "have no finite coordinates he_x, he_y"),
        (lambda t: t.drop(columns="he_x"), "has no column he_x"),
    ],
)
def test_transcripts_that_cannot_be_counted(root, change, message):
    change(write(root)).to_parquet(root / "transcripts" / TRANSCRIPTS.format("S1"))
    with pytest.raises(DataError, match=message):
        read(root)


def test_cells_of_other_names(root):
    write(root)
    write_seg(root, "S1", circles(), [f"n{i}" for i in range(len(CENTRES))])
    with pytest.raises(DataError, match="is of a cell with a nucleus; are the ids"):
        registry.make("hest", {"of": "cell"}).read(root, ReadOptions())


def test_a_picture_of_labels_must_fit(root):
    write(root, truth=True)
    tifffile.imwrite(root / "truth" / "instances" / "S1.tif", np.zeros((10, 20), np.uint8))
    with pytest.raises(DataError, match=r"labels S1\.tif has 20 × 10 px, the image 200 × 160"):
        read(root)


def test_damaged_files(root):
    write(root)
    for path in (root / "xenium_seg" / SEG.format("S1"), root / "transcripts" / TRANSCRIPTS.format("S1")):
        path.write_bytes(path.read_bytes()[:-30])
    (root / "wsis" / "S1.tif").write_bytes(b"II*\0nothing")
    with pytest.raises(DataError, match=r"nucleus_seg\.parquet is cut short or damaged"):
        read(root)
    write(root)
    (root / "wsis" / "S1.tif").write_bytes(b"II*\0nothing")
    with pytest.raises(DataError, match=r"the image S1\.tif cannot be read"):
        read(root)
