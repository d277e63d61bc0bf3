"""A made-up study whose groups, markers and pathways are known."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.core.analysis import Material
from triptych.core.protocols import Counts, Places

GROUPS, GENES, SECTIONS = ("core", "rim", "stroma"), 60, 3
MARKS = {"core": range(5), "rim": range(5, 10), "stroma": range(10, 15)}


def made(n=180, seed=0, unlabelled=0.1):
    """Counts of three groups over three sections; five genes each are four times as many in one group."""
    rng = np.random.default_rng(seed)
    labels, sample = rng.integers(0, len(GROUPS), n), rng.integers(0, SECTIONS, n)
    rates = rng.gamma(1.0, 1.0, GENES) * np.ones((len(GROUPS), 1))
    for code, name in enumerate(GROUPS):
        rates[code, MARKS[name]] = 4 * (rates[code, MARKS[name]] + 0.3)
    depth = rng.uniform(0.5, 2, (n, 1))
    counts = sp.csr_matrix(rng.poisson(rates[labels] * depth).astype(np.int32))
    names = np.array([f"GENE{i}" for i in range(GENES)])
    labels = np.where(rng.random(n) < unlabelled, -1, labels)
    places = Places(rng.uniform(0, 900, (n, 2)), sample)
    return Material(labels, GROUPS, places, Counts(counts, names, np.zeros(n, int)))


@pytest.fixture
def material():
    return made()


@pytest.fixture
def make_material():
    return made


@pytest.fixture
def marked():
    """Group → its genes."""
    return {name: {f"GENE{i}" for i in which} for name, which in MARKS.items()}


@pytest.fixture
def edges():
    """A network invented here: one pathway that each group's genes answer to, and one of no group."""
    rows = [
        (f"{name} signal", f"GENE{i}", 1.0 + 0.1 * i, 0.001 * (i + 1))
        for name, which in MARKS.items()
        for i in which
    ]
    rows += [("idle", f"GENE{i}", (-1.0) ** i, 0.01) for i in range(30, 50)]
    return pd.DataFrame(rows, columns=["source", "target", "weight", "p_value"])


@pytest.fixture
def network(edges, tmp_path):
    """The same as a file."""
    path = tmp_path / "invented.csv"
    edges.to_csv(path, index=False)
    return str(path)
