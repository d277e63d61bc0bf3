"""The chapter of analyses: what it shows, what it leaves out, and names that try to break out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.core.analysis import Material
from triptych.core.protocols import Counts, Places
from triptych.pipeline.record import StepRecord
from triptych.report import write_report
from triptych.report.analyses import SECTIONS, analysis_section, small
from triptych.report.canvas import Canvas
from triptych.report.facts import gather

BOLD = "<b>GENE</b>"


def marker_rows(table, rows=slice(None)):
    """Markers of the domains, in the columns of the component."""
    from triptych.analyses.markers import Markers

    domain = table.obs["domain"].cat
    x = sp.csr_matrix(table.layers["counts"])[rows]
    codes = domain.codes.to_numpy(np.int64)[rows]
    places = Places(np.zeros((len(codes), 2)), np.zeros(len(codes), int))
    counts = Counts(x, table.var_names.to_numpy(str), np.zeros(len(codes), int))
    given = Material(codes, tuple(domain.categories), places, counts)
    return Markers(top=10).analyse(given, np.random.default_rng(0))


def pathway_rows(table, name="TGFb"):
    groups = list(table.obs["domain"].cat.categories)
    k = len(groups)
    rows = {"group": np.repeat(groups, 2), "pathway": [name, "WNT"] * k, "activity": np.arange(2 * k) / 3}
    rows |= {"difference": np.linspace(-2, 2, 2 * k), "statistic": np.linspace(-40, 40, 2 * k)}
    return pd.DataFrame({**rows, "pvalue": 0.0, "padj": 0.0, "targets_found": 50, "n": 100})


def step(to, labels="obs:domain"):
    return StepRecord(7, "analyse", "markers", "", {"labels": labels}, {}, "study", {"study": "k"})


@pytest.fixture
def counted(table):
    """The made-up study with counts in which one gene, of a hostile name, follows a domain."""
    counts = np.asarray(table.X).astype(np.int32)
    counts[table.obs["domain"].to_numpy() == "0", 0] += 9
    table.layers["counts"] = sp.csr_matrix(counts)
    table.var_names = [BOLD, *table.var_names[1:]]
    return table


@pytest.fixture
def section(tmp_path):
    """Write the chapter of some tables."""

    def build(table, record, tables, steps=()):
        (tmp_path / "figures").mkdir(exist_ok=True)
        record = replace(record, tables=tables, steps=[*record.steps, *steps])
        canvas = Canvas(tmp_path / "figures")
        return analysis_section(canvas, gather(table, record), record), canvas.written

    return build


def test_markers_are_drawn_and_listed_and_names_are_text(counted, record, section):
    html, written = section(counted, record, {"markers": marker_rows(counted)}, [step("markers")])
    assert "<b>GENE" not in html
    assert "&lt;b&gt;GENE&lt;/b&gt;" in html
    assert written == ["markers-markers.png"]
    assert "double dipping" in html
    assert html.count("<tr>") == 1 + 3 * 5  # a head, and three genes of each of five domains
    assert "Markers<small> of obs:domain</small>" in html
    assert "1 of 1" in html


def test_pathways_are_drawn_and_listed(counted, record, section):
    html, written = section(counted, record, {"progeny": pathway_rows(counted, BOLD)}, [step("progeny")])
    assert written == ["pathways-progeny.png"]
    assert "&lt;b&gt;GENE&lt;/b&gt;" in html
    assert "&lt; 1e−300" in html
    assert html.count("<tr>") == 1 + 2 * 5
    assert html.index('<th scope="row">0</th>') < html.index('<th scope="row">4</th>')


def test_without_counts_or_labels_there_is_a_table_and_no_picture(counted, record, section):
    rows = marker_rows(counted)
    for steps in ([], [step("markers", "obs:nothing")], [step("markers", "obs:truth")]):
        html, written = section(counted, record, {"markers": rows}, steps)
        assert not written
        assert "&lt;b&gt;GENE" in html
    del counted.layers["counts"]
    assert section(counted, record, {"markers": rows}, [step("markers")])[1] == []


def test_other_tables_show_their_first_rows(counted, record, section):
    frame = pd.DataFrame({"what": [f"<i>{i}" for i in range(30)], "value": np.arange(30) / 7})
    html, written = section(counted, record, {"other": frame, "empty": frame.head(0)})
    assert not written
    assert "The first 12 of 30 rows" in html
    assert "&lt;i&gt;11" in html
    assert "<i>" not in html
    assert "The table has no rows" in html


def test_sections_analysed_one_by_one_have_a_block_each(counted, record, section, hostile):
    parts = [
        marker_rows(counted, np.flatnonzero(counted.obs["sample"] == name)).assign(sample=name)
        for name in counted.obs["sample"].cat.categories
    ]
    html, written = section(counted, record, {"markers": pd.concat(parts)}, [step("markers")])
    assert len(written) == len(set(written)) == html.count("<h3>") == 3
    assert hostile not in html
    many = pd.concat([parts[0].assign(sample=f"S{i}") for i in range(SECTIONS + 2)])
    html, _ = section(counted, record, {"markers": many})
    assert html.count("<h3>") == SECTIONS
    assert f"The first {SECTIONS} of {SECTIONS + 2} sections are shown; tables/markers.csv holds all." in html


def test_the_picture_shows_shares_and_scaled_means_of_the_counts(counted, record, section, monkeypatch):
    from triptych.report import analyses

    seen = {}
    monkeypatch.setattr(
        analyses, "dots", lambda _ax, share, level, **names: seen.update(s=share, l=level, **names)
    )
    section(counted, record, {"markers": marker_rows(counted)}, [step("markers")])
    dense = np.asarray(counted.layers["counts"].todense(), float)
    totals = dense.sum(axis=1)
    logs = np.log1p(dense * np.median(totals) / totals[:, None])
    domain = counted.obs["domain"].astype(str).to_numpy()
    column = seen["genes"].index(BOLD)
    means = np.array([logs[domain == name, 0].mean() for name in seen["groups"]])
    np.testing.assert_allclose(seen["l"][:, column], (means - means.min()) / np.ptp(means))
    shares = [(dense[domain == name, 0] > 0).mean() for name in seen["groups"]]
    np.testing.assert_allclose(seen["s"][:, column], shares)


def test_the_chapter_stands_after_the_sizes_and_only_where_there_are_tables(counted, record, tmp_path):
    write_report(counted, record, tmp_path / "none")
    assert "Markers and pathways" not in (tmp_path / "none" / "report.html").read_text("utf-8")
    record = replace(record, tables={"markers": marker_rows(counted)}, steps=[*record.steps, step("markers")])
    write_report(counted, record, tmp_path / "some")
    page = (tmp_path / "some" / "report.html").read_text("utf-8")
    assert (
        page.index('<section id="sizes"')
        < page.index('<section id="analyses"')
        < page.index('<section id="plan"')
    )
    assert '<a href="#analyses">Markers and pathways</a>' in page
    assert "<b>GENE" not in page


def test_small_probabilities():
    assert small(0.0) == "< 1e−300"
    assert small(1.234e-5) == "1.2e−05"
    assert small(0.04) == "0.04"
