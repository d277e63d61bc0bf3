"""Cell types from a reference or a table, row by row where they belong; what is learned from them applies."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from triptych.core.errors import DataError, RecipeError
from triptych.pipeline.applying import apply
from triptych.pipeline.cache import Cache
from triptych.pipeline.chain import Chain
from triptych.pipeline.plan import plan
from triptych.pipeline.recipe import load, parse
from triptych.pipeline.run import run
from triptych.pipeline.study import Study

from .test_folding import TYPES, abundant, scattered

NNLS = '  - {do: deconvolve, use: nnls, reference: "PATH", to: "obsm:abundance"MORE}\n'
TABLE = '  - {do: deconvolve, use: precomputed, table: "PATH", to: "obsm:abundance"MORE}\n'
RIDGE = '  - {do: predict, use: ridge, views: {img: "obsm:X_given"}, to: "obsm:abundance.hat"}\n'
SCORE = '  - {do: score, use: pearson, guess: "obsm:abundance.hat"}\n'


def recipe(steps, path="", more=""):
    steps = steps.replace("PATH", str(path)).replace("MORE", more)
    return parse(f"name: small\nseed: 3\nsteps:\n{steps}", "small")


@pytest.fixture
def study(make_table):
    return abundant(make_table(side=6, samples=("A1", "A2", "B1", "C1")))


@pytest.fixture
def reference(tmp_path):
    """Single cells of three types; and a mixture of them in known shares."""
    rng = np.random.default_rng(5)
    profiles = rng.dirichlet(np.full(30, 0.2), len(TYPES))
    types = np.repeat(TYPES, 40)
    cells = rng.poisson(profiles[np.repeat(np.arange(3), 40)] * 400)
    genes = pd.DataFrame(index=[f"g{i}" for i in range(30)])
    obs = pd.DataFrame({"cell_type": types, "fine": np.tile(["u", "v"], 60)}, [f"c{i}" for i in range(120)])
    path = tmp_path / "reference.h5ad"
    AnnData(sp.csr_matrix(cells.astype(np.float32)), obs, genes).write_h5ad(path)
    return path, profiles


def mixed(table, profiles):
    """The table with counts of its shares, mixed from profiles."""
    shares = table.obsm["abundance"].to_numpy()
    counts = np.random.default_rng(6).poisson(shares @ profiles * 2000)
    table.layers["counts"] = sp.csr_matrix(counts.astype(np.int32))
    return table


def columns(frame):
    return frame[sorted(frame)].to_numpy()


@pytest.mark.parametrize("over", ["", ", over: sample"])
def test_a_reference_tells_the_types_of_every_spot(study, reference, over):
    path, profiles = reference
    table = mixed(study, profiles)
    truth = table.obsm.pop("abundance")
    record = run(recipe(NNLS, path, over), table).record
    found = table.obsm["abundance"]
    assert list(found.columns) == sorted(TYPES)
    assert list(found.index) == list(table.obs_names)
    assert np.abs(columns(found) - columns(truth)).mean() < 0.05
    assert record.steps[0].gives.startswith("shares of cells")


def test_columns_of_the_reference_are_named_by_the_step(study, reference):
    path, profiles = reference
    table = mixed(study, profiles)
    steps = NNLS.replace(", to:", ", types: fine, with: {detected: 0}, to:")
    run(recipe(steps, path), table)
    assert list(table.obsm["abundance"].columns) == ["u", "v"]
    with pytest.raises(DataError, match="fin"):
        run(recipe(NNLS.replace(", to:", ", types: fin, to:"), path), table)


@pytest.mark.parametrize("order", [lambda table: table, scattered])
@pytest.mark.parametrize("over", ["", ", over: sample"])
def test_a_table_is_taken_row_by_row_whatever_the_order(study, tmp_path, order, over):
    path = tmp_path / "types.csv"
    study.obsm["abundance"].iloc[::-1].to_csv(path)
    table = order(study)
    truth = table.obsm.pop("abundance")
    run(recipe(TABLE, path, over), table)
    assert list(table.obsm["abundance"].columns) == list(TYPES)
    assert np.allclose(table.obsm["abundance"], truth)


def test_rows_that_no_table_has_are_unknown_and_said_so(study, tmp_path):
    path = tmp_path / "types.csv"
    study.obsm["abundance"].iloc[5:].to_csv(path)
    table = scattered(study)
    record = run(recipe(TABLE, path), table).record
    missing = table.obs_names[np.isnan(table.obsm["abundance"].to_numpy()).any(axis=1)]
    assert set(missing) == set(study.obs_names[:5])
    assert any("5 of 144 observations are in no table" in warning for warning in record.warnings)


@pytest.mark.parametrize(
    ("steps", "option", "what"),
    [
        (NNLS, "--set deconvolve.reference=PATH", "h5ad file of annotated cells"),
        (TABLE, "--set deconvolve.table=PATH", "a file, or a folder with one each"),
    ],
)
def test_what_is_not_named_gets_the_name_of_its_option(study, steps, option, what):
    with pytest.raises(RecipeError) as caught:
        plan(recipe(steps, ""), Study(study))
    assert option in str(caught.value)
    assert what in str(caught.value)


def test_the_shipped_recipe_asks_for_its_reference(study):
    shipped = load("deconvolve")
    fast = shipped.model_copy(update={"steps": tuple(step for step in shipped.steps if step.use == "nnls")})
    with pytest.raises(RecipeError, match=r"step 1 \(deconvolve\) needs a reference.*--set deconvolve.refer"):
        plan(fast, Study(study))
    changed = load("deconvolve", ["deconvolve.reference=cells.h5ad"])
    assert {s.reference for s in changed.steps if s.do == "deconvolve"} == {"cells.h5ad"}


def test_a_file_that_is_not_there_is_an_error_before_anything_runs(study, tmp_path):
    with pytest.raises(DataError, match="There is no .*nowhere.csv, which deconvolve is to read"):
        plan(recipe(TABLE, tmp_path / "nowhere.csv"), Study(study))


def test_the_identity_follows_from_what_the_file_holds(study, tmp_path):
    path, cache = tmp_path / "types.csv", Cache(tmp_path / "cache")
    study.obsm["abundance"].to_csv(path)
    first = run(recipe(TABLE, path), study.copy(), cache=cache).record
    moved = tmp_path / "moved.csv"
    moved.write_bytes(path.read_bytes())
    again = run(recipe(TABLE, moved), study.copy(), cache=cache).record
    assert set(first.steps[0].state.values()) == {"made"}
    assert set(again.steps[0].state.values()) == {"cached"}
    (study.obsm["abundance"] * 2).to_csv(path)
    other = run(recipe(TABLE, path), study.copy(), cache=cache).record
    assert set(other.steps[0].state.values()) == {"made"}


def test_what_is_learned_from_a_deconvolution_applies_to_a_section_without_counts(study, reference, tmp_path):
    path, profiles = reference
    table = mixed(study, profiles)
    del table.obsm["abundance"]
    done = run(recipe(NNLS + RIDGE + SCORE, path), table)
    assert done.chain.obstacle == ""
    done.chain.save(tmp_path / "model")
    assert [link.step.do for link in Chain.load(tmp_path / "model").links] == ["predict"]
    path.unlink()
    new = AnnData(obs=study.obs.copy(), obsm={k: study.obsm[k] for k in ("spatial", "spatial_um", "X_given")})
    new.uns["triptych"] = study.uns["triptych"]
    record = apply(Chain.load(tmp_path / "model"), new)
    assert list(new.obsm["abundance.hat"].columns) == sorted(TYPES)
    assert np.isfinite(new.obsm["abundance.hat"].to_numpy()).all()
    assert record.scores.empty
    assert not any("Left out" in warning for warning in record.warnings)
    run_again = table.obsm["abundance.hat"].to_numpy()
    assert run_again.shape == new.obsm["abundance.hat"].shape


def test_a_deconvolution_is_scored_even_where_the_table_knew_nothing(study, tmp_path):
    path = tmp_path / "types.csv"
    study.obsm["abundance"].to_csv(path)
    values = study.obsm["abundance"].copy()
    values[(study.obs["sample"] == "B1").to_numpy()] = np.nan
    study.obsm["abundance"] = values
    record = run(recipe(TABLE + RIDGE + SCORE, path), study).record
    assert set(record.scores["sample"]) == {"A1", "A2", "B1", "C1", "(mean)"}


def test_two_ways_are_compared_on_the_types_that_both_have(study, reference, tmp_path):
    path, profiles = reference
    table = mixed(study, profiles)
    given = tmp_path / "types.csv"
    table.obsm["abundance"].rename(columns={TYPES[2]: "other"}).to_csv(given)
    steps = TABLE + NNLS.replace("obsm:abundance", "obsm:abundance.hat").replace("PATH", str(path)) + SCORE
    record = run(recipe(steps, given), table).record
    scores = record.scores.query("slot == 'obsm:abundance.hat'")
    assert set(scores["protocol"]) == {"transductive"}
    assert scores["value"].min() > 0.8
    assert any("2 cell types are in all that is compared" in warning for warning in record.warnings)


def test_a_damaged_reference_is_an_error(study, tmp_path):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(b"no h5ad")
    with pytest.raises(DataError, match="cells.h5ad"):
        run(recipe(NNLS, path), study)


def test_what_was_warned_of_is_told_by_a_cached_run_too(study, tmp_path):
    path, cache = tmp_path / "types.csv", Cache(tmp_path / "cache")
    study.obsm["abundance"].iloc[5:].to_csv(path)
    first, second = (run(recipe(TABLE, path), study.copy(), cache=cache).record for _ in range(2))
    assert set(second.steps[0].state.values()) == {"cached"}
    assert first.warnings == second.warnings
