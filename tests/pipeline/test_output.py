import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError, OutputError
from triptych.pipeline import output
from triptych.pipeline.recipe import parse
from triptych.pipeline.run import run as whole_run

RECIPE = 'name: v\nsteps:\n  - {do: encode, use: sinusoidal, with: {dim: 8}, to: "obsm:X_pos"}\n'


@pytest.fixture
def filled(tmp_path, table):
    recipe = parse(RECIPE, "v")
    record = whole_run(recipe, table).record
    with output.filling(tmp_path / "out") as folder:
        output.write(table, record, recipe, folder)
    return tmp_path / "out", record


def test_what_a_finished_run_holds(filled):
    out, _ = filled
    assert sorted(item.name for item in out.iterdir()) == [
        "provenance.json",
        "recipe.yaml",
        "scores.csv",
        "table.h5ad",
    ]


def test_the_record_round_trips(filled):
    out, record = filled
    back = output.read_record(out)
    pd.testing.assert_frame_equal(back.scores, record.scores, check_dtype=False)
    assert back.steps == record.steps
    assert back.warnings == record.warnings


def test_pictures_losses_and_notes_round_trip(filled, table):
    out, record = filled
    pairs = np.arange(48, dtype=np.uint8).reshape(2, 2, 3, 4)
    noted = pd.DataFrame({"gene": ["g"], "r2": [0.5]})
    noted.attrs["note"] = "of neighbours"
    more = replace(
        record, pictures={"obsm:X_a": {"DAPI": pairs}}, losses={"obsm:X_a": {"loss": np.array([2.0, 1.0])}},
        tables={"ridge": noted},
    )  # fmt: skip
    with output.filling(out) as folder:
        output.write(table, more, parse(RECIPE, "v"), folder)
    back = output.read_record(out)
    assert np.array_equal(back.pictures["obsm:X_a"]["DAPI"], pairs)
    assert back.losses["obsm:X_a"]["loss"].tolist() == [2.0, 1.0]
    assert back.tables["ridge"].attrs["note"] == "of neighbours"
    (out / "shown.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match="is damaged"):
        output.read_record(out)
    with output.filling(out) as folder:
        output.write(table, record, parse(RECIPE, "v"), folder)
    assert not (out / "shown.safetensors").exists()


def test_the_same_study_may_be_written_again(filled):
    out, record = filled
    output.claim(out, "v", record.data_identity)


def test_another_study_is_refused(filled):
    with pytest.raises(OutputError, match="holds another study"):
        output.claim(filled[0], "v", "other")


def test_another_recipe_is_refused(filled):
    with pytest.raises(OutputError, match="holds a run of the recipe v, not of w"):
        output.claim(filled[0], "w", filled[1].data_identity)


def test_a_folder_of_someone_else_is_refused(tmp_path):
    (tmp_path / "thesis.docx").write_text("")
    with pytest.raises(OutputError, match="holds files that are no run: thesis.docx"):
        output.claim(tmp_path, "v", "x")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        output.claim(tmp_path / "file" / "out", "v", "x")


def test_claiming_leaves_nothing(tmp_path):
    output.claim(tmp_path / "out", "v", "x")
    assert not (tmp_path / "out").exists()


def test_a_failure_while_writing_keeps_what_was_there(filled):
    out, _ = filled
    before = (out / "provenance.json").read_bytes()
    with pytest.raises(RuntimeError), output.filling(out) as folder:
        (folder / "table.h5ad").write_text("half")
        raise RuntimeError
    assert (out / "provenance.json").read_bytes() == before
    assert not list(out.glob(".triptych-*"))


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"recipe": "v"})])
def test_a_damaged_record(filled, content):
    out, _ = filled
    (out / "provenance.json").write_text(content)
    with pytest.raises(DataError, match="is damaged"):
        output.read_record(out)
    with pytest.raises(OutputError):
        output.claim(out, "v", "x")


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(DataError, match="holds no finished run"):
        output.read_record(tmp_path)
