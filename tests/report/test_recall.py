"""Known types one by one: the table, the order of the picture, and names that try to break out."""

from dataclasses import replace

import numpy as np
import pytest

from triptych.analyses.recall import Recall
from triptych.core.analysis import Material
from triptych.core.protocols import Places
from triptych.pipeline.record import StepRecord
from triptych.report.analyses import analysis_section, analysis_title
from triptych.report.canvas import Canvas
from triptych.report.facts import gather
from triptych.report.recall import COLUMNS, _in_order


def rows_of(table, rows=slice(None)):
    truth, guess = (table.obs[name].cat for name in ("truth", "domain"))
    codes = guess.codes.to_numpy(np.int64)[rows]
    places = Places(np.zeros((len(codes), 2)), np.zeros(len(codes), int))
    given = Material(
        codes, tuple(guess.categories), places, truth=truth.codes.to_numpy(np.int64)[rows],
        truth_names=tuple(truth.categories),
    )  # fmt: skip
    return Recall().analyse(given, np.random.default_rng(0))


@pytest.fixture
def chapter(table, record, tmp_path):
    def build(frame, slot="obs:domain"):
        step = StepRecord(7, "analyse", "recall", "", {"labels": slot}, {}, "study", {"study": "k"})
        held = replace(record, steps=[step], tables={"recall": frame})
        canvas = Canvas(tmp_path)
        return analysis_section(canvas, gather(table, held), held), canvas.written, analysis_title(held)

    return build


def test_the_table_and_the_picture_are_shown(table, chapter, hostile):
    frame = rows_of(table)
    assert set(frame) == COLUMNS
    text, written, title = chapter(frame)
    assert title == "Known types, one by one"
    assert written == ["recall-recall.png"]
    assert "4 of 4 known types have a cluster called after them" in text
    assert "double dipping" not in text  # nothing was tested
    assert "<script" not in text
    assert f"{frame['recall'].iloc[0]:.0%}" in text


def test_a_type_that_is_missed_is_counted(table, chapter):
    frame = rows_of(table).assign(recall=[1.0, 0.5, 0.0, 0.0])
    assert "2 of 4 known types have a cluster called after them" in chapter(frame)[0]


def test_sections_are_shown_one_by_one(table, chapter):
    name = table.obs["sample"].cat.categories[0]
    frame = rows_of(table, (table.obs["sample"] == name).to_numpy()).assign(sample=name)
    text, written, _ = chapter(frame)
    assert written == ["recall-recall-01-slide-a-x.png"]
    assert f"section {name}" in text


def test_without_the_labels_there_is_a_table_alone(table, chapter):
    text, written, _ = chapter(rows_of(table), slot="obs:gone")
    assert written == []
    assert "Recall by majority" in text


def test_clusters_stand_as_their_types_and_the_matched_one_first():
    truth = np.repeat([1, 0, 3], [60, 30, 10])
    guess = np.concatenate([np.repeat([4, 2, 0], [20, 35, 5]), np.repeat([0], 30), np.repeat([5], 10)])
    values, types, clusters = _in_order(truth, guess)
    assert types.tolist() == [1, 0, 3]
    assert clusters.tolist() == [2, 4, 0, 5]
    assert np.allclose(values.sum(axis=1), 1)
    assert np.allclose(values[2], [5 / 35, 30 / 35, 0])


def test_nothing_in_common_has_no_picture():
    values, _, _ = _in_order(np.array([-1, 0]), np.array([0, -1]))
    assert values.size == 0
