"""The chapter on nuclei: every block says what its tables say, escapes names, and is empty without them."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from PIL import Image

from triptych.analyses.nuclei_scores import COLUMNS
from triptych.core.nuclei import UNKNOWN
from triptych.pipeline.record import SCORE_COLUMNS, RunRecord, StepRecord
from triptych.report import nuclei_labels, nuclei_scored
from triptych.report.facts import gather
from triptych.report.nuclei import has_nuclei, nuclei_section
from triptych.report.nuclei_found import found_block
from triptych.report.nuclei_labels import by_organ, labels_block, some
from triptych.report.nuclei_scored import scored_block
from triptych.report.nuclei_types import confusion, guessed_of, types_block
from triptych.report.sections import panel_section
from triptych.report.tables import of_nuclei, others
from triptych.report.wording import summary
from triptych.tiles.label_store import LabelStore, LabelStoreWriter

BOLD = "<b>type</b>"
NAMES = ["connective", "epithelial", BOLD]


@pytest.fixture
def nuclei():
    """Sixty nuclei of two sections; those of the second have no known type."""
    rng = np.random.default_rng(0)
    truth = np.array(NAMES, object)[np.arange(60) % 3]
    guess = np.where(rng.random(60) < 0.8, truth, "neoplastic").astype(object)
    guess[::10] = None
    sample = np.repeat(["s <1>", "s2"], 30)
    truth[30:] = None
    obs = pd.DataFrame({
        "sample": sample, "donor": sample, "batch": sample, "truth": truth, "nucleus_type": guess,
        "nucleus_type.confidence": rng.uniform(0.4, 1, 60),
    }, [f"n{i}" for i in range(60)])  # fmt: skip
    obs[["truth", "nucleus_type"]] = obs[["truth", "nucleus_type"]].astype("category")
    table = AnnData(np.ones((60, 4), np.float32), obs=obs, obsm={"spatial": rng.uniform(0, 500, (60, 2))})
    table.uns["triptych"] = {"samples": pd.DataFrame({"mpp": [0.25, 0.25]}, index=["s <1>", "s2"])}
    return table


@pytest.fixture
def sketch(sketch, tmp_path):
    """Figures lie inside the folder of a run, beside its tiles and slides."""
    sketch.folder = tmp_path / "run" / "figures"
    sketch.folder.mkdir(parents=True)
    return sketch


def record_of(*steps, **given):
    made = [
        StepRecord(i, do, use, to, reads, {}, "study", {"study": "k"}, {"study": "made"})
        for i, (do, use, to, reads) in enumerate(steps, start=1)
    ]
    scores = given.pop("scores", pd.DataFrame(columns=list(SCORE_COLUMNS)))
    return RunRecord(
        recipe="r", title="", cite="", seed=0, data="", options="", data_identity="", steps=made,
        scores=scores, warnings=[], versions={}, started="", seconds=0, peak_mib=0, **given,
    )  # fmt: skip


ANNOTATED = record_of(("annotate", "hierarchical", "obs:nucleus_type", {}))


def cells(html, row):
    """Texts of the cells of the first row of a name."""
    found = re.search(rf'<th scope="row">(?:<i[^>]*></i>)?{re.escape(row)}</th>(.*?)</tr>', html)
    return [re.sub("<[^>]*>", "", cell) for cell in re.findall("<td>(.*?)</td>", found[1])]


def test_types_are_counted_with_those_of_none(nuclei, sketch):
    html = types_block(sketch, gather(nuclei, ANNOTATED))
    kinds = nuclei.obs["nucleus_type"]
    for name in ("connective", "epithelial", "neoplastic"):
        assert cells(html, name)[0] == str((kinds == name).sum())
    none = nuclei.obs.loc[kinds.isna(), "nucleus_type.confidence"]
    assert cells(html, "no type")[:3] == [str(len(none)), f"{len(none) / 60:.1%}", f"{none.median():.2f}"]
    assert BOLD not in html
    assert "&lt;b&gt;type" in html


def test_confusion_equals_a_naive_count_and_neoplastic_counts_as_epithelial(nuclei, sketch):
    facts = gather(nuclei, ANNOTATED)
    guessed = guessed_of(facts, facts.types[0])
    names, counts = confusion(facts.truth, facts.types[0], guessed)
    shown = nuclei.obs["nucleus_type"].astype(object).replace("neoplastic", "epithelial")
    for row, known in enumerate(facts.truth.names):
        for column, name in enumerate([*names, None]):
            same = shown.isna() if name is None else shown == name
            assert counts[row, column] == ((nuclei.obs["truth"] == known) & same).sum()
    assert names == facts.truth.names
    html = types_block(sketch, facts)
    assert "The known labels have no neoplastic: it counts as epithelial" in html
    typed, right = counts[:, :-1].sum(), sum(counts[i, i] for i in range(3))
    assert f"30 nuclei whose type is known: {typed / 30:.1%} have a type" in html
    assert f"of which {right / typed:.1%} are right" in html


def test_probabilities_of_merged_types_are_added(nuclei):
    columns = ["connective", "epithelial", "neoplastic"]
    frame = pd.DataFrame(np.tile([0.4, 0.3, 0.3], (60, 1)), nuclei.obs_names, columns)
    frame.iloc[5] = np.nan
    nuclei.obsm["nucleus_type"] = frame
    facts = gather(nuclei, ANNOTATED)
    guessed = guessed_of(facts, facts.types[0])
    assert guessed.names == ["connective", "epithelial"]
    assert guessed.codes[5] == -1
    assert np.isnan(guessed.confidence[5])
    np.testing.assert_array_equal(np.delete(guessed.codes, 5), 1)
    np.testing.assert_allclose(np.delete(guessed.confidence, 5), 0.6)


def test_without_known_labels_only_confidence_is_told(nuclei, sketch):
    del nuclei.obs["truth"]
    html = types_block(sketch, gather(nuclei, ANNOTATED))
    assert "How sure the types are" in html
    assert "Known as" not in html
    assert "calibration" not in html


def test_a_type_has_one_colour_and_maps_leave_out_what_nobody_knows(nuclei, sketch):
    facts = gather(nuclei, ANNOTATED)
    assert {name: facts.types[0].legend[name] for name in NAMES} == facts.truth.legend
    assert facts.types[0].legend["neoplastic"] == 3
    known = (facts.types[0].codes >= 0) & (facts.truth.codes >= 0)
    same = nuclei.obs["truth"].astype(str) == nuclei.obs["nucleus_type"].astype(str)
    np.testing.assert_array_equal(
        (facts.types[0].colours == facts.truth.colours)[known], same.to_numpy()[known]
    )
    html = panel_section(sketch, facts, ANNOTATED)
    assert html.count("Map of obs:truth") == 1  # the second section has no known labels
    assert html.count("Map of obs:nucleus_type") == 2


def judged(dice, types=()):
    metrics = {
        ("dice", "image"): dice, ("aji", "image"): dice - 0.2, ("pq", "image"): dice - 0.3,
        ("pq", "pooled"): dice - 0.25, ("detection-f1", "image"): dice, ("count-error", "image"): 1 - dice,
    }  # fmt: skip
    rows = [
        (organ, "all", *key, value, value - 0.1, value + 0.05, 3, 1200, 1100)
        for organ in ("all", "colon", BOLD)
        for key, value in metrics.items()
    ]
    rows += [
        ("all", name, metric, over, value, None, None, 2, 40, 50)
        for name, value in types
        for metric in ("pq", "type-f1")
        for over in ("image", "pooled")
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame.attrs["note"] = "Read it so."
    return frame


SCORED = record_of(
    ("segment", "unet-hv", "nuclei:net", {}),
    ("analyse", "nuclei-scores", "nuclei-scores.net", {"nuclei": "nuclei:net"}),
    ("analyse", "nuclei-scores", "nuclei-scores.water", {"nuclei": "nuclei:water"}),
    tables={
        "nuclei-scores.net": judged(0.8, [("(mean)", 0.45), ("epithelial", 0.6), (BOLD, 0.3)]),
        "nuclei-scores.water": judged(0.7),
    },
)  # fmt: skip


def test_segmenters_stand_side_by_side_with_intervals_and_the_best_is_bold(nuclei, sketch):
    html = scored_block(sketch, gather(nuclei, SCORED), SCORED)
    assert cells(html, "colon")[:3] == ["net", "0.800 0.700–0.850", "0.600 0.500–0.650"]
    assert "<td><b>0.800</b>" in html
    assert "<b>0.700</b>" not in html  # Dice of the watershed
    assert "<td><b>0.200</b>" in html  # of the error of the number, the smaller
    assert html.count("Read it so.") == 1
    assert cells(html, "epithelial")[:3] == ["0.600", "0.600", "0.600"]  # one segmenter tells types
    assert BOLD not in html
    assert "nuclei-pq.png" in sketch.written


def test_what_the_fits_had_seen_is_told(nuclei, sketch):
    organs = np.array(["colon", "breast <i>"])
    nuclei.uns["nuclei"] = {
        "net": {"organs": organs, "seen": np.array([False, False])},
        "water": {"organs": organs, "seen": np.array([False, True])},
    }
    html = scored_block(sketch, gather(nuclei, SCORED), SCORED)
    assert "had no tissue of that organ in it (net)." in html
    assert "had other tissue of breast &lt;i&gt; in it (water)." in html


def test_one_organ_has_no_row_of_all(nuclei, sketch):
    frame = judged(0.8)
    one = record_of(tables={"nuclei-scores.net": frame[frame["organ"] != BOLD]})
    html = scored_block(sketch, gather(nuclei, one), one)
    assert '<th scope="row">all</th>' not in html
    assert cells(html, "colon")[0].startswith("0.800")  # no column of segmenters


def test_a_table_that_was_read_back_says_the_same(nuclei, sketch):
    def plain(frame):
        back = pd.DataFrame(frame.astype(object).where(frame.notna(), None).to_dict("records"))
        back.attrs = frame.attrs
        return back

    back = replace(SCORED, tables={name: plain(frame) for name, frame in SCORED.tables.items()})
    facts = gather(nuclei, SCORED)
    assert scored_block(sketch, facts, back) == scored_block(sketch, facts, SCORED)


def test_nothing_judged_and_too_many_organs(nuclei, sketch, monkeypatch):
    empty = record_of(tables={"nuclei-scores.net": judged(0.8).iloc[:0]})
    facts = gather(nuclei, empty)
    assert scored_block(sketch, facts, empty) == ""
    assert not others(empty)
    assert not of_nuclei(empty)
    monkeypatch.setattr(nuclei_scored, "MOST", 1)
    html = scored_block(sketch, facts, SCORED)
    assert '<th scope="row">colon</th>' in html
    assert "&lt;b&gt;type" not in html


LABELS = pd.DataFrame({
    "organ": ["colon", "colon", BOLD], "donor": ["d1", "d1", "d2"], "sample": ["a", "b", "c"],
    "tiles": [10, 30, 4], "nuclei": [100, 200, 1500], "n_epithelial": [40, 150, 1500], "n_other": [50, 50, 0],
    "share_ignored": [0.5, 0.1, 0.0],
})  # fmt: skip


def store_in(folder, tiles=10):
    writer = LabelStoreWriter(folder, ("epithelial", "other"), 0.25, 16)
    for number in range(tiles):
        instances = np.zeros((16, 16), np.int32)
        instances[2:6, 2:6], instances[9:14, 9:14] = 1, 2
        if number == 3:
            instances[:] = 0
        types = np.where(instances == 1, 1, np.where(instances == 2, UNKNOWN, 0)).astype(np.uint8)
        ignore = np.zeros((16, 16), bool)
        ignore[:, :2] = True
        about = {
            "sample": "a",
            "donor": "d",
            "organ": ["colon", "skin <i>"][number > 7],
            "x_px": 0,
            "y_px": 0,
        }
        writer.add(np.full((16, 16, 3), 200, np.uint8), instances, types, ignore, about)
    writer.close({})
    return folder


def test_labelled_tiles_are_added_up_by_organ(nuclei, sketch):
    found = by_organ(LABELS).to_dict("index")
    assert list(found) == ["colon", BOLD]
    assert found["colon"]["ignored"] == pytest.approx(0.5 * 10 + 0.1 * 30)
    record = record_of(tables={"labels": LABELS})
    html = labels_block(sketch, gather(nuclei, record), record)
    # sections, donors, tiles, nuclei, epithelial, other, no type, ignored
    assert cells(html, "colon") == ["2", "1", "40", "300", "190", "100", "10", "20.0%"]
    assert cells(html, "all")[:4] == ["3", "2", "44", "1\u202f800"]
    assert BOLD not in html
    assert "<img" not in html  # there is no store


@pytest.mark.parametrize("own", [True, False])
def test_some_tiles_are_drawn_from_the_run_or_from_the_cache(nuclei, sketch, tmp_path, own):
    cached = store_in(tmp_path / "cached")
    if own:
        (sketch.folder.parent / "tiles").mkdir()
        shutil.move(cached, sketch.folder.parent / "tiles" / "outlines")
    record = record_of(tables={"labels": LABELS}, stores={"outlines": str(cached)})
    html = labels_block(sketch, gather(nuclei, record), record)
    assert sketch.written == ["labels-outlines.png"]
    assert "Tiles from outlines and transcripts: colon, skin &lt;i&gt;" in html
    assert "4 µm wide" in html


def test_tiles_are_chosen_from_every_organ_and_hold_nuclei(tmp_path):
    about = LabelStore.open(store_in(tmp_path / "store")).about
    chosen = some(about)
    assert len(chosen) == nuclei_labels.TILES
    assert 3 not in chosen
    assert {8, 9} <= set(chosen.tolist())
    np.testing.assert_array_equal(chosen, some(about))
    assert not len(some(about.iloc[:0]))


def test_a_damaged_store_is_told(nuclei, sketch, tmp_path):
    (store_in(tmp_path / "store") / "manifest.json").write_text("{")
    record = record_of(tables={"labels": LABELS}, stores={"outlines": str(tmp_path / "store")})
    assert "The tiles cannot be shown:" in labels_block(sketch, gather(nuclei, record), record)


FOUND = pd.DataFrame(
    {"sample": ["s <1>", "s2"], "nuclei": [1200, 0], "epithelial": [900, 0], "<i>": [300, 0]}
)


def test_nuclei_found_are_told_with_their_pictures(sketch):
    slides = sketch.folder.parent / "slides"
    slides.mkdir()
    Image.new("RGB", (40, 20), "red").save(slides / "s__1_.nuclei.png")
    (slides / "s2.nuclei.png").write_bytes(b"no picture")
    html = found_block(sketch, record_of(tables={"nuclei-found": FOUND}))
    assert cells(html, "s &lt;1&gt;") == ["1\u202f200", "900 75.0%", "300 25.0%"]
    assert cells(html, "s2") == ["0", "0", "0"]
    assert html.count("<img") == 1
    assert "<i>" not in html


def test_the_chapter_is_there_only_for_nuclei(nuclei, sketch):
    nothing = record_of()
    facts = gather(nuclei, nothing)
    assert not has_nuclei(facts, nothing)
    assert nuclei_section(sketch, facts, nothing) == ""
    assert has_nuclei(gather(nuclei, ANNOTATED), ANNOTATED)
    assert has_nuclei(facts, SCORED)
    for name, frame in {"labels": LABELS, "nuclei-found": FOUND}.items():
        record = record_of(tables={name: frame})
        assert has_nuclei(facts, record)
        assert not others(record)


def test_an_analysis_may_have_the_name_of_such_a_table(nuclei):
    record = record_of(tables={"labels": pd.DataFrame({"group": ["a"], "gene": ["b"]})})
    assert list(others(record)) == ["labels"]
    assert not has_nuclei(gather(nuclei, record), record)


def test_the_result_in_one_sentence(nuclei):
    row = ("pq", "nuclei:net", "(mean)", "", "", 0, 0.5194, 0.48, 0.55, 4, "organ held out")
    dice = ("dice", *row[1:6], 0.8, 0.7, 0.9, 4, "organ held out")
    record = replace(SCORED, scores=pd.DataFrame([dice, row], columns=list(SCORE_COLUMNS)))
    told = summary(gather(nuclei, record), record)
    assert told == (
        "Nuclei in pictures of 2 sections, found by unet-hv; mean panoptic quality 0.519 (0.480–0.550), "
        "organ held out."
    )
    applied = replace(record, tables={"nuclei-found": FOUND})
    assert summary(gather(nuclei, applied), applied).startswith("1\u202f200 nuclei found in 2 sections by")
