"""Colours of predicted domains, and which view is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from triptych.report.facts import gather
from triptych.report.markup import Html, cited, join, tag
from triptych.report.wording import count, duration, interval, memory, number


def test_matched_domains_have_the_colour_of_their_label(table, record):
    table.obs["domain"] = table.obs["truth"].cat.rename_categories(lambda name: f"d-{name}")
    facts = gather(table, record)
    np.testing.assert_array_equal(facts.guesses[0].colours, facts.truth.colours)
    assert facts.guesses[0].legend["d-WM ≈ WM"] == facts.truth.legend["WM"]


def test_unmatched_domains_have_colours_of_their_own(table, record):
    facts = gather(table, record)
    assert facts.guesses[0].legend["4"] == len(facts.truth.names)
    assert len(set(facts.guesses[0].legend.values())) == 5


def test_one_by_one_a_renaming_inside_a_section_changes_nothing(table, record):
    for step in record.steps[3:5]:
        step.over = "sample"
    before = gather(table, record).guesses[1]
    second = (table.obs["sample"].cat.codes == 1).to_numpy()
    renamed = table.obs["domain.refined"].astype(int).to_numpy(copy=True)
    renamed[second] = (renamed[second] + 2) % 5
    table.obs["domain.refined"] = pd.Categorical(renamed.astype(str))
    after = gather(table, record).guesses[1]
    assert before.per_sample
    assert after.per_sample
    matched = before.colours < 4
    np.testing.assert_array_equal(after.colours[matched], before.colours[matched])


def test_only_the_last_three_slots_of_domains_are_shown(table, record):
    for name in "abc":
        table.obs[f"domain.{name}"] = table.obs["domain"]
        record.steps.append(
            record.steps[3].__class__(9, "cluster", "x", f"obs:domain.{name}", {}, {}, "study", {})
        )
    assert [labels.slot for labels in gather(table, record).guesses] == [f"obs:domain.{n}" for n in "abc"]


def test_the_fused_view_is_shown_before_aligned_and_encoded_ones(table, record):
    table.obsm["X_rna.pca"] = np.zeros((table.n_obs, 2))
    assert gather(table, record).view == "X_fused.concat"
    del table.obsm["X_fused.concat"]
    assert gather(table, record).view == "X_rna.pca"


def test_everything_is_escaped_unless_it_is_markup():
    assert tag("p", "<b>", tag("i", "&"), title='"') == '<p title="&quot;">&lt;b&gt;<i>&amp;</i></p>'
    assert isinstance(join(["<"]), Html)
    assert cited("<a> 10.1/x") == "&lt;a&gt; 10.1/x"


def test_a_doi_becomes_a_link():
    link = '<a href="https://doi.org/10.1038/s41591-024" rel="noreferrer noopener">10.1038/s41591-024</a>'
    assert cited("See <10.1038/s41591-024.") == f"See &lt;{link}."


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (number(-0.004, 3), "−0.004"),
        (number(np.nan), "–"),
        (interval(0.1, 0.2), "0.10–0.20"),
        (interval(-0.1, 0.2), "−0.10 to 0.20"),
        (interval(np.nan, 0.2), ""),
        (count(1, "section"), "1 section"),
        (count(12345, "gene"), "12\u202f345 genes"),
        (duration(59.94), "59.9 s"),
        (duration(3725), "1 h 2 min"),
        (memory(900), "900 MiB"),
        (memory(2048), "2.0 GiB"),
    ],
)
def test_words_for_numbers(told, wanted):
    assert told == wanted
