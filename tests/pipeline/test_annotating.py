"""Types of cells between the table and the annotators, and how they lie in the table."""

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.pipeline.annotating import annotated, gathered
from triptych.pipeline.cache import Cache
from triptych.pipeline.recipe import parse
from triptych.pipeline.run import run
from triptych.pipeline.study import STUDY, Study
from triptych.readers.read import read

from ..journeys.nuclei_study import GENES, SECTIONS, TYPES, write  # noqa: TID252


@pytest.fixture(scope="module")
def read_once(tmp_path_factory):
    return read(write(tmp_path_factory.mktemp("nuclei"), SECTIONS[:2]))


@pytest.fixture
def table(read_once):
    return read_once.copy()


def recipe(use="marker-score", more=""):
    return parse(f"name: s\nsteps:\n  - {{do: annotate, use: {use}{more}}}\n", "s")


def test_types_probabilities_and_confidence_lie_in_the_table(table):
    run(recipe(), table)
    chance = table.obsm["nucleus_type"]
    assert set(chance.columns) == set(TYPES)
    assert chance.sum(axis=1).to_numpy() == pytest.approx(1)
    best = chance.to_numpy().argmax(axis=1)
    sure = table.obs["nucleus_type.confidence"].to_numpy()
    assert sure == pytest.approx(chance.to_numpy().max(axis=1))
    kind = table.obs["nucleus_type"]
    assert np.array_equal(kind.isna(), sure < 0.5)
    told = kind.notna().to_numpy()
    assert np.array_equal(kind[told].astype(str), chance.columns[best[told]])
    assert (kind.astype(str) == table.obs["truth"].astype(str))[told].mean() > 0.9


@pytest.mark.parametrize("least", [0.0, 0.7, 1.0])
def test_a_cell_that_is_not_sure_enough_has_no_type(table, least):
    run(recipe(more=f", least_confidence: {least}"), table)
    unsure = table.obs["nucleus_type.confidence"] < least
    assert np.array_equal(table.obs["nucleus_type"].isna(), unsure)


def test_a_cell_without_counts_has_no_type(table):
    counts = table.layers["counts"].tolil()
    counts[3] = 0
    table.layers["counts"] = counts.tocsr()
    run(recipe(), table)
    assert table.obs["nucleus_type"].isna().iloc[3]
    assert np.isnan(table.obs["nucleus_type.confidence"].iloc[3])


def test_types_that_somebody_made_before_are_handed_on(table):
    table.obs["mine"] = np.where(np.arange(table.n_obs) % 3 == 0, None, table.obs["truth"].astype(str))
    run(recipe("precomputed", ', given: "obs:mine"'), table)
    known = table.obs["mine"].notna()
    assert np.array_equal(table.obs["nucleus_type"].isna(), ~known)
    assert (table.obs["nucleus_type"].astype(str) == table.obs["mine"])[known].all()


def test_without_a_column_the_error_says_how_to_name_one(table):
    with pytest.raises(DataError, match=r"precomputed reads types.*annotate\.given=obs:COLUMN"):
        run(recipe("precomputed"), table)


def test_what_an_annotator_is_given(table):
    class Looks:
        takes = "counts"

    step = recipe().steps[0]
    given = gathered(Study(table), step, Looks(), STUDY)
    assert given["given"] is None
    assert given["counts"].genes.tolist() == list(table.var_names)
    assert set(GENES) == set(table.var_names)
    assert np.array_equal(given["sample"], (table.obs["sample"] == "K2").to_numpy().astype(int))


def test_a_second_run_takes_the_types_from_the_cache_and_is_as_sure(table, tmp_path):
    cache, twin = Cache(tmp_path / "cache"), table.copy()
    run(recipe("hierarchical"), table, cache=cache)
    record = run(recipe("hierarchical", ", least_confidence: 0.9"), twin, cache=cache).record
    assert record.steps[0].state == {STUDY: "cached"}  # the threshold is not what they are made of
    for one in (table, twin):
        assert (
            one.obsm["nucleus_type"].to_numpy().tobytes() == table.obsm["nucleus_type"].to_numpy().tobytes()
        )
    assert twin.obs["nucleus_type"].isna().sum() >= table.obs["nucleus_type"].isna().sum()


def test_cells_are_given_in_the_form_that_the_cache_keeps(table):
    class Half:
        def annotate(self, counts, sample, given, rng):
            from triptych.core.nuclei import Annotation

            return Annotation(np.full((counts.matrix.shape[0], 2), 0.5), ("a", "b"))

    step = recipe().steps[0]
    taken = gathered(Study(table), step, type("C", (), {"takes": "counts"})(), STUDY)
    found = annotated(Half(), taken, np.random.default_rng(0))
    assert found.types == ("a", "b")
    assert found.values.shape == (table.n_obs, 2)
