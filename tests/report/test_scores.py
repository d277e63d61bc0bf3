"""The chapter of scores: where K came from, numbers of clusters, controls, and what has no value."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from triptych.pipeline.record import SCORE_COLUMNS
from triptych.report import write_report
from triptych.report.canvas import Canvas
from triptych.report.clusters import cluster_section, numbers, source
from triptych.report.facts import gather
from triptych.report.scores import score_section


def row(metric, slot, sample, value, protocol="transductive"):
    return (metric, slot, sample, "", "", 0, value, np.nan, np.nan, 10, protocol)


def frame(*rows):
    return pd.DataFrame(list(rows), columns=list(SCORE_COLUMNS))


def three_ways(samples):
    """ARI and number of clusters of three slots that differ by where K came from."""
    rows = []
    for slot, words, k in (("obs:domain", ", oracle K", 4), ("obs:domain.refined", ", K by stability", 6)):
        for sample in samples:
            rows.append(row("ari", slot, sample, 0.5, f"transductive{words}"))
            rows.append(row("clusters", slot, sample, float(k), f"transductive{words}"))
        rows.append(row("ari", slot, "(mean)", 0.5, f"transductive{words}"))
    return frame(*rows)


@pytest.fixture
def chapter(table, record, tmp_path):
    """Write the chapter of some scores; the files that it drew."""
    (tmp_path / "figures").mkdir()

    def build(scores):
        canvas, told = Canvas(tmp_path / "figures"), replace(record, scores=scores)
        return score_section(canvas, gather(table, told), told), canvas.written

    return build


def cells(html):
    """Rows of the last table as text."""
    last = html.rpartition("<table>")[2]
    return [
        [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)]
        for line in re.findall(r"<tr[^>]*>(.*?)</tr>", last)
    ]


def test_clusters_are_counted_in_one_table_and_never_drawn(chapter, table):
    samples = list(table.obs["sample"].cat.categories)
    html, written = chapter(three_ways(samples))
    assert written == ["scores-ari.png"]
    assert html.count("<table>") == 2
    head, known, *others = cells(html)
    assert head[:2] == ["Labels", "Number from"]
    assert head[-1] == "All sections"
    assert known == ["known labels", "–", "4", "4", "4", "4"]
    assert others[0][:3] == ["domain", "known labels (oracle K)", "4"]
    assert others[1][:3] == ["domain.refined", "stability", "6"]
    assert "<script" not in html
    assert "control" not in html.rpartition("<table>")[2]


def test_heads_of_columns_say_where_k_came_from_beside_its_number(chapter, table):
    html, _ = chapter(three_ways(["slide A $x"]))
    assert "<small> oracle K (5)</small>" in html  # of the whole table, not of one section
    assert "<small> K by stability (5)</small>" in html
    assert "<caption>ARI; transductive</caption>" in html


def test_one_way_to_choose_k_is_said_once_in_the_caption(chapter):
    html, _ = chapter(frame(row("ari", "obs:domain", "a", 0.5, "transductive, oracle K")))
    assert "<caption>ARI; transductive, oracle K</caption>" in html
    assert "Number of clusters" not in html


def test_where_k_came_from():
    assert source("transductive, oracle K") == "known labels (oracle K)"
    assert (
        source("donor held out, K by information criterion of the fit") == "information criterion, in the fit"
    )
    assert source("transductive") == source(np.nan) == "recipe"


def test_sections_clustered_one_by_one_have_a_range_and_no_whole(table, record):
    for step in record.steps[3:5]:
        step.over = "sample"
    names = list(table.obs["sample"].cat.categories)
    scores = frame(
        *(row("clusters", "obs:domain", name, k) for name, k in zip(names, (4.0, 7.0, 5.0), strict=True))
    )
    told = replace(record, scores=scores)
    facts = gather(table, told)
    assert numbers(facts, told) == {"obs:domain": "4–7"}
    assert cells(cluster_section(facts, told))[2] == ["domain", "recipe", "4", "7", "5", "–"]


def test_clusters_without_known_labels_or_of_a_slot_that_is_gone(table, record):
    del table.obs["truth"]
    told = replace(record, scores=frame(row("clusters", "obs:gone", "elsewhere", 3.0)))
    lines = cells(cluster_section(gather(table, told), told))
    assert lines[1:] == [["gone", "recipe", "3", "–"]]
    assert cluster_section(gather(table, told), replace(told, scores=told.scores.iloc[:0])) == ""


def test_controls_of_mixing_are_named_as_its_ceiling(chapter):
    html, _ = chapter(frame(
        row("ilisi", "obs:batch", "(all)", 0.4, "transductive, in obsm:X_a"),
        row("ilisi", "control:shuffled", "(all)", 0.8, "transductive, in obsm:X_a"),
    ))  # fmt: skip
    assert "<h3>iLISI</h3>" in html
    assert "perfect mixing: the ceiling of this score, not its floor" in html
    assert "shuffled<small> (ceiling)</small>" in html
    assert "unless the note of a score says otherwise" in html


def test_agreement_with_a_donor_is_headed_lower_is_better(chapter):
    html, written = chapter(frame(
        row("ari:donor", "obs:domain", "(all)", 0.02), row("ari:donor", "control:oracle", "(all)", 1.0),
    ))  # fmt: skip
    assert "<h3>ARI with the donor (lower is better)</h3>" in html
    assert "donor itself<small> (worst)</small>" in html
    assert written == ["scores-ari-with-the-donor.png"]


def test_columns_that_point_both_ways_say_so(chapter):
    html, _ = chapter(frame(
        row("silhouette", "obs:domain", "a", 0.3), row("silhouette", "obs:batch", "a", 0.1),
    ))  # fmt: skip
    assert "<h3>Silhouette</h3>" in html
    assert "batch<small> lower is better</small>" in html


def test_a_slot_scored_in_two_spaces_has_a_column_for_each(chapter):
    html, _ = chapter(frame(
        row("ilisi", "obs:batch", "(all)", 0.41, "transductive, in obsm:X_a"),
        row("ilisi", "obs:batch", "(all)", 0.63, "transductive, in obsm:X_b"),
        row("ilisi", "control:shuffled", "(all)", 0.8, "transductive, in obsm:X_a"),
    ))  # fmt: skip
    assert cells(html) == [
        ["Section", "batch in X_a", "batch in X_b", "shuffled (ceiling)", "n"],
        ["(all)", "0.41", "0.63", "0.80", "10"],
    ]


def test_a_score_without_a_value_has_no_chart(chapter):
    html, written = chapter(frame(row("ilisi", "obs:batch", "(all)", np.nan)))
    assert not written
    assert "It is not defined for these sections" in html


def test_the_headline_is_no_count_and_no_batch_effect(table, record, tmp_path):
    slot = "obs:domain.refined"
    record.scores = frame(
        row("clusters", slot, "slide A $x", 5.0), row("ari:donor", slot, "(all)", 0.91),
        row("nmi", slot, "slide A $x", 0.37),
    )  # fmt: skip
    text = write_report(table, record, tmp_path / "out").read_text("utf-8")
    assert "5 domains over 3 sections; NMI 0.37 against the known labels, transductive." in text
    assert "<small> NMI 0.37</small>" in text
    record.scores = record.scores.iloc[:2]
    text = write_report(table, record, tmp_path / "out").read_text("utf-8")
    assert "; ARI with the donor 0.91 (lower is better), transductive." in text


def test_a_record_that_was_read_back_holds_none_for_a_missing_number(table, record, tmp_path):
    scores = frame(row("silhouette", "obs:domain", "slide A $x", 0.5)).astype(object)
    record.scores = scores.where(scores.notna(), None)
    assert "Silhouette" in write_report(table, record, tmp_path / "out").read_text("utf-8")
