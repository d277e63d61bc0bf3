"""The page of a comparison: what it says, how it escapes, and what it survives."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triptych.core.errors import DataError, OutputError
from triptych.report.compare import write_comparison
from triptych.report.comparing_grids import matrices, nested, paired, ranked, ranking
from triptych.report.comparing_markdown import escaped
from triptych.report.comparison import COLUMNS, Comparison

EVIL = "<script>alert(1)</script> | $x_1$ `rm`"
SAMPLES = {"A1": "A", "A2": "A", "B1": "B", "C1": "C"}
ENCODERS, ALIGNERS = ("counts", "counts + image"), ("none", "harmony")


def runs_of(arms, metrics, ways, seeds=3, seed=0):
    """Invented values: each arm has an offset, each section another, each seed a little noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, arm in enumerate(arms):
        for metric in metrics:
            for way in ways:
                for place, (sample, donor) in enumerate(SAMPLES.items()):
                    for one in range(seeds):
                        value = 0.3 + 0.05 * number + 0.06 * place + rng.normal(0, 0.015)
                        rows.append(
                            (arm, metric, "obs:domain", sample, donor, "", one, value, way, 12.5 + number)
                        )
    names = ["arm", "metric", "slot", "sample", "donor", "fold", "seed", "value", "k_from", "seconds"]
    return pd.DataFrame(rows, columns=names).assign(low=np.nan, high=np.nan, n=300, protocol="", k=6)


def summary_of(runs):
    rows = []
    for (arm, way, metric), some in runs.groupby(["arm", "k_from", "metric"], sort=False):
        mean = some["value"].mean()
        rows.append(
            (
                arm,
                way,
                metric,
                mean,
                mean - 0.04,
                mean + 0.05,
                0.012,
                4,
                3,
                3,
                metric != "pas",
                "transductive",
            )
        )
    names = [
        "arm",
        "k_from",
        "metric",
        "value",
        "low",
        "high",
        "sd_seeds",
        "samples",
        "donors",
        "seeds",
        "greater_is_better",
        "protocol",
    ]
    return pd.DataFrame(rows, columns=names)


def pairs_of(summary, reference):
    base = summary[summary["arm"] == reference].set_index(["k_from", "metric"])["value"]
    rows = []
    for row in summary[summary["arm"] != reference].itertuples():
        gap = row.value - base[row.k_from, row.metric]
        better = "not told apart" if abs(gap) < 0.07 else "better" if gap > 0 else "worse"
        rows.append((row.arm, reference, row.k_from, row.metric, gap, gap - 0.07, gap + 0.06, 3, 4, better))
    return pd.DataFrame(rows, columns=list(COLUMNS["pairs"]))


@pytest.fixture(scope="module")
def result():
    arms = [f"{encoder}, {aligner}" for encoder in ENCODERS for aligner in ALIGNERS]
    factors = [(encoder, aligner) for encoder in ENCODERS for aligner in ALIGNERS]
    runs = runs_of([*arms, "PCA, k-means"], ["ari", "pas"], ["labels", "bic"])
    summary = summary_of(runs)
    folds = pd.DataFrame(
        {
            "fold": ["0", "1"], "test": ["A", "B"], "chosen": ['{"k": 6}', '{"k": 7}'],
            "tuning_score": [0.41, np.nan], "value": [0.38, 0.4],
        }
    )  # fmt: skip
    return Comparison(
        title="Which view helps?", question="Does an image add to the counts?", data="her2st (36 sections)",
        command="triptych compare a.yaml --data her2st -o out",
        arms=pd.DataFrame([*factors, (np.nan,) * 2], [*arms, "PCA, k-means"], ["encoder", "aligner"]),
        runs=runs, summary=summary, pairs=pairs_of(summary, arms[0]), notes=["Only three donors."],
        conclusions=["Harmony helps."], folds=folds,
    )  # fmt: skip


@pytest.fixture(scope="module")
def out(result, tmp_path_factory):
    """Written once for the tests that only read it."""
    folder = tmp_path_factory.mktemp("comparison") / "new" / "out"
    write_comparison(result, folder)
    return folder


class Reader(HTMLParser):
    """Tags, attributes and text."""

    def __init__(self):
        super().__init__()
        self.tags, self.found, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(self.words)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def number_of(cell):
    return float(cell.text.replace("−", "-"))


def test_files_that_are_written(out):
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {
        "compare.html", "compare.md", "figures/arms-ari.png", "figures/differences-ari.png",
        "figures/sections-ari-labels.png", "figures/sections-ari-bic.png",
    }  # fmt: skip
    for path in (out / "figures").iterdir():
        with Image.open(path) as image:
            assert image.size[0] > 300
            assert len(image.convert("RGB").getcolors(1 << 20)) > 3


def test_page_is_self_contained_and_in_order(out):
    page = read(out / "compare.html")
    for tag, name, value in page.found:
        if name in {"src", "srcset"}:
            assert value.startswith("data:image/")
        if name == "href":
            assert tag == "a"
            assert value.startswith("#")
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(page.tags)
    policy = next(value for tag, name, value in page.found if tag == "meta" and name == "content")
    assert policy.startswith("default-src 'none'")
    targets = {value[1:] for _, name, value in page.found if name == "href"}
    assert targets == {value for tag, name, value in page.found if name == "id"}
    order = [
        "Which view helps?",
        "Does an image add",
        "Harmony helps.",
        "ARI of 5 arms",
        "Only three donors.",
        "triptych compare a.yaml",
    ]
    places = [page.text.rindex(words) for words in order]
    assert places == sorted(places)


def test_ranking_has_the_best_first_and_in_bold(result):
    grid = ranking(result, "ari")
    assert [row[0].text for row in grid.rows] == ranked(result, "ari")
    assert grid.head == ["Arm", "K from labels", "K from bic", "Sections", "Donors", "Seeds", "Time of a run"]
    values = np.array([[number_of(cell) for cell in row[1:3]] for row in grid.rows])
    assert (np.diff(values[:, 0]) <= 0).all()
    for column in range(2):
        bold = [row[1 + column].best for row in grid.rows]
        assert np.flatnonzero(bold).tolist() == [values[:, column].argmax()]
    assert [cell.text for cell in grid.rows[0][3:6]] == ["4", "3", "3"]
    assert grid.rows[0][1].small == (f"{values[0, 0] - 0.04:.3f}–{values[0, 0] + 0.05:.3f}; seeds ±0.012")
    assert [row[0].small for row in grid.rows if row[0].text.startswith("PCA")] == ["simple baseline"]


def test_less_is_better_where_the_metric_says_so(result):
    grid = ranking(result, "pas")
    values = [number_of(row[1]) for row in grid.rows]
    assert values == sorted(values)
    assert [row[1].best for row in grid.rows] == [True, False, False, False, False]
    assert "less is better" in grid.caption
    shades = [cell.shade for row in matrices(result, "pas")[0].rows for cell in row[1:]]
    assert shades[0] == 1  # the least


def test_matrix_has_each_arm_in_its_place(result):
    one, other = matrices(result, "ari")  # the baseline, which has no levels, is not in it
    assert one.head == ["encoder", "none", "harmony"]
    assert [row[0].text for row in one.rows] == ["counts", "counts + image"]
    means = result.summary.query("metric == 'ari' and k_from == 'labels'").set_index("arm")["value"][:4]
    for row in one.rows:
        for aligner, cell in zip(ALIGNERS, row[1:], strict=True):
            mean = means[f"{row[0].text}, {aligner}"]
            assert number_of(cell) == pytest.approx(mean, abs=6e-4)
            assert cell.shade == pytest.approx((mean - means.min()) / (means.max() - means.min()))
            assert cell.best == (mean == means.max())
    assert other.caption.endswith("K from bic")


def test_no_matrix_without_two_factors(result):
    assert matrices(replace(result, arms=result.arms[["encoder"]]), "ari") == []
    assert matrices(replace(result, arms=result.arms[[]]), "ari") == []
    assert matrices(replace(result, arms=result.arms.assign(encoder="one", aligner="one")), "ari") == []


def test_pairs_and_folds(result):
    grid = paired(result, "ari")
    rows = {row[0].text: row for row in grid.rows}
    assert list(rows) == [arm for arm in ranked(result, "ari") if arm != "counts, none"]
    assert grid.head == ["Arm", "Reference", "K from labels", "Verdict", "K from bic", "Verdict"]
    for row in result.pairs.query("metric == 'ari'").itertuples():
        column = 2 if row.k_from == "labels" else 4
        difference, verdict = rows[row.arm][column : column + 2]
        assert number_of(difference) == pytest.approx(row.difference, abs=6e-4)
        assert verdict.text.endswith(row.better)
        assert verdict.small == "3 of 4 wins"
    assert rows["PCA, k-means"][3].text == "▲ better"
    assert rows["counts, harmony"][3].text == "not told apart"
    folds = nested(result)
    assert [cell.text for cell in folds.rows[1]] == ["1", "B", '{"k": 7}', "–", "0.400"]


def test_text_of_others_is_escaped(result, tmp_path):
    def evil(frame, columns):
        return frame.assign(**{name: frame[name].astype(str) + EVIL for name in columns})

    bad = replace(
        result, title=EVIL, question=EVIL, data=EVIL, command=EVIL + "\n```\n# x", notes=[EVIL],
        conclusions=[EVIL], arms=evil(result.arms, list(result.arms)).rename(index=lambda name: name + EVIL),
        runs=evil(result.runs, ["arm", "metric", "sample", "donor", "k_from"]),
        summary=evil(result.summary, ["arm", "metric", "k_from", "protocol"]),
        pairs=evil(result.pairs, ["arm", "reference", "metric", "k_from", "better"]),
        folds=evil(result.folds, ["fold", "test", "chosen"]),
    )  # fmt: skip
    path = write_comparison(bad, tmp_path)
    page = read(path)
    assert "script" not in page.tags
    assert "<script" not in path.read_text(encoding="utf-8")
    assert "alert(1)" in page.text
    assert not [name for _, name, _ in page.found if name.startswith("on")]
    text = (tmp_path / "compare.md").read_text(encoding="utf-8")
    outside = re.sub(r"(?ms)^(`{4,})$.*?^\1$", "", text)
    assert outside != text
    assert "<script" not in outside
    for line in outside.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line)) - 1
            assert cells in {4, 5, 6, 7}
            assert not re.search(r"(?<!\\)[`$]", line)


def test_markdown_has_the_same_tables(result, out):
    text = (out / "compare.md").read_text(encoding="utf-8")
    best = ranking(result, "ari").rows[0]
    assert f"| {escaped(best[0].text)}" in text
    assert f"**{best[1].text}** ({best[1].small})" in text
    blocks = re.findall(r"(?m)(?:^\|.*\n)+", text)
    assert len(blocks) == 7  # two rankings, two matrices, two of pairs, folds
    for block in blocks:
        lines = block.splitlines()
        assert set(lines[1]) <= set("|- ")
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "![" not in text
    assert "```\ntriptych compare a.yaml --data her2st -o out\n```" in text
    assert text.index("Harmony helps") < text.index("ARI of") < text.index("Only three donors")


def test_escaped_markdown():
    assert escaped("a|b\n<i> *x* _y_ \\ [z] $q$ `c` #1") == (
        r"a\|b &lt;i&gt; \*x\* \_y\_ \\ \[z\] \$q\$ \`c\` \#1"
    )


def empty(result, **kept):
    none = pd.DataFrame()
    frames = {"arms": none, "runs": none, "summary": none, "pairs": none, "folds": none, **kept}
    return replace(result, notes=[], conclusions=[], question="", **frames)


def test_empty_frames(result, tmp_path):
    page = read(write_comparison(empty(result), tmp_path))
    assert "nothing to compare" in page.text
    assert "img" not in page.tags
    page = read(write_comparison(empty(result, summary=result.summary), tmp_path))
    assert page.tags.count("picture") == 1
    page = read(write_comparison(empty(result, folds=result.folds), tmp_path))
    assert "nothing to compare" in page.text
    assert "Chosen in each fold" in page.text


def test_one_arm_without_intervals(result, tmp_path):
    alone = result.summary.query("arm == 'counts, none' and k_from == 'bic'")
    alone = alone.assign(low=np.nan, high=np.nan, sd_seeds=np.nan, donors=np.nan, k_from=np.nan)
    single = empty(result, summary=alone, arms=result.arms.iloc[:1])
    page = read(write_comparison(single, tmp_path))
    assert "K from" not in page.text
    assert "nan" not in page.text.lower()
    (row,) = ranking(single, "ari").rows
    assert row[1].small == "–"
    assert not row[1].best  # of one there is no best
    assert row[3].text == "–"


def test_values_that_are_missing(result, tmp_path):
    missing = replace(
        result, summary=result.summary.assign(value=np.nan, low=np.nan, high=np.nan),
        pairs=result.pairs.assign(difference=np.nan, low=np.nan, high=np.nan, wins=np.nan),
        runs=result.runs.assign(value=np.nan, seconds=np.nan),
    )  # fmt: skip
    page = read(write_comparison(missing, tmp_path))
    assert "nan" not in page.text.lower()
    assert "– of 4 wins" in page.text


@pytest.mark.parametrize(("donors", "words"), [(3, True), (13, False)])
def test_many_sections_are_coloured_by_donor_or_not_at_all(result, tmp_path, donors, words):
    some = result.runs.query("metric == 'ari' and k_from == 'bic' and seed == 0 and sample == 'A1'")
    runs = pd.concat([some.assign(sample=f"s{i}", donor=f"d{i % donors}") for i in range(13)])
    page = read(write_comparison(empty(result, summary=result.summary, runs=runs), tmp_path))
    assert ("in the colour of its donor" in page.text) == words


def test_columns_that_are_missing_are_told_together(result):
    with pytest.raises(
        DataError, match=r"(?s)2 faults.*summary has no column low, high.*pairs has no column wins"
    ):
        replace(
            result,
            summary=result.summary.drop(columns=["low", "high"]),
            pairs=result.pairs.drop(columns="wins"),
        )


def test_a_folder_that_cannot_be_written(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be written to .*Choose another folder"):
        write_comparison(result, tmp_path / "file")


def test_the_same_page_from_the_same_result_and_nothing_half_written(result, tmp_path):
    small = empty(result, summary=result.summary, pairs=result.pairs)
    one, two = (write_comparison(small, tmp_path / name) for name in "ab")
    assert one == tmp_path / "a" / "compare.html"
    assert one.read_bytes() == two.read_bytes()
    assert not list(tmp_path.rglob("*.part"))
