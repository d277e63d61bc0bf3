"""Which types can be predicted and which lie together: the words and pictures of their tables."""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest

from triptych.report.colocalised import WIDEST, colocalised_block, square
from triptych.report.predictable import NAMED, predictable_block, verdicts
from triptych.report.tables import TYPES, View

COLUMNS = [
    "type", "guess", "control", "n", "pearson", "pearson_control", "difference", "low", "high", "skill",
    "verdict",
]  # fmt: skip
PAIRS = ["sample", "of", "type", "other", "r", "pvalue", "padj", "n"]
SIMILAR = ["sample", "guess", "cosine", "correlation", "types"]


def text(html):
    return unescape(re.sub(r"<[^>]*>", "", html))


def rows(types, guesses=("mlp",), controls=("control-location",), seed=0):
    rng, found = np.random.default_rng(seed), []
    for name in types:
        for guess in guesses:
            for control in controls:
                gain = rng.normal(0.1, 0.2)
                low, high = gain - 0.1, gain + 0.1
                verdict = "predicted" if low > 0 else f"not told apart from {control}"
                found.append((name, guess, control, 400, 0.3 + gain, 0.3, gain, low, high, 0.1, verdict))
    return pd.DataFrame(found, columns=COLUMNS)


def view(frame, name="predictability", note=""):
    frame.attrs["note"] = note
    return [View(name, name, frame)]


# predictability


def test_no_table_no_block(sketch):
    assert predictable_block(sketch, []) == ""
    assert colocalised_block(sketch, [], []) == ""


def test_verdicts_are_counted_and_named_best_first():
    frame = rows(list("abcde"))
    said = verdicts(frame)
    for verdict, some in frame.groupby("verdict"):
        names = some.sort_values("difference", ascending=False)["type"]
        assert f"mlp: {verdict}: {len(some)} of 5 types ({', '.join(names)})." in said
    many = verdicts(rows([f"t{i}" for i in range(40)]).assign(verdict="predicted"))
    assert len(many) == 1
    assert many[0].endswith(f" and {40 - NAMED} more).")


def test_a_chart_for_each_control_types_by_falling_difference(sketch):
    frame = rows(["$x", "<i>y", "z"], ("mlp", "ridge"), ("control-location", "control-mean"))
    html = predictable_block(sketch, view(frame, note="Read <this>."))
    assert len(sketch.written) == len(set(sketch.written)) == 2
    assert html.count("<article") == 2
    assert "<i>y" not in html
    assert "Read &lt;this&gt;." in html
    assert html.index("Against control-location") < html.index("Against control-mean")
    mine = frame[frame["control"] == "control-location"]
    order = list(mine.groupby("type")["difference"].max().sort_values(ascending=False).index)
    first = html.partition("<tbody>")[2].partition("</tbody>")[0]
    assert [unescape(name) for name in re.findall(r'<th scope="row">(.*?)</th>', first)] == [
        name for name in order for _ in range(2)
    ]
    row = mine.iloc[0]
    assert f"<b>{row.difference:.2f}</b>".replace("-", "−") in first


def test_hollow_points_are_those_whose_interval_holds_zero(sketch, monkeypatch):
    seen = []
    monkeypatch.setattr("triptych.report.predictable.intervals", lambda ax, table, **_: seen.append(table))
    frame = rows(list("abcdefgh"))
    predictable_block(sketch, view(frame))
    marks = dict(zip(seen[0]["name"], seen[0]["mark"], strict=True))
    for row in frame.itertuples():
        assert (marks[row.type] == "not told apart") == (row.low <= 0 <= row.high)
    assert list(seen[0]["value"]) == sorted(frame["difference"], reverse=True)


def test_types_without_a_value_come_last_and_are_written_as_dashes(sketch):
    frame = rows(["a", "b"])
    frame.loc[0, ["pearson", "difference", "low", "high", "skill"]] = np.nan
    html = predictable_block(sketch, view(frame))
    assert html.rindex('<th scope="row">a</th>') > html.index('<th scope="row">b</th>')
    assert "<b>–</b>" in html


def test_many_types_are_cut(sketch):
    html = predictable_block(sketch, view(rows([f"t{i}" for i in range(TYPES + 3)])))
    assert f"The first {TYPES} of {TYPES + 3} types are drawn; tables/predictability.csv holds all." in html


# colocalisation


def pairs(types, samples=("A",), roles=("mlp", "truth"), seed=0):
    rng = np.random.default_rng(seed)
    ends = [(one, other) for i, one in enumerate(types) for other in types[i:]]
    found = [
        (sample, role, *both, rng.normal(), 0.01, rng.choice([0.001, 0.4]), 300)
        for sample in samples
        for role in roles
        for both in ends
    ]
    return pd.DataFrame(found, columns=PAIRS)


def test_pairs_become_a_symmetric_table():
    frame = pairs(["a", "b", "c"], roles=("truth",))
    table = square(frame, ["c", "a", "nothing"], "r")
    at = frame.set_index(["type", "other"])["r"]
    wanted = [[at["c", "c"], at["a", "c"], np.nan], [at["a", "c"], at["a", "a"], np.nan], [np.nan] * 3]
    np.testing.assert_array_equal(table, wanted)


@pytest.fixture
def drawn(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "triptych.report.colocalised.cluster_maps",
        lambda ax, maps, marks, **more: seen.append((maps, marks, more)),
    )
    return seen


def test_a_figure_for_each_section_the_truth_first(sketch, drawn):
    frame = pairs(["a", "<b>"], samples=["S <i>", "T"], roles=("mlp", "truth", "knn"))
    html = colocalised_block(sketch, view(frame, "colocalisation", "Weights & p."), [])
    assert len(set(sketch.written)) == 2
    assert "S &lt;i&gt;" in html
    assert "Weights &amp; p." in html
    assert [list(maps) for maps, _, _ in drawn] == [["truth", "mlp", "knn"]] * 2
    maps, marks, more = drawn[0]
    mine = frame[(frame["sample"] == "S <i>") & (frame["of"] == "mlp")]
    low = mine[(mine["type"] != mine["other"]) & (mine["padj"] < 0.05)]
    assert marks["mlp"].sum() == 2 * len(low)
    assert not marks["mlp"].diagonal().any()
    np.testing.assert_array_equal(maps["mlp"], square(mine, more["names"], "r"))


def test_controls_come_last_and_constants_not_at_all(sketch, drawn):
    frame = pairs(["a", "b"], roles=("control-x", "control-mean", "mlp", "truth"))
    frame.loc[frame["of"] == "control-mean", "r"] = np.nan
    colocalised_block(sketch, view(frame, "colocalisation"), [])
    assert list(drawn[0][0]) == ["truth", "mlp", "control-x"]
    colocalised_block(sketch, view(frame.assign(r=np.nan), "colocalisation"), [])
    assert list(drawn[1][0]) == ["truth", "mlp", "control-x", "control-mean"]


def test_of_many_types_those_with_the_strongest_pairs_are_drawn(sketch, drawn):
    names = [f"t{i}" for i in range(WIDEST + 4)]
    frame = pairs(names, roles=("truth",))
    frame.loc[frame["type"].isin(names[:4]) | frame["other"].isin(names[:4]), "r"] = 0.0
    html = colocalised_block(sketch, view(frame, "colocalisation"), [])
    assert drawn[0][2]["names"] == names[4:]
    assert f"the {WIDEST} of {len(names)} types with the highest R" in html


def test_more_sections_and_roles_than_are_drawn(sketch, drawn):
    frame = pairs(["a", "b"], samples=[f"S{i}" for i in range(14)], roles=["truth", *"defgh"])
    html = colocalised_block(sketch, view(frame, "colocalisation"), [])
    assert len(drawn) == 12
    assert "The first 12 of 14 sections are drawn; tables/colocalisation.csv holds all." in html
    assert "2 more roles in the table" in html
    assert len(drawn[0][0]) == 4


def test_similarities_are_told_as_means_with_the_least_and_the_most(sketch):
    found = [("A", "mlp", 0.8, 0.7, 8), ("B", "mlp", 0.6, np.nan, 8), ("A", "<k>", 0.9, 0.9, 8)]
    frame = pd.DataFrame(found, columns=SIMILAR)
    html = colocalised_block(sketch, [], view(frame, "similarity", "Without <diagonal>."))
    said = text(html)
    assert "mlp: cosine 0.70 (0.60 to 0.80), correlation 0.70 (mean over 2 sections)." in said
    assert "<k>: cosine 0.90, correlation 0.90 (mean over 1 section)." in said
    assert "Without &lt;diagonal&gt;." in html
    assert html.count('<th scope="row">') == 3
    assert "–" in html
