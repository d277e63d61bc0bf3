"""Aligners on real data: four samples of blood, and principal components with an answer from R.

Kang et al. (2018), 10.1038/nbt.4042: two donors, each with and without interferon. Stimulation is the strong
batch (other conditions are 4 % of what chance would make of the neighbours), the sample includes it. Donors
alone differ little beside it; subtracting their means mixes nothing, and so is not asked to.
"""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.neighbors import NearestNeighbors

from triptych.aligners import registry
from triptych.aligners.harmony import Harmony
from triptych.core.protocols import Counts
from triptych.encoders.genes.pca import Pca
from triptych.maths.threads import one_thread

pytestmark = pytest.mark.data
NEIGHBOURS = 15


@pytest.fixture(scope="module")
def blood(real_data):
    """Counts, principal components, and codes of type, sample, condition and donor."""
    table = ad.read_h5ad(real_data / "kang_pbmc" / "kang_4samples.h5ad")
    sample = table.obs["sample_id"].astype(str)
    columns = {
        "type": table.obs["cluster_id"], "sample": sample,
        "condition": table.obs["group_id"], "donor": sample.str[-3:],
    }  # fmt: skip
    codes = {name: pd.factorize(column)[0] for name, column in columns.items()}
    counts = Counts(sp.csr_matrix(table.X), table.var_names.to_numpy().astype(str), codes["sample"])
    return counts.matrix, Pca(components=20).encode(counts, np.random.default_rng(0)), codes


def mixing(x, batch):
    """Mean fraction of neighbours from other batches, divided by what chance gives."""
    found = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(x).kneighbors(return_distance=False)
    share = np.bincount(batch) / len(batch)
    return (batch[found] != batch[:, None]).mean() / (1 - (share**2).sum())


def apart(x, types):
    """How far the types stay apart: silhouette, and agreement of as many clusters with them."""
    with one_thread():
        clusters = KMeans(len(np.unique(types)), n_init=10, random_state=0).fit_predict(x)
        return silhouette_score(x, types), adjusted_rand_score(types, clusters)


MIXES = {"center": 1.01, "combat": 1.05, "harmony": 1.5, "scanorama": 1.5}  # at least so much more


@pytest.mark.parametrize("column", ["sample", "condition"])
@pytest.mark.parametrize("name", list(MIXES))
def test_batches_mix_and_types_stay_apart(name, column, blood):
    if name == "scanorama":
        pytest.importorskip("scanorama", reason="the extra align is not installed")
    _, x, codes = blood
    found = registry.make(name).align(x, codes[column], np.random.default_rng(0))
    assert mixing(found, codes[column]) > MIXES[name] * mixing(x, codes[column])
    before, after = apart(x, codes["type"]), apart(found, codes["type"])
    assert after[0] > before[0] - 0.02
    assert after[1] > before[1] - 0.03


@pytest.mark.parametrize("name", ["harmony", "scanorama"])
def test_donors_mix_where_they_overlap(name, blood):
    if name == "scanorama":
        pytest.importorskip("scanorama", reason="the extra align is not installed")
    _, x, codes = blood
    found = registry.make(name).align(x, codes["donor"], np.random.default_rng(0))
    assert mixing(found, codes["donor"]) > 0.95 > mixing(x, codes["donor"])


def test_agrees_with_harmony_in_r(real_data):
    """The R package starts from other clusters, so the columns correlate and are not equal."""
    folder = real_data / "harmony_pcs"
    x, theirs = (
        pd.read_csv(folder / name, sep="\t").to_numpy()
        for name in ("pbmc_3500_pcs.tsv.gz", "pbmc_3500_pcs_harmonized.tsv.gz")
    )
    donor = pd.factorize(pd.read_csv(folder / "pbmc_3500_meta.tsv.gz", sep="\t")["donor"])[0]
    found = Harmony().align(x, donor, np.random.default_rng(0))
    alike = [np.corrcoef(found[:, i], theirs[:, i])[0, 1] for i in range(x.shape[1])]
    assert min(alike) > 0.9
    assert abs(mixing(found, donor) - mixing(theirs, donor)) < 0.05


@pytest.mark.slow
def test_scvi_mixes_beside_itself_without_the_batch(blood):
    """Its space is made otherwise than principal components: held against scVI that was told one batch."""
    pytest.importorskip("scvi", reason="the extra align is not installed")
    counts, _, codes = blood
    batch, types = codes["condition"], codes["type"]
    without, found = (
        registry.make("scvi", {"epochs": 60}).align(counts, told, np.random.default_rng(0))
        for told in (np.zeros_like(batch), batch)
    )
    assert mixing(found, batch) > 2 * mixing(without, batch)
    before, after = apart(without, types), apart(found, types)
    assert after[0] > before[0] - 0.02
    assert after[1] > before[1] - 0.03
