"""The page: self-contained, escaped, complete, and honest about what is not there."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triptych.core.errors import MissingSlotError, OutputError
from triptych.report import write_report
from triptych.report.canvas import HEAVIEST

VOID = {"img", "meta", "source", "br"}


class Reader(HTMLParser):
    """Tags, attributes and text, and whether every element is closed in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def out(tmp_path_factory, study):
    """One run, written once for every test that only reads it."""
    folder = tmp_path_factory.mktemp("run") / "out"
    write_report(*study, folder)
    return folder


@pytest.fixture(scope="module")
def page(out):
    return read(out / "report.html")


def test_nothing_is_loaded_from_elsewhere(page, out):
    for tag, name, value in page.attributes:
        if name in {"src", "srcset"}:
            assert value.startswith("data:image/")
        if name == "href":
            assert tag == "a"
            assert value.startswith(("#", "https://doi.org/"))
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    style = re.search(r"<style>(.*?)</style>", (out / "report.html").read_text(), re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style


def test_policy_forbids_scripts_and_comes_first(page):
    policy = next(value for tag, name, value in page.attributes if tag == "meta" and name == "content")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_hostile_names_are_text(page, out, hostile):
    raw = (out / "report.html").read_text(encoding="utf-8")
    assert "<script" not in raw
    assert (
        sum(hostile in part for part in page.text) >= 6
    )  # title, heading, warning, scores, sections, legends
    assert all(path.parent == out / "figures" for path in out.parent.rglob("*.png"))


def test_every_section_of_the_page_is_there(page):
    ids = [value for tag, name, value in page.attributes if name == "id" and tag == "section"]
    assert ids == ["scores", "sections", "space", "types", "sizes", "plan", "cite", "repeat"]
    assert [
        value for tag, name, value in page.attributes if tag == "a" and name == "href" and value[0] == "#"
    ] == [f"#{name}" for name in ids]
    assert page.tags.count("title") == page.tags.count("h1") == 1


def test_the_result_and_its_limits_come_first(page, study):
    text = " ".join(page.text)
    record = study[1]
    mean = record.scores.query(
        "metric == 'ari' and slot == 'obs:domain.refined' and sample == '(mean)'"
    ).iloc[0]
    told = f"mean ARI {mean.value:.2f} ({mean.low:.2f}–{mean.high:.2f}) against the known labels, oracle K."
    assert f"5 domains over 3 sections; {told}" in text
    assert max(text.index(warning) for warning in record.warnings) < text.index("Grey marks are controls")
    assert "was skipped for" not in text  # the step's own note has told it


def test_a_step_that_was_skipped_without_a_word_is_named(study, tmp_path):
    table, record = study
    steps = [replace(step, notes=[]) for step in record.steps]
    write_report(table, replace(record, steps=steps), tmp_path)
    assert "Step 2 (encode colour) was skipped for" in (tmp_path / "report.html").read_text("utf-8")


def test_tables_name_their_rows_and_columns(page):
    scopes = [value for tag, name, value in page.attributes if name == "scope"]
    assert len(scopes) == page.tags.count("th")
    assert set(scopes) == {"row", "col"}
    assert page.tags.count("caption") == page.tags.count("table") == 4


def test_images_have_words_and_can_be_decoded(page):
    images = [value for tag, name, value in page.attributes if name in {"src", "srcset"}]
    assert len(images) == 3 * 4 + 2 * (3 + 2 + 1)  # panels; space, scores and label counts on both papers
    assert page.tags.count("img") == len(
        [1 for tag, name, value in page.attributes if name == "alt" and value]
    )
    for image in images:
        payload = base64.b64decode(image.partition(",")[2])
        assert len(payload) <= HEAVIEST
        Image.open(BytesIO(payload)).load()


def test_figures_are_written_at_150_dpi(page, out):
    names = {path.name for path in (out / "figures").iterdir()}
    assert {"scores-ari.png", "space-obs-truth.png", "legend-obs-truth.png"} < names
    assert {"section-01-slide-a-x-slide.png", "section-01-slide-a-x-obs-domain.png"} < names
    with Image.open(out / "figures/section-01-slide-a-x-obs-truth.png") as image:
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)


def test_command_is_quoted_for_a_shell(page):
    assert "triptych run recipe.yaml 'data/my study; rm -rf' --samples A -o again --seed 7" in page.text


def test_table_is_left_as_it_came(table, record, tmp_path):
    before = table.copy()
    write_report(table, record, tmp_path / "out")
    pd.testing.assert_frame_equal(table.obs, before.obs)
    assert set(table.obsm) == set(before.obsm)
    assert table.uns.keys() == before.uns.keys()


def test_same_run_same_bytes(table, record, tmp_path):
    one, two = (write_report(table, record, tmp_path / name).read_bytes() for name in "ab")
    assert one == two


def test_unlabelled_study(table, record, tmp_path):
    del table.obs["truth"]
    record.scores = record.scores.iloc[:0]
    page = read(write_report(table, record, tmp_path / "out"))
    text = " ".join(page.text)
    assert "5 domains over 3 sections; nothing was scored." in text
    assert "Known labels" not in text
    assert "Hungarian" not in text


def test_labels_that_are_all_missing_are_no_labels(table, record, tmp_path):
    table.obs["truth"] = pd.Categorical([np.nan] * table.n_obs)
    assert "Known labels" not in write_report(table, record, tmp_path / "out").read_text()


def test_one_section(table, record, tmp_path):
    one = table[table.obs["sample"] == table.obs["sample"].iloc[0]].copy()
    text = " ".join(read(write_report(one, record, tmp_path / "out")).text)
    assert "over 1 section;" in text


def test_without_domains_places_views_and_particulars(table, record, tmp_path):
    record.steps, record.scores, record.warnings, record.cite = [], record.scores.iloc[:0], [], ""
    table.obsm.clear()
    table.uns.clear()
    del table.obs["donor"]
    text = " ".join(read(write_report(table, record, tmp_path / "out")).text)
    assert "The recipe predicts no domains." in text
    assert "The table holds no coordinates." in text
    assert "What limits this result" not in text.partition("</style>")[2]


def test_sections_clustered_one_by_one_are_matched_one_by_one(table, record, tmp_path):
    for step in record.steps[3:5]:
        step.over = "sample"
    text = " ".join(read(write_report(table, record, tmp_path / "out")).text)
    assert "Sections were clustered one by one" in text
    assert "Up to 5 domains in each of 3 sections" in text
    assert "≈ WM" in text


def test_a_study_without_a_scale_has_no_bar(table, record, tmp_path):
    del table.obsm["spatial_um"]
    table.uns["triptych"]["samples"]["mpp"] = np.nan
    assert "no physical scale is known" in write_report(table, record, tmp_path / "out").read_text()


def test_observations_too_small_to_be_seen_are_enlarged_and_said_so(table, record, tmp_path):
    table.uns["triptych"]["samples"]["spot_um"] = 5.0
    text = write_report(table, record, tmp_path / "out").read_text()
    assert text.count("drawn enlarged") == 3


def test_only_the_first_24_sections_are_drawn(many, tmp_path):
    page = read(write_report(*many, tmp_path / "out"))
    assert "The first 24 of 26 sections are shown; the scores are of all." in page.text
    assert len([1 for tag in page.tags if tag == "h3"]) == 24 + 2


def test_missing_sample_is_an_error(table, record, tmp_path):
    del table.obs["sample"]
    with pytest.raises(MissingSlotError, match=r"no obs:sample\. obs has: donor, batch"):
        write_report(table, record, tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_an_error(table, record, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="Choose another folder"):
        write_report(table, record, tmp_path / "out")


def test_room_knows_only_its_function():
    import triptych.report

    with pytest.raises(AttributeError, match="no attribute 'wrong'"):
        _ = triptych.report.wrong
