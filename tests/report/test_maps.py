"""Maps that the recipe made: which are drawn, in which order, and in which colours."""

from dataclasses import replace

import numpy as np
import pytest

from triptych.pipeline.record import StepRecord
from triptych.report import write_report
from triptych.report.canvas import Canvas
from triptych.report.facts import gather
from triptych.report.maps import map_section, map_steps


def fuse(to, view="obsm:X_fused.concat", use="umap"):
    return StepRecord(9, "fuse", use, to, {"views.x": view, "places": "obsm:spatial"}, {}, "study", {})


@pytest.fixture
def mapped(table, record):
    """Three stages, one of them of three dimensions, and the fused space last but one."""
    rng = np.random.default_rng(0)
    for stage, d in (("sdae", 2), ("concat", 2), ("wide", 3)):
        table.obsm[f"X_map.{stage}"] = rng.normal(size=(table.n_obs, d))
    steps = [*record.steps, fuse("obsm:X_map.concat"), fuse("obsm:X_map.sdae", "obsm:X_fused.sdae"),
             fuse("obsm:X_map.wide"), fuse("obsm:X_map.gone")]  # fmt: skip
    return table, replace(record, steps=steps)


def test_maps_of_two_dimensions_are_drawn_in_the_order_of_their_steps(mapped):
    table, record = mapped
    assert [step.to for step in map_steps(gather(table, record), record)] == [
        "obsm:X_map.concat",
        "obsm:X_map.sdae",
    ]
    assert gather(table, record).view == "X_fused.concat"  # a map is no joint space


def test_every_stage_is_drawn_in_every_way_to_colour_it(mapped, tmp_path):
    table, record = mapped
    canvas = Canvas(tmp_path)
    text = map_section(canvas, gather(table, record), record)
    ways = ("obs-truth", "obs-domain", "obs-domain-refined", "obs-sample")
    stages = ("concat", "sdae")
    assert set(canvas.written) == {f"map-{stage}-{way}.png" for stage in stages for way in ways}
    assert "umap of X_fused.sdae" in text
    assert "distances between groups" in text
    assert "By known label" in text
    assert "at random" not in text


def test_the_page_has_the_chapter_only_where_there_are_maps(mapped, record, tmp_path):
    table, made = mapped
    write_report(table, made, tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "Maps of the spaces" in text
    assert "First two principal components of X_fused.concat" in text
    write_report(table, record, tmp_path)
    assert "Maps of the spaces" not in (tmp_path / "report.html").read_text("utf-8")
