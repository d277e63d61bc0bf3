"""Many labellings compared, what multiplexing added, known labels counted, and what nets drew."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest

from triptych.report.facts import gather
from triptych.report.labellings import chosen, crowded, labelling_block
from triptych.report.maps import MANY, map_section
from triptych.report.multiplexed import gains
from triptych.report.reconstructions import drawings, reconstruction_section
from triptych.report.scores import score_section
from triptych.report.types import MOST, type_section


@pytest.fixture
def one(table):
    """One section alone."""
    rows = table.obs["sample"] == table.obs["sample"].cat.categories[0]
    return table[rows.to_numpy()].copy()


def tables(html):
    """Every table as rows of text."""
    return [
        [
            [
                unescape(re.sub(r"<[^>]*>", "", cell))
                for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)
            ]
            for line in re.findall(r"<tr[^>]*>(.*?)</tr>", part)
        ]
        for part in re.findall(r"<table>(.*?)</table>", html)
    ]


def test_few_labellings_have_the_charts_of_always(one, record, sketch):
    assert crowded(record) == []
    assert "Labellings compared" not in score_section(sketch, gather(one, record), record)


def test_many_are_one_picture_and_one_table_with_the_numbers_of_the_scores(one, evaluated, views, sketch):
    html = score_section(sketch, gather(one, evaluated), evaluated)
    assert sketch.written == ["labellings.png"]
    (rows,) = tables(html)
    head, *lines = rows
    assert head[3:] == ["Silhouette", "Homogeneity", "Completeness", "AMI", "ARI", "Jaccard index"]
    assert [line[0] for line in lines] == list(views.labels)
    assert [line[1] for line in lines] == [str(10 + index) for index in range(6)]
    scores = evaluated.scores
    for label, line in zip(views.labels, lines, strict=True):
        mine = scores[scores["slot"] == f"obs:{label}"].set_index("metric")["value"]
        assert line[4:] == [
            f"{mine[name]:.2f}" for name in ("homogeneity", "completeness", "ami", "ari", "jaccard")
        ]
    assert lines[4][3] == "0.32in X_rna.log-normalised0.32in X_img.ls2_stain"
    assert lines[3][3] == "–"  # a space that was not scored
    assert lines[0][2] == "neighbours 15, resolution 0.8"
    assert lines[4][2] == "weight of rna 0.4"
    assert "what it reports as homogeneity is completeness" in html
    assert "control" not in html


def test_sections_keep_their_tables_and_means_are_drawn(table, evaluated, views, sketch):
    parts = [views.scores(name) for name in ("A", "B")]
    parts[1]["value"] += 0.1
    mean = parts[0].assign(sample="(mean)", value=0.77)
    record = replace(evaluated, scores=pd.concat([*parts, mean[mean["metric"] == "ami"]]))
    html = score_section(sketch, gather(table, record), record)
    assert sketch.written == ["labellings.png"]
    first, *rest = tables(html)
    assert first[1][first[0].index("AMI")] == "0.77"
    assert first[1][first[0].index("ARI")] == f"{0.36 + 0.05:.2f}"  # no mean was scored: that of the sections
    assert html.count("<small> by section</small>") == 6
    assert [row[0] for row in rest[0]] == ["Section", "A", "B"]


def test_without_settings_the_source_of_k_is_told(one, evaluated, sketch):
    steps = [replace(step, chosen={}) for step in evaluated.steps]
    scores = evaluated.scores.assign(protocol="transductive, oracle K")
    record = replace(evaluated, steps=steps, scores=scores)
    html = labelling_block(sketch, gather(one, record), record, ["ami"])
    assert tables(html)[0][1][2] == "number from: known labels (oracle K)"
    assert "transductive</caption>" in html


def test_settings_of_several_sections_are_their_range(evaluated):
    step = replace(
        evaluated.steps[-1],
        chosen={"A": {"neighbours": 15, "silhouette": 0.1}, "B": {"neighbours": 30}, "C": {}},
    )
    record = replace(evaluated, steps=[step])
    assert chosen(record) == {step.to: "neighbours 15–30"}


def test_more_metrics_than_fit_stand_in_a_second_picture(one, evaluated, sketch):
    ami = evaluated.scores[evaluated.scores["metric"] == "ami"]
    extra = pd.concat([ami.assign(metric=name) for name in ("nmi", "macro-recall")])
    record = replace(evaluated, scores=pd.concat([evaluated.scores, extra]))
    score_section(sketch, gather(one, record), record)
    assert sketch.written == ["labellings.png", "labellings-2.png"]


def values(*rows):
    return pd.DataFrame(rows, columns=["slot", "metric", "value"])


def test_what_multiplexing_added_is_said_with_the_numbers():
    found = values(
        ("obs:leiden.counts", "homogeneity", 0.41), ("obs:multiplex.counts.x", "homogeneity", 0.45),
        ("obs:leiden.counts", "completeness", 0.62), ("obs:multiplex.counts.x", "completeness", 0.5),
        ("obs:leiden.counts", "ami", 0.3), ("obs:multiplex.counts.x", "ami", 0.301),
    )  # fmt: skip
    counts = {"obs:leiden.counts": "12", "obs:multiplex.counts.x": "14"}
    assert gains(found, counts) == [
        "Multiplexing counts with x raised homogeneity from 0.41 to 0.45, lowered completeness from 0.62 to "
        "0.50 and left AMI at 0.30, with 14 instead of 12 clusters."
    ]
    counts["obs:leiden.counts"] = "14"
    assert gains(found, counts)[0].endswith("with as many clusters (14).")


def test_the_view_alone_is_the_longest_that_begins_the_name_and_leiden_goes_first():
    slots = ("louvain.a", "leiden.a", "leiden.a.b", "multiplex.a.b.c", "multiplex.a.z", "multiplex.q.z")
    found = values(*((f"obs:{slot}", "homogeneity", index / 10) for index, slot in enumerate(slots)))
    first, second = gains(found, {})
    assert first.startswith("Multiplexing a.b with c raised homogeneity from 0.20 to 0.30")
    assert second.startswith("Multiplexing a with z raised homogeneity from 0.10 to 0.40")


def test_nothing_is_said_of_what_was_not_scored():
    found = values(("obs:leiden.a", "ari", 0.1), ("obs:multiplex.a.b", "ari", 0.2))
    assert gains(found, {}) == []


def test_known_labels_are_counted_by_falling_number(one, record, sketch, monkeypatch, hostile):
    seen = {}
    monkeypatch.setattr(
        "triptych.report.types.histogram", lambda ax, sizes, **given: seen.update(sizes=sizes, **given)
    )
    facts = gather(one, record)
    html = type_section(sketch, facts, facts.truth)
    counts = one.obs["truth"].value_counts()
    missing = int(one.obs["truth"].isna().sum())
    assert seen["sizes"].tolist() == [*counts, missing]
    assert seen["names"][-1] == "unlabelled"
    assert seen["codes"][-1] == -1
    assert seen["names"][:-1] == [facts.truth.names[code] for code in seen["codes"][:-1]]
    assert f"{counts.sum()} of {one.n_obs} observations have a known label" in html
    assert hostile not in html


def test_hundreds_of_labels_are_cut_with_a_word(one, record, sketch):
    one.obs["truth"] = pd.Categorical([f"T{i % (MOST + 1)}" for i in range(one.n_obs)])
    facts = gather(one, record)
    wanted = len(facts.truth.names)
    html = type_section(sketch, facts, facts.truth)
    assert (f"The {MOST} most frequent of {wanted} labels are drawn." in html) is (wanted > MOST)


def test_pairs_and_losses_are_drawn_for_each_slot(evaluated, sketch):
    html = reconstruction_section(sketch, evaluated)
    stem = "obsm-x-img-stain-vae"
    assert sketch.written == [
        f"reconstruction-{stem}-dapi.png",
        f"reconstruction-{stem}-transcripts.png",
        f"losses-{stem}.png",
    ]
    assert "6 crops of 60 × 60 px" in html
    assert "4 crops of 60 × 60 px" in html
    assert html.count("<h3>") == 1


def test_what_can_not_be_drawn_is_left_out(record):
    empty, flat = np.empty((0, 2, 4, 4), np.uint8), np.zeros((2, 4, 4), np.uint8)
    told = replace(
        record, pictures={"obsm:a": {"x": empty, "y": flat}}, losses={"obsm:a": {"t": np.empty(0)}}
    )
    assert drawings(told) == ({}, {})
    assert drawings(record) == ({}, {})


def test_a_slot_of_a_hostile_name_is_text(record, views, sketch, hostile):
    (pictures,) = views.pictures(8).values()
    told = replace(record, pictures={f"obsm:{hostile}": {hostile: pictures["DAPI"]}}, losses={})
    assert hostile not in reconstruction_section(sketch, told)


def test_many_maps_show_the_labels_of_their_own_space(one, evaluated, sketch, views):
    steps = list(evaluated.steps)
    for index, slot in enumerate(
        ["X_rna.log-normalised", "X_img.ls2_stain", "X_img.ls4_dual", "X_none"][: MANY + 1]
    ):
        key = f"X_map.{index}"
        one.obsm[key] = np.random.default_rng(index).normal(size=(one.n_obs, 2))
        steps.append(
            replace(steps[0], do="fuse", use="umap", to=f"obsm:{key}", reads={"views.x": f"obsm:{slot}"})
        )
    for label in views.labels:
        one.obs[label] = one.obs["domain"]
    record = replace(evaluated, steps=steps)
    html = map_section(sketch, gather(one, record), record)
    assert len(sketch.written) == 4 + 3  # known labels on each; one space has no labels of its own
    assert {"map-1-obs-leiden-ls2-stain.png", "map-2-obs-leiden-ls4-dual.png"} < set(sketch.written)
    assert "by leiden.ls2_stain" in html
    assert not [name for name in sketch.written if "multiplex" in name]
