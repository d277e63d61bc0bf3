"""The chapter of an applied model."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from triptych.report import write_report
from triptych.report.canvas import Canvas
from triptych.report.newcomers import MOST, distances, newcomer_section, relations, verdict
from triptych.report.tables import analysed

NAN = float("nan")


def measured(names, ratios=(0.5,), farthest=2.0, outside=0.02):
    rows = [
        (name, "donor held out", slot, ratio * farthest, farthest, ratio, outside)
        for slot in ("layers:counts", "obsm:X_rna.pca")
        for name, ratio in zip(names, np.resize(ratios, len(names)), strict=True)
    ]
    names = ["sample", "relation", "slot", "distance", "farthest_of_fit", "ratio", "share_outside"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture
def chapter(record, tmp_path):
    """Write the chapter of some distances; the files that it drew."""
    (tmp_path / "figures").mkdir()

    def build(frame, warnings=()):
        canvas = Canvas(tmp_path / "figures")
        told = replace(record, tables={"distance": frame}, warnings=list(warnings))
        return newcomer_section(canvas, told), canvas.written

    return build


def test_verdicts():
    assert verdict(2.0, 1.0) == "within the fit's own range"
    assert verdict(2.0, 1.84) == "1.8 × the farthest of the fit's own"
    assert verdict(2.0, 1.01) == "just beyond the farthest of the fit's own"
    assert verdict(NAN, NAN) == "one section in the fit: no range"
    assert verdict(0.0, NAN) == verdict(0.0, np.inf) == "the fit's sections share one mean: no range"


def test_each_section_and_space_has_a_line_with_a_verdict(chapter, hostile):
    html, written = chapter(measured(["B1", hostile], (0.5, 1.8)))
    assert written == ["distance.png"]
    assert html.count("<tr>") == 1 + 4
    assert html.count("within the fit&#x27;s own range") == 2
    assert html.count('<span class="far">1.8 × the farthest of the fit&#x27;s own</span>') == 2
    assert html.count("donor held out") == 4
    assert "2.0 %" in html
    assert "1 % expected" in html
    assert "<script" not in html
    rows = [part.partition("<")[0] for part in html.split('scope="row">')[1:]]
    assert rows[:2] == ["B1", "B1"]  # what belongs to a section stands together


def test_a_fit_of_one_section_has_no_range_and_no_figure(chapter):
    html, written = chapter(measured(["B1"], (NAN,), farthest=NAN, outside=NAN))
    assert not written
    assert html.count("one section in the fit: no range") == 2
    assert "<td>–</td>" in html


def test_numbers_that_were_read_back_as_none(chapter):
    frame = measured(["B1"], (NAN,), farthest=NAN, outside=NAN).astype(object)
    assert "no range" in chapter(frame.where(frame.notna(), None))[0]


def test_one_section_is_named_below_the_figure(chapter):
    assert "The dot is section B1; beyond the line" in chapter(measured(["B1"]))[0]


def test_nothing_measured(chapter):
    assert "No space was measured." in chapter(measured([]))[0]


def test_many_sections_are_cut_and_said_so(chapter):
    html, _ = chapter(measured([f"S{i}" for i in range(MOST + 2)]))
    assert f"The first {MOST} of {MOST + 2} sections are listed; tables/distance.csv holds all." in html
    assert html.count("<tr>") == 1 + 2 * MOST


def test_relations_come_from_the_table():
    frame = measured(["A", "B"]).assign(relation=["donor held out", "section of the fit"] * 2)
    assert relations(frame) == {"A": "donor held out", "B": "section of the fit"}
    assert relations(measured(["A"]).drop(columns="relation")) == {"A": "–"}


def test_the_chapter_comes_first_and_not_again_among_the_analyses(table, record, tmp_path):
    applied = replace(
        record, tables={"distance": measured(["slide A $x"])}, command="triptych apply x y -o again"
    )
    text = write_report(table, applied, tmp_path / "out").read_text("utf-8")
    assert '<a href="#new">New sections</a><a href="#scores">Scores</a>' in text
    assert "Markers and pathways" not in text
    assert text.count("obsm:X_rna.pca</td>") == 1
    assert "triptych apply OUT DATA" not in text


def test_an_analysis_of_that_name_is_an_analysis(record):
    frame = pd.DataFrame({"group": ["a"], "value": [1.0]})
    told = replace(record, tables={"distance": frame})
    assert distances(told) is None
    assert analysed(told) == {"distance": frame}


def test_a_run_says_how_to_apply_its_model_unless_it_has_none(table, record, tmp_path):
    line = "triptych apply OUT DATA -o NEW"
    assert line in write_report(table, record, tmp_path / "a").read_text("utf-8")
    warned = replace(record, warnings=["No model is saved for other sections: step 2 has no fit."])
    assert line not in write_report(table, warned, tmp_path / "b").read_text("utf-8")
