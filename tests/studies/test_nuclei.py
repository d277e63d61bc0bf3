"""The study of nuclei: what a model learned from transcripts, by hand, or not at all, on other data."""

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import RecipeError
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.runs import How
from triptych.studies.compare import compare
from triptych.studies.door import check
from triptych.studies.execute import result_of
from triptych.studies.loading import load_design, parse_design, study_text

from ..journeys.nuclei_study import SECTIONS, Painted, other, write  # noqa: TID252

QUICK = ["with={width: 4, depth: 2, steps: 2, batch: 2, crop_px: 64}"]
ARMS = {"hierarchical · by hand", "hierarchical · transcripts", "hierarchical · watershed"}
NOISE = {
    "none", "a tenth of types flipped", "a third of types flipped", "displaced by 0.5 µm",
    "displaced by 2 µm", "a third lost",
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """What is learned from, and other data: an organ of the fit, and two that are new."""
    where = tmp_path_factory.mktemp("nuclei")
    write(where / "fit", SECTIONS[1:])
    there = [Painted("N1", "Kidney", "E1"), Painted("N2", "Lung", "E2"), Painted("N3", "Liver", "E3")]
    write(where / "other", [other(one, side_px=160) for one in there])
    return where


def design(place, *more):
    """The shipped study, with registration left out: painted pictures are too small for it."""
    text = study_text("st-nuclei-tables").replace("use: stain-correlation}", "use: none}")
    return parse_design(text, "st-nuclei-tables", [*QUICK, f"elsewhere={place / 'other'}", *more])


def test_the_tables_tell_of_other_data_by_organs_seen_and_new(place, tmp_path):
    chosen = design(place).model_copy(update={"seeds": (0,)})
    result = compare(chosen, str(place / "fit"), out=tmp_path / "out", how=How(cached=True))
    table = pd.read_csv(tmp_path / "out" / "table-labels.csv").set_index("metric")
    for name in ("dice", "aji", "pq", "detection-f1", "count-error", "dice:seen", "dice:new", "pq:new"):
        assert np.isfinite(
            table.loc[f"{name}@elsewhere", ["by hand", "transcripts", "watershed"]].astype(float)
        ).all()
    assert table.loc["dice@elsewhere", "watershed"] > 0.85
    runs = result.runs
    assert set(runs["arm"]) == ARMS | {"with", "without"}
    organs = runs[(runs["metric"] == "dice:seen@elsewhere") & (runs["arm"] == "hierarchical · watershed")]
    assert set(organs.dropna(subset="value")["sample"]) - {"(mean)", "(all)"} == {"N1"}
    new = runs[(runs["metric"] == "dice:new@elsewhere") & (runs["arm"] == "hierarchical · watershed")]
    assert set(new.dropna(subset="value")["sample"]) - {"(mean)", "(all)"} == {"N2", "N3"}
    assert not runs[(runs["metric"] == "dice") & runs["value"].notna()].size  # nothing is judged here
    assert (tmp_path / "out" / "compare.html").is_file()
    assert not list((tmp_path / "out").glob("table-noise*"))
    assert any("the setting noise is empty" in note for note in result.notes)


@pytest.mark.slow
def test_the_table_of_noise_is_there_when_it_is_asked_for(place, tmp_path):
    chosen = design(place, "noise=yes", "held_out=organ").model_copy(update={"seeds": (0,)})
    compare(chosen, str(place / "fit"), out=tmp_path / "out", how=How(cached=True))
    table = pd.read_csv(tmp_path / "out" / "table-noise.csv")
    assert set(table) >= NOISE
    row = table.set_index("metric").loc["dice@elsewhere", sorted(NOISE)].astype(float)
    assert np.isfinite(row).all()
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert runs[runs["metric"] == "dice"]["value"].notna().any()  # organs held out of the fit


@pytest.mark.slow
def test_by_the_command_line(place, tmp_path, monkeypatch, capsys):
    import sys

    from triptych.cli import main

    words = ["compare", "st-nuclei-tables", "--data", place / "fit", "-o", tmp_path / "out", "--seeds", 1]
    words += ["--set", QUICK[0], "--set", f"elsewhere={place / 'other'}"]
    monkeypatch.setattr(sys, "argv", ["triptych", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    # outlines of small pictures cannot be registered, and the message says which arm failed and why
    assert ended.value.code == 2, said.out + said.err
    assert "No section has a nucleus to learn from" in said.out + said.err


def test_what_is_known_by_hand_is_not_what_transcripts_say(place):
    recipes = design(place).recipes()
    assert set(recipes) >= ARMS
    steps = {name: next(s for s in one.steps if s.do == "segment") for name, one in recipes.items()}
    assert steps["hierarchical · by hand"].learn_from == "known"
    assert steps["hierarchical · transcripts"].learn_from == "outlines"
    assert steps["hierarchical · transcripts"].places == "obsm:spatial_registered"
    assert {result_of(one) for one in recipes.values()} == {"nuclei:found"}


def test_arms_of_noise_differ_in_what_is_done_to_the_labels(place):
    recipes = design(place, "noise=yes").recipes()
    harms = {name: next(step for step in recipes[name].steps if step.do == "segment").harm for name in NOISE}
    assert harms["none"].model_dump() == {"flipped": 0, "displaced_um": 0, "lost": 0}
    assert harms["a tenth of types flipped"].flipped == 0.1
    assert harms["displaced by 2 µm"].displaced_um == 2
    assert harms["a third lost"].lost == 0.33


def test_without_other_data_the_study_says_what_it_needs():
    chosen = load_design(["st-nuclei-tables"], [])
    with pytest.raises(
        RecipeError, match="it judges on other data, and none are named: --set elsewhere=PATH"
    ):
        check(chosen, chosen.recipes())


def test_other_data_may_be_some_samples_only(place):
    chosen = design(place, "elsewhere_samples=N1,N3")
    assert chosen.other == (str(place / "other"), ("N1", "N3"))
    table = read(place / "other", ReadOptions(samples=chosen.other[1]))
    assert set(table.obs["sample"]) == {"N1", "N3"}
