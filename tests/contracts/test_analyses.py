"""Every analysis: a tidy table of the groups, repeatable to the bit, inputs untouched."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.analyses import registry
from triptych.core.analysis import Material
from triptych.core.errors import DataError
from triptych.core.protocols import Counts

OPTIONAL = {"pathways": "decoupler"}  # those that need a package of the extra analyses
NO_GROUPS = {"recall", "jaccard", "forest", "ridge"}  # of the labels; they look at the known types, or none
DRAWING = {"forest", "ridge"}  # which rows are drawn follows their order
GROUPS = ("left", 'right, "$x"')


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
    """Two groups in each of two sections, some unlabelled, with counts, a space and known labels."""
    rng = np.random.default_rng(2)
    labels = np.arange(80) % 2
    counts = rng.poisson(1.0 + 2.0 * labels[:, None] * (np.arange(20) < 8), size=(80, 20)).astype(np.int32)
    counts[7] = 0
    labels[:6] = -1
    names = np.array([f"g{i}" for i in range(20)])
    x = rng.normal(size=(80, 4))
    truth = np.where(rng.uniform(size=80) < 0.3, rng.integers(-1, 2, 80), np.arange(80) % 2)
    counted = Counts(sp.csr_matrix(counts), names, np.zeros(80, int))
    return Material(labels, GROUPS, places, counted, x, truth, GROUPS)


def moved(material, order):
    """The same observations in another order."""
    places = type(material.places)(material.places.um[order], material.places.sample[order])
    counts = Counts(material.counts.matrix[order], material.counts.genes, material.counts.batch[order])
    return replace(
        material, labels=material.labels[order], places=places, counts=counts, x=material.x[order],
        truth=material.truth[order],
    )  # fmt: skip


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, component, declares, material, unchanged):
    declares(registry, name, component)
    assert type(component).takes <= {"counts", "x", "truth"}
    unchanged(material.labels, material.counts.matrix, material.x, material.truth)
    unchanged(material.places.um, material.places.sample)
    one, two = (component.analyse(material, np.random.default_rng(9)) for _ in range(2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert isinstance(one, pd.DataFrame)
    if "group" in one:  # a table of genes has none
        known = {*one["group"], *one.get("other", []), *one.get("group", [])} - {"(mean)"}
        assert known == set(GROUPS)
    assert list(one.index) == list(range(len(one)))
    assert all(isinstance(column, str) for column in one)
    assert np.isfinite(one.select_dtypes("number")).all(axis=None)


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


@pytest.mark.parametrize("name", [name for name in registry if name not in NO_GROUPS])
def test_one_group_is_refused(name, component, material):
    alone = Material(np.zeros(80, int), GROUPS, material.places, material.counts, material.x)
    with pytest.raises(DataError, match=f"{name}: there must be two groups"):
        component.analyse(alone, np.random.default_rng(0))
