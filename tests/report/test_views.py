"""The chapter of views: what is grouped, that its numbers are those of the tables, and what is partial."""

import re
import warnings
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.analyses import registry
from triptych.core.analysis import Material
from triptych.core.protocols import Counts, Places
from triptych.report import write_report
from triptych.report.accuracy import accuracy_block
from triptych.report.genes import gene_block
from triptych.report.grids import ABREAST
from triptych.report.overlaps import overlap_block
from triptych.report.pairs import pair_block, square
from triptych.report.tables import KINDS, MOST, TYPES, View, cut, kind_of, others, types_of
from triptych.report.tables import views as grouped
from triptych.report.views import TITLE, view_section

TYPES_3 = ["Goblet $x", "<b>Tuft</b>", "Paneth"]


def cells(html):
    """Rows of the first table as text."""
    first = html.partition("<table>")[2].partition("</table>")[0]
    return [
        [unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)]
        for line in re.findall(r"<tr[^>]*>(.*?)</tr>", first)
    ]


def text(html):
    return unescape(re.sub(r"<[^>]*>", "", html))


def test_tables_of_a_kind_are_told_together_and_none_twice(evaluated, views):
    other = pd.DataFrame({"group": ["a"], "what": [1.0]})
    record = replace(evaluated, tables={**evaluated.tables, "else": other})
    found = grouped(record)
    assert {kind: [one.name for one in some] for kind, some in found.items()} == {
        "forest": ["counts", "ls2_stain", "ls4_dual"],
        "permanova": ["counts", "ls2_stain", "ls4_dual"],
        "permdisp": ["counts", "ls2_stain", "ls4_dual"],
        "ridge": ["ls2_stain", "ls4_dual"],
        "jaccard": list(views.labels),
    }
    told = [one.table for some in found.values() for one in some]
    assert sorted([*told, *others(record)]) == sorted(record.tables)
    assert list(others(record)) == ["else"]


def test_the_page_shows_each_once(table, evaluated, tmp_path, hostile):
    write_report(table, evaluated, tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert f'<a href="#views">{TITLE}</a>' in page
    assert '<section id="analyses"' not in page
    assert hostile not in page
    for file in ("accuracy-random", "accuracy-blocks", "jaccard", "labellings", "known-labels"):
        assert (tmp_path / "figures" / f"{file}.png").is_file()
    assert len(list((tmp_path / "figures").glob("pairs-*.png"))) == 3
    assert len(list((tmp_path / "figures").glob("genes-*.png"))) == 2
    assert not re.findall(r"<img(?![^>]*alt=\"[^\"]+\")", page)
    chapter = page.partition('<section id="views"')[2].partition("</section>")[0]
    assert chapter.count("<table>") == 2 + 2  # accuracies, pairs, and genes of two views
    assert chapter.count("<h3>") == 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_what_the_analysis_of_its_name_gives(kind):
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(3), 40)
    x = rng.normal(size=(120, 4)) + codes[:, None]
    places = Places(rng.uniform(0, 100, (120, 2)), np.zeros(120, int))
    counts = Counts(sp.csr_matrix(rng.poisson(2.0, (120, 5))), np.array(list("abcde")), np.zeros(120, int))
    names = ("0", "1", "2")
    given = Material(codes, names, places, counts=counts, x=x, truth=codes, truth_names=names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quick = {"trees": 5} if kind == "forest" else {}
        frame = registry.find(kind)(**quick).analyse(given, rng)
    assert kind_of(frame) == kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_known_by_its_columns_and_not_by_its_name(kind):
    frame = pd.DataFrame(columns=sorted(KINDS[kind]))
    assert kind_of(frame) == kind
    assert kind_of(frame.iloc[:, 1:]) == ""


def test_a_view_is_named_by_its_table_else_by_its_space(record, views):
    step = views.steps()[0]
    step.do, step.to, step.reads = "analyse", "forest", {"labels": "obs:truth", "x": "obsm:X_img.uni2-h"}
    tables = {"forest": views.forest(TYPES_3), "forest.a.b": views.forest(TYPES_3)}
    found = grouped(replace(record, steps=[step], tables=tables))
    assert [one.name for one in found["forest"]] == ["img.uni2-h", "a.b"]


def test_empty_tables_and_those_of_sections(record, views, sketch):
    frame = views.forest(TYPES_3)
    both = pd.concat([frame.assign(sample="A"), frame.assign(sample="<i>")], ignore_index=True)
    record = replace(record, tables={"forest.x": both, "ridge.x": views.ridge(3).head(0)})
    found = grouped(record)
    assert list(found) == ["forest"]
    assert [one.name for one in found["forest"]] == ["x, section A", "x, section <i>"]
    assert list(others(record)) == ["ridge.x"]
    assert "<i>" not in view_section(sketch, record)


def test_numbers_that_were_read_back_as_none_or_text(record, views, sketch):
    frame = views.forest(TYPES_3).astype(object)
    frame.loc[0, "recall"] = None
    frame.loc[1, "recall"] = "much"
    html = view_section(sketch, replace(record, tables={"forest.x": frame}))
    assert cells(html)[1][0] == "x"


def test_balanced_accuracies_are_those_of_the_tables(views, sketch):
    frame = views.forest(TYPES_3)
    mean = frame[frame["group"] == "(mean)"].set_index("folds")["recall"]
    html = accuracy_block(sketch, [View("x", "forest.x", frame)])
    head, row = cells(html)
    assert head[1:4] == ["Random folds", "Whole blocks", "Difference"]
    assert row[1:3] == [f"{mean['random']:.3f} ± 0.020", f"{mean['blocks']:.3f} ± 0.020"]
    assert row[3] == f"{mean['random'] - mean['blocks']:.2f}".replace("-", "−")
    assert row[4] == "0.33"
    assert "1 / 3 = 0.33 by chance" in html
    assert sketch.written == ["accuracy-random.png", "accuracy-blocks.png"]


def test_the_sentence_of_the_difference(views, sketch):
    frame = pd.DataFrame(
        [("random", "(mean)", 9, 0.41, 0.01, 0.1), ("blocks", "(mean)", 9, 0.33, 0.01, 0.1)],
        columns=["folds", "group", "n", "recall", "deviation", "shuffled"],
    )
    first = pd.concat([frame, frame.assign(group="A")])
    told = text(accuracy_block(sketch, [View("x", "t", first)]))
    assert "x: random folds 0.41, folds of whole blocks 0.33: the difference of 0.08 is what" in told
    first.attrs["note"] = "In the words of <b>."
    assert "x: In the words of &lt;b&gt;." in accuracy_block(sketch, [View("x", "t", first)])
    lower = first.assign(recall=np.where(first["folds"] == "blocks", 0.5, 0.4))
    lower.attrs = {}
    assert "neighbouring cells lend nothing" in accuracy_block(sketch, [View("x", "t", lower)])


def test_random_folds_alone(views, sketch):
    frame = views.forest(TYPES_3)
    html = accuracy_block(sketch, [View("x", "t", frame[frame["folds"] == "random"])])
    assert sketch.written == ["accuracy-random.png"]
    assert cells(html)[1][2:4] == ["–", "–"]
    assert "lend" not in html.partition("<table>")[2]


@pytest.mark.parametrize(("count", "tall"), [(ABREAST, False), (ABREAST + 1, True)])
def test_many_types_stand_one_below_the_other(views, sketch, monkeypatch, count, tall):
    seen = {}
    monkeypatch.setattr(
        "triptych.report.grids.shares", lambda ax, values, **given: seen.update(values=values, **given)
    )
    frame = views.forest([f"T{i}" for i in range(count)])
    accuracy_block(sketch, [View("x", "t", frame)])
    assert (seen["columns"] == ["x"]) is tall
    recall = frame[frame["folds"] == "blocks"].set_index("group")["recall"]
    names = seen["rows"] if tall else seen["columns"]
    np.testing.assert_allclose(seen["values"].ravel(), recall[names])
    assert names[-1] == "(mean)"
    assert names[0] == "T0"  # the most frequent


def test_types_are_cut_with_a_word(views):
    types = [f"T{i}" for i in range(TYPES + 3)]
    shown, told = types_of([views.pairs(types, "permanova")])
    assert shown == types[:TYPES]
    assert f"{TYPES} largest of {TYPES + 3}" in told
    assert types_of([views.forest(TYPES_3)]) == (TYPES_3, "")


def test_views_are_cut_with_a_word_and_names_that_meet_are_told_apart(views):
    frame = views.forest(TYPES_3)
    shown, told = cut([View(f"v{i}", f"t{i}", frame) for i in range(MOST + 2)])
    assert len(shown) == MOST
    assert f"first {MOST} of {MOST + 2}" in told
    assert [one.name for one in cut([View("x", "a.x", frame), View("x", "b.x", frame)])[0]] == ["a.x", "b.x"]


def test_pairs_are_counted_and_the_hardest_named(views, sketch):
    above, below = views.pairs(TYPES_3, "permanova", 0), views.pairs(TYPES_3, "permdisp", 0)
    above["padj"], above["r2"] = [0.05, 0.3, 0.001], [0.01, 0.02, 0.2]
    html = pair_block(sketch, [View("x", "t", above)], [View("x", "u", below), View("only", "w", below)])
    _, first, second = cells(html)
    assert first[:5] == ["x", "33% (1 of 3)", "0.020", "100% (3 of 3)", f"{below['r2'].median():.3f}"]
    assert first[5].startswith("Goblet $x – Panethp 0.300, R² 0.020Goblet $x – <b>Tuft</b>p 0.050")
    assert second[:3] == ["only", "–", "–"]
    assert second[5] == "–"
    assert sketch.written == ["pairs-x.png", "pairs-only.png"]
    assert "<b>Tuft" not in html


def test_of_pairs_alike_in_p_the_smallest_effect_is_the_hardest(views, sketch):
    frame = views.pairs(list("abcd"), "permanova", 0)
    frame["r2"] = [0.3, 0.1, 0.2, 0.05, 0.4, 0.6]
    hardest = cells(pair_block(sketch, [View("x", "t", frame)], []))[1][5]
    found = re.findall(r"R² ([\d.]+)", hardest)
    assert found == ["0.050", "0.100", "0.200", "0.300", "0.400"]


def test_the_square_holds_each_pair_on_both_sides(views):
    frame = views.pairs(TYPES_3, "permdisp", 1.0)
    values = square(frame, ["Paneth", "Goblet $x"])
    wanted = frame[(frame["group"] == "Goblet $x") & (frame["other"] == "Paneth")]["padj"].iloc[0]
    assert values[0, 1] == values[1, 0] == wanted
    assert np.isnan(values.diagonal()).all()
    assert np.isnan(square(None, TYPES_3)).all()


def test_genes_are_listed_by_falling_r2(views, sketch):
    frame = views.ridge(40)
    frame.loc[3, "gene"] = "<b>G"
    frame.loc[3, "r2"] = 0.9
    frame.loc[4, ["r2", "r2_blocks"]] = np.nan
    html = gene_block(sketch, [View("x", "t", frame)])
    _, *rows = cells(html)
    best = frame.sort_values("r2", ascending=False).head(15)
    assert [row[0] for row in rows] == best["gene"].tolist()
    assert rows[0][:3] == ["<b>G", "0.90 ± 0.02", f"{frame['r2_blocks'][3]:.2f}".replace("-", "−")]
    assert rows[0][3] == str(frame["latent"][3])
    assert f"{(frame['r2'] > 0.2).sum()} of 39 genes have an R² above 0.2." in html
    assert "<b>G" not in html
    frame.attrs["note"] = "Only <i> linear."
    html = gene_block(sketch, [View("x", "t", frame)])
    assert "Only &lt;i&gt; linear." in html
    assert "genes have an R² above" not in html


def test_no_gene_has_a_value(views, sketch):
    html = gene_block(sketch, [View("x", "t", views.ridge(3).assign(r2=np.nan))])
    assert "No gene has an R²." in html
    assert sketch.written == []


def test_overlaps_stand_views_alone_first_and_their_mean_is_over_all_types(views, sketch, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "triptych.report.grids.shares", lambda ax, values, **given: seen.update(values=values, **given)
    )
    frame = views.jaccard(TYPES_3)
    other = frame.head(2)
    html = overlap_block(sketch, [View("multiplex.a.b", "t", frame), View("leiden.a", "u", other)])
    assert seen["rows"] == ["leiden.a", "multiplex.a.b"]
    assert seen["columns"] == [*TYPES_3, "(mean)"]
    np.testing.assert_allclose(seen["values"][1], [*frame["jaccard"], frame["jaccard"].mean()])
    np.testing.assert_allclose(seen["values"][0], [*other["jaccard"], np.nan, other["jaccard"].mean()])
    assert "Jaccard index" in html
