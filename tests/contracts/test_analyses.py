"""Every analysis: a tidy table of the groups, repeatable to the bit, inputs untouched.

One that ``takes`` ``abundances`` looks at cell types by role, and at no labels.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.analyses import registry
from triptych.core.abundance import Abundance
from triptych.core.analysis import Material
from triptych.core.errors import DataError
from triptych.core.protocols import Counts
from triptych.maths.overlaps import OverlapsBuilder, as_arrays

OPTIONAL = {"pathways": "decoupler"}  # those that need a package of the extra analyses
DRAWING = {"forest", "ridge"}  # which rows are drawn follows their order
GROUPS = ("left", 'right, "$x"')
TYPES = ("T", 'B, "$x"', "NK", "epithelial")
ROLES = ("truth", "guess", "control-location", "control-mean")
OF_TYPES = [name for name in registry if "abundances" in registry.find(name).takes]
COMPARING = [name for name in OF_TYPES if name != "colocalisation"]  # it relates the types of each role


def looks_at_groups(name):
    """Neither at known labels, abundances or nuclei, nor at two spaces of which one predicts the other."""
    takes = registry.find(name).takes
    return not takes & {"truth", "abundances", "nuclei"} and not {"x", "counts"} <= takes


@pytest.fixture
def component(name, tmp_path):
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name], reason="the extra analyses is not installed")
    network = pd.DataFrame({"source": np.repeat(["p", "q"], 8), "target": [f"g{i}" for i in range(16)]})
    network.assign(weight=np.linspace(-1, 2, 16)).to_csv(tmp_path / "network.csv", index=False)
    needed = {"pathways": {"network": str(tmp_path / "network.csv")}, "forest": {"trees": 20}}
    return registry.make(name, needed.get(name, {}))


@pytest.fixture
def material(places):
    """Two groups in each of two sections, some unlabelled, with counts, a space, labels and abundances."""
    rng = np.random.default_rng(2)
    labels = np.arange(80) % 2
    counts = rng.poisson(1.0 + 2.0 * labels[:, None] * (np.arange(20) < 8), size=(80, 20)).astype(np.int32)
    counts[7] = 0
    labels[:6] = -1
    names = np.array([f"g{i}" for i in range(20)])
    x = rng.normal(size=(80, 4))
    truth = np.where(rng.uniform(size=80) < 0.3, rng.integers(-1, 2, 80), np.arange(80) % 2)
    counted = Counts(sp.csr_matrix(counts), names, np.zeros(80, int))
    return Material(
        labels, GROUPS, places, counted, x, truth, GROUPS, abundances(places, rng), ("A1", 'B "2"'),
        found_nuclei(),
    )  # fmt: skip


def found_nuclei():
    """Four images of one organ with nuclei of two classes, one of them lost in each."""
    builder, truth = OverlapsBuilder(GROUPS, 0.25), np.kron(np.arange(9).reshape(3, 3), np.ones((5, 5), int))
    for lost in range(1, 5):
        guess, types = np.where(truth == lost, 0, truth), np.arange(8) % 2
        builder.add((truth, types), (guess, types), organ='breast, "x"', sample="A1")
    return builder.done()


def abundances(places, rng):
    """A truth that is smooth, a guess near it, and two controls; a spot that the guess does not know."""
    waves = np.sin(places.um @ rng.normal(0, 0.004, (2, 4))) + 1.5
    guess = np.abs(waves + rng.normal(0, 0.4, (80, 4)))
    guess[11] = np.nan
    where = np.abs(waves + rng.normal(0, 1.5, (80, 4)))
    mean = np.array([[1.0, 1.2], [2.0, 1.9], [0.5, 0.4], [1.5, 1.6]]).T[places.sample]
    return {role: Abundance(x, TYPES) for role, x in zip(ROLES, (waves, guess, where, mean), strict=True)}


def known_numbers(table):
    """All numbers but those of a constant, and adjusted p-values where a type with itself has none."""
    numbers = table.select_dtypes("number")
    if "padj" in numbers and {"of", "type", "other"} <= set(table):
        constant = table["of"] == "control-mean"
        numbers = numbers.drop(columns="padj").where(~constant, 0.0)
    return numbers


def moved(material, order):
    """The same observations in another order."""
    where = material.places
    places = type(where)(where.um[order], where.sample[order], where.grid[order], where.lattice)
    counts = Counts(material.counts.matrix[order], material.counts.genes, material.counts.batch[order])
    return replace(
        material, labels=material.labels[order], places=places, counts=counts, x=material.x[order],
        truth=material.truth[order],
        abundances={role: Abundance(one.values[order], TYPES) for role, one in material.abundances.items()},
    )  # fmt: skip


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, component, declares, material, unchanged):
    declares(registry, name, component)
    assert type(component).takes <= {"counts", "x", "truth", "abundances", "nuclei"}
    unchanged(material.labels, material.counts.matrix, material.x, material.truth)
    unchanged(*(one.values for one in material.abundances.values()))
    unchanged(material.places.um, material.places.sample, *as_arrays(material.nuclei).values())
    one, two = (component.analyse(material, np.random.default_rng(9)) for _ in range(2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert isinstance(one, pd.DataFrame)
    if "group" in one:  # a table of genes has none
        known = {*one["group"], *one.get("other", []), *one.get("group", [])} - {"(mean)"}
        assert known == set(GROUPS)
    assert list(one.index) == list(range(len(one)))
    assert all(isinstance(column, str) for column in one)
    assert np.isfinite(known_numbers(one)).all(axis=None)


@pytest.mark.parametrize("name", list(registry))
def test_a_table_of_text_and_numbers_survives_csv(name, component, material, tmp_path):
    found = component.analyse(material, np.random.default_rng(0))
    found.to_csv(tmp_path / "t.csv", index=False)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "t.csv"), found, check_dtype=False)


@pytest.mark.parametrize("name", [name for name in registry if name not in DRAWING])
def test_order_of_rows_does_not_matter(name, component, material, rng):
    one = component.analyse(material, np.random.default_rng(0))
    other = component.analyse(moved(material, rng.permutation(80)), np.random.default_rng(0))
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in registry if looks_at_groups(name)])
def test_one_group_is_refused(name, component, material):
    alone = Material(np.zeros(80, int), GROUPS, material.places, material.counts, material.x)
    with pytest.raises(DataError, match=f"{name}: there must be two groups"):
        component.analyse(alone, np.random.default_rng(0))


@pytest.mark.parametrize("name", OF_TYPES)
def test_tables_name_the_types_roles_and_sections_that_were_given(name, component, material, rng):
    found = component.analyse(material, rng)
    assert {"type", "types"} & set(found)
    if "type" in found:
        assert {*found["type"], *found.get("other", [])} == set(TYPES)
    if "padj" in found:
        tested = (found["type"] != found["other"]) & (found["of"] != "control-mean")
        assert found["padj"].notna().eq(tested).all()
        assert (found["padj"] >= found["pvalue"])[tested].all()
    assert {*found.get("of", []), *found.get("guess", []), *found.get("control", [])} >= {*ROLES[1:]}
    assert set(found.get("sample", material.samples)) == set(material.samples)
    assert found.attrs["note"].endswith(".")


@pytest.mark.parametrize("name", OF_TYPES)
def test_analyses_of_types_need_no_labels(name, component, material):
    bare = Material(
        np.full(80, -1), (), material.places, abundances=material.abundances, samples=material.samples
    )
    one, other = (component.analyse(given, np.random.default_rng(0)) for given in (material, bare))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize("name", OF_TYPES)
def test_what_some_role_does_not_know_plays_no_part(name, component, material):
    """Whatever the truth says of a spot that the guess does not know, no bit of the table changes."""
    values = material.abundances["truth"].values.copy()
    values[11] = 1e6
    spoilt = replace(material, abundances=material.abundances | {"truth": Abundance(values, TYPES)})
    one, other = (component.analyse(given, np.random.default_rng(0)) for given in (material, spoilt))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert "1 are left out" in one.attrs["note"]


@pytest.mark.parametrize("name", OF_TYPES)
def test_the_interval_of_an_abundance_plays_no_part(name, component, material):
    ends = {
        role: replace(one, low=one.values - 1, high=one.values + 1)
        for role, one in material.abundances.items()
    }
    given = (material, replace(material, abundances=ends))
    one, other = (component.analyse(some, np.random.default_rng(0)) for some in given)
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize("name", OF_TYPES)
def test_abundances_that_are_not_there_or_do_not_fit_are_refused(name, component, material, rng):
    with pytest.raises(DataError, match=f"{name}: no abundances were given"):
        component.analyse(replace(material, abundances={}), rng)
    bad = {"truth": Abundance(np.ones((79, 4)), TYPES), "guess": Abundance(np.full((80, 4), np.inf), TYPES)}
    with pytest.raises(DataError) as caught:
        component.analyse(replace(material, abundances=bad), rng)
    for told in (
        f"{name}: 2 faults",
        "truth has 79 rows and the places 80",
        "320 values of guess are infinite",
    ):
        assert told in str(caught.value)


@pytest.mark.parametrize("name", COMPARING)
def test_a_comparison_needs_a_truth_and_the_same_types(name, component, material, rng):
    roles = material.abundances
    with pytest.raises(DataError, match=f"{name}: no role is called truth; there is: guess"):
        component.analyse(replace(material, abundances={"guess": roles["guess"]}), rng)
    with pytest.raises(DataError, match=f"{name}: there is no role beside truth"):
        component.analyse(replace(material, abundances={"truth": roles["truth"]}), rng)
    other = Abundance(roles["guess"].values, ("X", *TYPES[1:]))
    with pytest.raises(DataError, match="it adds X and lacks T"):
        component.analyse(replace(material, abundances=roles | {"guess": other}), rng)
