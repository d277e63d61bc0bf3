"""The chapter on cell types: that its numbers are those of the table, what it leaves out, and odd names."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest

from triptych.pipeline.record import StepRecord
from triptych.report import write_report
from triptych.report.abundances import DRAWN, ROWS, abundance_section, has_abundance, map_block
from triptych.report.covered import covered_block
from triptych.report.directions import explained
from triptych.report.estimates import origin, predictions, targets, unit
from triptych.report.facts import gather
from triptych.report.protocols import protocol_block
from triptych.report.tables import of_abundance, others, views
from triptych.report.wording import heading, summary

TYPES = ["B cells $x", "<b>T</b>", "Plasma", "CAF", "PVL", "Myeloid", "Endothelial", "Rare"]
SLOT = "obsm:abundance.mlp"


def text(html):
    return unescape(re.sub(r"<[^>]*>", "", html))


def predict(use="mlp", to=SLOT, folds=("donor D0", "donor D1", "study"), **reads):
    given = {"views.uni": "obsm:X_img.uni", "target": "obsm:abundance", "places": "obsm:spatial", **reads}
    return StepRecord(8, "predict", use, to, given, {"level": 0.9}, "study", dict.fromkeys(folds, "k"))


def proportions(n, seed=0):
    """Types by falling variance, the last one nearly constant."""
    return np.random.default_rng(seed).dirichlet(np.geomspace(3, 0.05, len(TYPES)), n)


def put(table, key, values, types=TYPES):
    table.obsm[key] = pd.DataFrame(values, index=table.obs_names, columns=types)


@pytest.fixture
def predicted(table, record):
    """A target, and a prediction with intervals that misses a tenth of the rows."""
    truth = proportions(table.n_obs)
    guess = np.abs(truth + np.random.default_rng(1).normal(0, 0.05, truth.shape))
    guess[np.arange(table.n_obs) % 10 == 3] = np.nan
    put(table, "abundance", truth)
    for end, shift in (("", 0), (".low", -0.06), (".high", 0.06)):
        put(table, f"abundance.mlp{end}", guess + shift)
    return table, replace(record, steps=[*record.steps, predict()])


@pytest.fixture
def facts(predicted):
    return gather(*predicted)


# what there is


def test_predictions_are_those_of_predict_steps_that_the_table_holds(predicted):
    table, record = predicted
    steps = [*record.steps, predict("ridge", "obsm:abundance.ridge"), predict("mlp2", SLOT)]
    facts = gather(table, replace(record, steps=steps))
    (one,) = predictions(facts, replace(record, steps=steps))
    assert (one.slot, one.name, one.step.use) == (SLOT, "abundance.mlp", "mlp2")
    np.testing.assert_array_equal(one.low, table.obsm["abundance.mlp.low"].to_numpy())
    np.testing.assert_array_equal(one.known, np.arange(table.n_obs) % 10 != 3)
    assert [other.slot for other in targets(facts, record)] == ["obsm:abundance"]
    assert np.isnan(one.of(["nothing", "CAF"])[:, 0]).all()
    np.testing.assert_array_equal(one.of(["CAF"])[:, 0], table.obsm["abundance.mlp"]["CAF"])


def test_where_an_estimate_came_from(predicted):
    table, record = predicted
    facts = gather(table, record)
    assert origin(facts, record, "obsm:abundance") == "an estimate that came with the data"
    assert unit(facts, record, targets(facts, record)[0]) == "proportion"
    table.obsm["abundance"] *= 7
    assert unit(facts, record, targets(facts, record)[0]) == "abundance"
    table.uns["triptych"]["made"] = pd.DataFrame(
        {"use": ["nnls"], "gives": ["proportions <i>"]}, index=["obsm:abundance"]
    )
    assert origin(facts, record, "obsm:abundance") == "an estimate by nnls (proportions <i>)"
    made = StepRecord(2, "deconvolve", "cell2location", "obsm:abundance", {}, {}, "study", {}, gives="cells")
    record = replace(record, steps=[made, *record.steps])
    assert origin(facts, record, "obsm:abundance") == "an estimate by cell2location (cells)"
    assert unit(facts, record, targets(facts, record)[0]) == "cells"


def test_an_old_table_of_what_was_made_has_no_word_on_what_it_gives(predicted):
    table, record = predicted
    table.uns["triptych"]["made"] = pd.DataFrame({"use": ["nnls"]}, index=["obsm:abundance"])
    assert origin(gather(table, record), record, "obsm:abundance") == "an estimate by nnls"


def test_a_run_without_cell_types_has_no_chapter(table, record, sketch, tmp_path):
    facts = gather(table, record)
    assert not has_abundance(facts, record)
    assert protocol_block(facts, record) == ""
    assert abundance_section(sketch, facts, record) == ""
    write_report(table, record, tmp_path)
    assert 'id="abundance"' not in (tmp_path / "report.html").read_text("utf-8")


def test_the_page_has_the_chapter_and_escapes_names(predicted, tmp_path, hostile):
    table, record = predicted
    write_report(table, record, tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert '<a href="#abundance">Cell types</a>' in page
    assert page.index("How cell types were predicted") < page.index("Where the cell types lie")
    assert "<b>T</b>" not in page
    assert "&lt;b&gt;T&lt;/b&gt;" in page
    assert hostile not in page
    assert {"coverage.png", "types-01-slide-a-x.png"} <= {
        one.name for one in (tmp_path / "figures").iterdir()
    }


# the protocol


@pytest.mark.parametrize(
    ("folds", "words"),
    [
        (("donor D0", "donor D1", "study"), "Each donor in turn was held out (2 fits) and predicted by a"),
        (("sample A", "study"), "Each section in turn was held out (1 fit)"),
        (("blocks 1", "blocks 2", "blocks 3", "study"), "Each part of the blocks in turn was held out (3"),
    ],
)
def test_the_protocol_says_what_was_held_out(folds, words, predicted):
    table, record = predicted
    record = replace(record, steps=[predict(folds=folds)])
    said = text(protocol_block(gather(table, record), record))
    assert "obsm:abundance.mlp: mlp from X_img.uni" in said
    assert words in said
    assert ("flatters" in said) == (not folds[0].startswith("donor"))
    assert (
        "What is predicted, obsm:abundance, is an estimate that came with the data, and no measurement"
        in said
    )


def test_without_folds_the_protocol_is_the_steps_own(predicted):
    table, record = predicted
    step = replace(predict(folds=("study",)), protocol="<i>applied</i>", reads={"target": "obsm:abundance"})
    html = protocol_block(gather(table, record), replace(record, steps=[step]))
    assert "What is predicted was <i>applied</i>." in text(html)
    assert "mlp from windows of the slides themselves" in text(html)
    assert "&lt;i&gt;applied" in html


def test_the_lead_sentence_tells_the_last_prediction(predicted):
    table, record = predicted
    row = {**record.scores.iloc[0].to_dict(), "metric": "pearson", "slot": SLOT, "sample": "(mean)"}
    row |= {"value": 0.4, "low": 0.3, "high": 0.5, "protocol": "donor held out"}
    record = replace(record, steps=[predict()], scores=pd.DataFrame([row]))
    facts = replace(gather(table, record), guesses=[])
    said = summary(facts, record)
    assert said == (
        "Cell types of 3 sections, predicted to obsm:abundance.mlp; mean Pearson correlation 0.40 "
        "(0.30–0.50), donor held out."
    )


def test_scores_of_cell_types_say_what_their_controls_are():
    assert "other observations of the section, the diamond the target itself" in explained("pearson", SLOT)
    assert "the level that was promised" in explained("coverage", SLOT)
    assert heading("l1", [SLOT]) == "L1 error (lower is better)"


# maps


def test_maps_are_of_the_types_that_vary_most(facts, predicted, sketch):
    _, record = predicted
    html = map_block(sketch, facts, record)
    values = facts.table.obsm["abundance"]
    wanted = sorted(TYPES, key=lambda name: -values[name].to_numpy().var())[:DRAWN]
    assert (
        f"Maps of {', '.join(wanted)} in section slide A $x, a row each for abundance (target)"
        in unescape(html)
    )
    assert f"The {DRAWN} of 8 types whose values vary most in obsm:abundance" in html
    assert len(sketch.written) == 3
    rows = facts.rows(0)
    known = int(np.isfinite(facts.table.obsm["abundance.mlp"].to_numpy()[rows]).all(axis=1).sum())
    assert f"abundance: {rows.sum()} observations; abundance.mlp: {known} observations" in text(html)


def test_few_types_are_all_drawn(predicted, sketch):
    table, record = predicted
    for key in ("abundance", "abundance.mlp"):
        table.obsm[key] = table.obsm[key].iloc[:, :2]
    assert "All 2 types" in map_block(sketch, gather(table, record), record)


def test_new_sections_have_predictions_alone(predicted, sketch):
    table, record = predicted
    del table.obsm["abundance"]
    facts = gather(table, record)
    html = abundance_section(sketch, facts, record)
    assert "a row each for abundance.mlp" in html
    assert "target" not in map_block(sketch, facts, record)
    assert covered_block(sketch, facts, record) == ""


def test_what_only_a_deconvolution_made_is_drawn(table, record, sketch):
    put(table, "abundance", proportions(table.n_obs))
    made = StepRecord(2, "deconvolve", "nnls", "obsm:abundance", {}, {}, "study", {})
    record = replace(record, steps=[made])
    drawn = map_block(sketch, gather(table, record), record)
    assert "a row each for abundance" in drawn
    assert "target" not in drawn
    facts = replace(gather(table, record), guesses=[])
    assert summary(facts, record) == "Cell types of 3 sections, estimated to obsm:abundance by nnls."


def test_more_estimates_and_sections_than_are_drawn(many, sketch, monkeypatch):
    table, record = many
    put(table, "abundance", proportions(table.n_obs))
    steps = [predict(f"m{i}", f"obsm:abundance.m{i}") for i in range(ROWS + 1)]
    for step in steps:
        put(table, step.to.removeprefix("obsm:"), proportions(table.n_obs))
    monkeypatch.setattr("triptych.report.abundances.SECTIONS", 2)
    record = replace(record, steps=steps)
    html = map_block(sketch, gather(table, record), record)
    assert f"{ROWS} of {ROWS + 2} estimates are drawn: no constant ones, and the last of the others." in html
    assert "The first 2 of 26 sections are drawn." in html
    assert len(sketch.written) == 2


def test_large_sections_are_drawn_in_part(predicted, sketch, monkeypatch):
    table, record = predicted
    seen = []
    monkeypatch.setattr("triptych.report.abundances.POINTS", 20)
    monkeypatch.setattr(
        "triptych.report.abundances.abundance", lambda ax, maps, **more: seen.append((maps, more))
    )
    facts = gather(table, record)
    assert "20 observations of larger sections are drawn, at random." in map_block(sketch, facts, record)
    for sample, (maps, more) in enumerate(seen):
        here = np.flatnonzero(facts.rows(sample))
        assert len(more["where"].xy) == 20
        at = [np.flatnonzero((table.obsm["spatial"][here] == xy).all(axis=1))[0] for xy in more["where"].xy]
        wanted = table.obsm["abundance.mlp"][more["types"]].to_numpy()[here[at]]
        np.testing.assert_array_equal(maps["abundance.mlp"], wanted)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_types_that_are_nowhere_are_drawn(predicted, sketch, value):
    table, record = predicted
    table.obsm["abundance"] = table.obsm["abundance"] * 0 + value
    map_block(sketch, gather(table, record), record)
    assert len(sketch.written) == 3


def test_without_coordinates_the_page_says_so(predicted, sketch):
    table, record = predicted
    del table.obsm["spatial"], table.obsm["spatial_um"]
    html = map_block(sketch, gather(table, record), record)
    assert html.count("the table holds no coordinates") == 3


# coverage


def test_coverage_is_that_of_a_loop(facts, predicted, sketch):
    _, record = predicted
    html = covered_block(sketch, facts, record)
    truth, low, high = (
        facts.table.obsm[f"abundance{end}"].to_numpy() for end in ("", ".mlp.low", ".mlp.high")
    )
    shares = []
    for sample in range(3):
        held = total = 0
        for row in np.flatnonzero(facts.rows(sample)):
            if np.isnan(low[row]).any():
                continue
            for column in range(len(TYPES)):
                held += low[row, column] <= truth[row, column] <= high[row, column]
                total += 1
        shares.append(held / total)
        assert f"<b>{held / total:.1%}</b>" in html
        assert f"n {total // len(TYPES)}" in html
    assert f"<b>{np.mean(shares):.1%}</b>" in html
    assert "90% promised" in html
    assert "width 0.12" in html
    assert sketch.written == ["coverage.png"]


def test_without_intervals_there_is_no_coverage(predicted, sketch):
    table, record = predicted
    del table.obsm["abundance.mlp.low"]
    assert covered_block(sketch, gather(table, record), record) == ""


# tables


def test_tables_of_cell_types_are_told_here_and_nowhere_else(record):
    similar = {"sample": ["A"], "guess": ["mlp"], "cosine": [1.0], "correlation": [1.0], "types": [3]}
    frames = {
        "coloc": pd.DataFrame(columns=["sample", "of", "type", "other", "r", "pvalue", "padj", "n"]),
        "similar": pd.DataFrame(similar),
        "own": pd.DataFrame({"a": [1]}),
    }
    record = replace(record, tables=frames)
    assert list(of_abundance(record)) == ["colocalisation-similarity"]
    assert not views(record)
    assert list(others(record)) == ["coloc", "own"]  # an empty table is told as such
