"""What must hold for any study: donors split, candidates listed, runs that fail told, models applied."""

from math import comb, prod

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_rand_score

from triptych.core.errors import CacheError, DataError, NumericsError
from triptych.pipeline.applying import apply
from triptych.pipeline.recipe import parse
from triptych.pipeline.run import run
from triptych.studies.design import candidates
from triptych.studies.failures import Failures
from triptych.studies.nested import folds_of
from triptych.studies.resampling import ari_of_tables, block_tables

quick = settings(max_examples=40, deadline=None)
few = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
donors = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.sampled_from("ABCDE"), min_size=1)
names = st.sampled_from(["one", "two"])
RECIPE = """\
name: small
steps:
  - {do: encode, use: pca, with: {components: 4}, to: "obsm:X_rna.pca"}
  - {do: align, use: center, x: "obsm:X_rna.pca", to: "obsm:X_rna.pca.center"}
  - {do: fuse, use: smooth, views: {rna: "obsm:X_rna.pca.center"}, with: {components: 0}, to: "obsm:X_fused"}
  - {do: cluster, use: kmeans, x: "obsm:X_fused", with: {k: 3}, to: "obs:domain"}
"""


@quick
@given(donors, st.integers(1, 4))
def test_folds_hold_out_every_choice_of_donors_once(owners, held_out):
    count = len(set(owners.values()))
    if held_out >= count:
        with pytest.raises(DataError, match="cannot be held out"):
            list(folds_of(owners, held_out))
        return
    folds = list(folds_of(owners, held_out))
    assert len({fold.name for fold in folds}) == len(folds) == comb(count, held_out)
    for fold in folds:
        test = [name for mine in fold.test.values() for name in mine]
        assert sorted([*fold.tuning, *test]) == sorted(owners)
        assert not {owners[name] for name in fold.tuning} & {owners[name] for name in test}
        assert all(owners[name] == donor for donor, mine in fold.test.items() for name in mine)
    times = [sum(name not in fold.tuning for fold in folds) for name in owners]
    assert set(times) == {comb(count - 1, held_out - 1)}


@quick
@given(
    st.dictionaries(
        st.sampled_from(
            ["pca.components", "kmeans.k", "smooth.neighbours", "grid-triplet.window", "leiden.k"]
        ),
        st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True),
    )
)
def test_candidates_are_the_product_of_what_fits(grid):
    recipe = parse(RECIPE, "small")
    fitting = {
        key: values for key, values in grid.items() if key.split(".")[0] in {"pca", "kmeans", "smooth"}
    }
    found = list(candidates(recipe, grid))
    assert len(found) == prod(len(values) for values in fitting.values())
    assert len({str(chosen) for chosen, _ in found}) == len(found)
    for chosen, one in found:
        assert list(chosen) == list(fitting)
        for key, value in chosen.items():
            use, parameter = key.split(".")
            assert next(step for step in one.steps if step.use == use).params[parameter] == value


@quick
@given(
    st.lists(st.tuples(names, st.sampled_from(["truth", "bic"]), st.sampled_from([DataError, NumericsError])))
)
def test_runs_that_fail_are_counted_and_told_by_arm_and_reason(runs):
    failures = Failures()
    for seed, (arm, k_from, error) in enumerate(runs):
        with failures.caught(arm, k_from, f"seed {seed}"):
            raise error(error.__name__, "A hint\nof two lines.")
    assert len(failures.found) == len(runs)
    notes = failures.notes()
    assert len(notes) == len(set(runs))
    assert sum(note.count("seed ") for note in notes) == len(runs)
    assert not any("\n" in note for note in notes)
    if runs:
        with pytest.raises(runs[0][2]):
            failures.raise_first()
    with pytest.raises(CacheError), failures.caught("one", "truth", "seed 0"):
        raise CacheError("No space is left.")


@quick
@given(arrays(np.int64, st.tuples(st.integers(2, 60), st.just(3)), elements=st.integers(0, 3)))
def test_block_tables_add_up_to_the_index_of_all(codes):
    truth, guess, blocks = codes.T
    whole = block_tables(truth, guess, blocks).sum(axis=0, keepdims=True)
    assert ari_of_tables(whole)[0] == pytest.approx(adjusted_rand_score(truth, guess), abs=1e-9)


@pytest.fixture
def fitted(make_table):
    """A chain of donor A, and sections of B with no two neighbours equally near, which order would decide."""
    table = make_table(side=6)
    table.obsm["spatial_um"] += np.random.default_rng(1).uniform(-20, 20, table.obsm["spatial_um"].shape)
    fit, new = (table[table.obs["donor"] == donor].copy() for donor in "AB")
    return run(parse(RECIPE, "small"), fit).chain, new


@few
@given(st.integers(0, 2**32 - 1))
def test_applying_follows_the_order_of_observations(fitted, seed):
    chain, new = fitted
    order = np.random.default_rng(seed).permutation(new.n_obs)
    one, other = new.copy(), new[order].copy()
    apply(chain, one)
    apply(chain, other)
    assert np.allclose(one.obsm["X_fused"][order], other.obsm["X_fused"], atol=1e-8)
    assert (one.obs["domain"].to_numpy()[order] == other.obs["domain"].to_numpy()).all()


@few
@given(st.integers(0, 2**32 - 1), st.integers(1, 1000))
def test_labels_of_new_sections_change_nothing_but_their_scores(fitted, seed, count):
    chain, new = fitted
    one, other = new.copy(), new.copy()
    drawn = np.random.default_rng(seed).choice(["left", "right"], new.n_obs)
    other.obs["truth"] = np.where(np.arange(new.n_obs) < count % new.n_obs, drawn, None)
    apply(chain, one)
    apply(chain, other)
    assert one.obsm["X_fused"].tobytes() == other.obsm["X_fused"].tobytes()
    assert (one.obs["domain"] == other.obs["domain"]).all()
