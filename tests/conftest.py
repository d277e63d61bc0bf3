"""A tiny study in memory, a cache of its own for every test, and the real data where they are."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def real_data():
    """The folder of the real data sets; skips where there is none."""
    folder = os.environ.get("TRIPTYCH_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TRIPTYCH_DATA does not point to the real data sets")
    return Path(folder)


def study_table(side=8, genes=30, samples=("A1", "A2", "B1"), seed=0):
    """Spots on a square array, two domains (left and right) that differ in every gene."""
    rng = np.random.default_rng(seed)
    column, row = np.meshgrid(np.arange(side), np.arange(side))
    n = side * side
    domain = (column.ravel() >= side // 2).astype(int)
    rates = rng.gamma(2.0, 2.0, size=(2, genes))
    counts, obs = [], []
    for sample in samples:
        effect = np.exp(rng.normal(0, 0.3, size=genes))
        counts.append(rng.poisson(rates[domain] * effect))
        obs.append(
            pd.DataFrame(
                {
                    "sample": sample, "donor": sample[0], "batch": sample,
                    "truth": np.array(["left", "right"])[domain],
                    "array_col": column.ravel(), "array_row": row.ravel(),
                },
                index=[f"{sample}_{i}" for i in range(n)],
            )
        )  # fmt: skip
    frame = pd.concat(obs)
    for name in ("sample", "donor", "batch", "truth"):
        frame[name] = frame[name].astype("category")
    table = AnnData(obs=frame, var=pd.DataFrame(index=[f"g{i}" for i in range(genes)]))
    table.layers["counts"] = sp.csr_matrix(np.concatenate(counts).astype(np.int32))
    grid = frame[["array_col", "array_row"]].to_numpy(float)
    table.obsm["spatial"] = grid * 100 + 50
    table.obsm["spatial_um"] = grid * 200
    about = pd.DataFrame(
        {
            "donor": [s[0] for s in samples], "image": "", "image_scale": 1.0, "mpp": 2.0,
            "spot_um": 100.0, "pitch_um": 200.0, "lattice": "square",
        },
        index=list(samples),
    )  # fmt: skip
    table.uns["triptych"] = {"schema": 1, "truth_column": "truth", "samples": about}
    return table


@pytest.fixture
def table():
    return study_table()


@pytest.fixture
def make_table():
    return study_table
