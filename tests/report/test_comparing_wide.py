"""Tables in a paper's form: each mean in its place, the best of a row, what is folded, and how it escapes."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from triptych.report.compare import LONG, write_comparison
from triptych.report.comparing_wide import wide, wide_grids
from triptych.report.comparison import Comparison, Layout

EVIL = "<script>alert(1)</script> | $x_1$"
VIEWS, REDUCTIONS, CLUSTERERS = ("A", "B", "A+B"), ("PCA", "UMAP"), ("K-means", "DEC")
METRICS = "majority-accuracy", "label-entropy"


def comparison(k_froms=("truth",), views=VIEWS):
    """Invented values; UMAP with DEC stands nowhere, and entropy is better when it is lower."""
    rng, arms, rows = np.random.default_rng(0), {}, []
    for view in views:
        for reduction in REDUCTIONS:
            for clusterer in CLUSTERERS:
                if (reduction, clusterer) == ("UMAP", "DEC"):
                    continue
                arm = f"{view} · {reduction} · {clusterer}"
                arms[arm] = {"view": view, "reduction": reduction, "clusterer": clusterer}
                rows += [
                    {
                        "arm": arm, "k_from": k_from, "metric": metric, "value": rng.random(),
                        "low": np.nan, "high": np.nan, "sd_seeds": 0.01, "samples": 2, "donors": 1,
                        "seeds": 5, "greater_is_better": metric == METRICS[0],
                        "protocol": "transductive, oracle K",
                    }
                    for k_from in k_froms
                    for metric in METRICS
                ]  # fmt: skip
    frame = pd.DataFrame(arms.values(), index=list(arms))
    layout = Layout(
        "views", "all views", "view", ("clusterer", "reduction"), METRICS, frame, note="A is genes."
    )
    none = pd.DataFrame()
    return Comparison(
        title="Tables", question="", data="toy", command="triptych", arms=frame, runs=none,
        summary=pd.DataFrame(rows), pairs=none, layouts=[layout],
    )  # fmt: skip


def value_of(result, arm, metric, k_from="truth"):
    rows = result.summary
    return rows[(rows["arm"] == arm) & (rows["metric"] == metric) & (rows["k_from"] == k_from)][
        "value"
    ].item()


@pytest.mark.parametrize("k_froms", [("truth",), ("truth", "bic")])
def test_every_mean_stands_in_its_place(k_froms):
    result = comparison(k_froms)
    table = wide(result, result.layouts[0])
    heads = ["k_from", "metric", "clusterer", "reduction"]
    assert list(table) == [*heads, *VIEWS, *(f"{view} (sd)" for view in VIEWS)]
    assert len(table) == len(k_froms) * 2 * 3
    for row in table.to_dict("records"):
        for view in VIEWS:
            arm = f"{view} · {row['reduction']} · {row['clusterer']}"
            assert row[view] == value_of(result, arm, row["metric"], row["k_from"])
            assert row[f"{view} (sd)"] == 0.01


def test_the_best_of_a_row_is_marked_in_the_direction_of_its_metric():
    result = comparison()
    (grid,) = wide_grids(result, result.layouts[0])
    assert grid.head == ["Metric", "Clusterer", "Reduction", *VIEWS]
    assert grid.caption.endswith("oracle K; best of each row in bold. A is genes.")
    assert [tuple(cell.text for cell in row[1:3]) for row in grid.rows[:3]] == [
        ("K-means", "PCA"), ("K-means", "UMAP"), ("DEC", "PCA"),
    ]  # fmt: skip
    for row in grid.rows:
        values = [float(cell.text) for cell in row[3:]]
        best = min(values) if "lower" in row[0].text or "entropy" in row[0].text else max(values)
        assert [cell.best for cell in row[3:]] == [value == best for value in values]
        assert {cell.small for cell in row[3:]} == {"±0.010"}


def test_a_number_of_clusters_that_is_not_the_usual_one_is_told():
    result = comparison()
    odd = result.summary["arm"] == "A+B · UMAP · K-means"
    counted = replace(result, summary=result.summary.assign(k=np.where(odd, 28.0, 5.2)))
    (grid,) = wide_grids(counted, counted.layouts[0])
    assert [row[5].small for row in grid.rows[:3]] == ["±0.010", "±0.010; 28 clusters", "±0.010"]
    assert {row[3].small for row in grid.rows} == {"±0.010"}


def test_a_factor_of_one_level_names_no_row():
    result = comparison()
    arms = result.layouts[0].arms
    one = replace(result.layouts[0], arms=arms[arms["clusterer"] == "K-means"])
    (grid,) = wide_grids(result, one)
    assert grid.head == ["Metric", "Reduction", *VIEWS]
    assert [cell.text for cell in grid.rows[1][:2]] == [grid.rows[0][0].text, "UMAP"]
    assert list(wide(result, one))[:4] == ["k_from", "metric", "clusterer", "reduction"]


def test_what_has_no_arm_is_a_dash():
    result = comparison()
    few = replace(result, summary=result.summary[result.summary["arm"] != "B · PCA · K-means"])
    (grid,) = wide_grids(few, few.layouts[0])
    assert grid.rows[0][4].text == "–"
    assert grid.rows[0][4].shade is None
    assert np.isnan(wide(few, few.layouts[0])["B"].iloc[0])
    nothing = replace(result, summary=pd.DataFrame())
    assert wide_grids(nothing, nothing.layouts[0]) == []
    assert len(wide(nothing, nothing.layouts[0])) == 0


class Tags(HTMLParser):
    """Names of tags, and all words."""

    def __init__(self):
        super().__init__()
        self.tags, self.words = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def page_of(result, folder):
    page = Tags()
    page.feed(write_comparison(result, folder).read_text("utf-8"))
    return page


def test_the_tables_come_first_and_long_lists_of_arms_are_folded(tmp_path):
    short, long = comparison(), comparison(views=[f"view {i}" for i in range(LONG // 3 + 1)])
    assert "details" not in page_of(short, tmp_path / "short").tags
    page = page_of(long, tmp_path / "long")
    assert page.tags.count("details") == 3  # the rankings of two metrics, and the figures
    words = " ".join(page.words)
    assert words.index("Table 1 · all views") < words.index("Majority accuracy of") < words.index("21 arms")
    text = (tmp_path / "long" / "compare.md").read_text("utf-8")
    assert text.index("## Table 1 · all views") < text.index("21 arms")


def test_text_of_others_is_escaped(tmp_path):
    result = comparison()
    layout = result.layouts[0]
    evil = replace(
        layout, title=EVIL, note=EVIL, columns=layout.columns,
        arms=layout.arms.assign(view=layout.arms["view"] + EVIL, reduction=layout.arms["reduction"] + EVIL),
    )  # fmt: skip
    page = page_of(replace(result, layouts=[evil]), tmp_path)
    assert "script" not in page.tags
    assert "alert(1)" in " ".join(page.words)
    text = (tmp_path / "compare.md").read_text("utf-8")
    assert "<script" not in text
    assert r"\$x\_1\$" in text
