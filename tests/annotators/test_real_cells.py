"""Real cells whose types are known: how often the shipped markers are right, and how sure they are."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.spatial import cKDTree

from triptych.annotators.hierarchical import Hierarchical
from triptych.annotators.marker_score import MarkerScore
from triptych.core.protocols import Counts
from triptych.maths.reliability import calibration_error, reliability

pytestmark = [
    pytest.mark.data,
    pytest.mark.filterwarnings(
        "ignore::triptych.core.errors.TriptychWarning"
    ),  # the panels lack most markers
]
NEAR_UM = 10.0  # a molecule belongs to the nearest cell within it
EPITHELIAL, CONNECTIVE = ("Tumor", "DCIS", "Myoepithelial"), ("Stromal", "Endothelial")


@pytest.fixture(scope="module")
def breast(real_data):
    """Xenium of a breast cancer, 20 genes: counts around 1 705 cells, and their eight types."""
    cells = pd.read_csv(real_data / "xenium_breast" / "janesick_rep1_cells.csv.gz")
    molecules = pd.read_csv(real_data / "xenium_breast" / "janesick_rep1_transcripts.csv.gz")
    tree = cKDTree(cells[["x", "y"]].to_numpy())
    apart, nearest = tree.query(molecules[["x", "y"]].to_numpy(), distance_upper_bound=NEAR_UM)
    near = np.isfinite(apart)
    genes, column = np.unique(molecules["feature_name"].to_numpy(str)[near], return_inverse=True)
    matrix = sp.csr_matrix((np.ones(near.sum()), (nearest[near], column)), shape=(len(cells), len(genes)))
    matrix.sum_duplicates()
    return Counts(matrix, genes, np.zeros(len(cells), int)), cells["anno"].to_numpy(str)


def lineage(types):
    known = [np.isin(types, EPITHELIAL), np.isin(types, CONNECTIVE)]
    return np.select(known, ["epithelial", "connective"], "inflammatory")


def judged(component, counts, truth):
    """Accuracy, its expected calibration error, and accuracy by class."""
    sample = np.zeros(len(truth), int)
    found = component.annotate(counts, sample, None, np.random.default_rng(0))
    code, sure = found.best(0)
    right = (np.array(found.classes)[code] == truth) & (code >= 0)
    by_class = {name: right[truth == name].mean() for name in set(truth)}
    return right.mean(), calibration_error(reliability(sure, right)), by_class


@pytest.mark.parametrize(
    "component", [MarkerScore(), Hierarchical(neoplastic=False)], ids=["marker", "lineage"]
)
def test_lineages_of_a_breast_cancer_with_twenty_genes(breast, component):
    counts, types = breast
    accuracy, error, by_class = judged(component, counts, lineage(types))
    assert accuracy > 0.92
    assert error < 0.05
    assert min(by_class.values()) > 0.78


def test_myoepithelium_is_spared_in_a_section_of_a_tumour(breast):
    counts, types = breast
    found = Hierarchical(prior=0.8).annotate(
        counts, np.zeros(len(types), int), None, np.random.default_rng(0)
    )
    neoplastic = found.best(0.5)[0] == found.classes.index("neoplastic")
    assert neoplastic[np.isin(types, ["Tumor", "DCIS"])].mean() > 0.9
    assert neoplastic[types == "Myoepithelial"].mean() < 0.25


def test_immune_cells_and_stroma_thinned_to_a_panel(real_data):
    """Single cells of a lymph node, 30-200 molecules of the lung panel each."""
    import anndata

    cells = anndata.read_h5ad(real_data / "lymph_visium_ref" / "sc_ref.h5ad")
    panel = pd.read_parquet(real_data / "xenium_lung" / "transcripts.parquet", columns=["feature_name"])
    genes = np.intersect1d(np.unique(panel["feature_name"].astype(str)), cells.var_names)
    extra = np.setdiff1d(["EPCAM", "KRT8", "KRT18"], genes)
    rate = np.asarray(cells[:, genes].X.todense()) + 1e-3
    rng = np.random.default_rng(0)
    total = np.exp(rng.uniform(np.log(30), np.log(200), (10, len(rate), 1)))
    drawn = rng.poisson(rate / rate.sum(axis=1, keepdims=True) * total).reshape(-1, len(genes))
    matrix = sp.csr_matrix(np.column_stack([drawn, np.zeros((len(drawn), len(extra)))]))
    truth = np.tile(np.where(cells.obs["ct"].isin(["Endo", "VSMC"]), "connective", "inflammatory"), 10)
    counts = Counts(matrix, np.concatenate([genes, extra]), np.zeros(len(truth), int))
    accuracy, error, _ = judged(MarkerScore(), counts, truth)
    assert accuracy > 0.95
    assert error < 0.05
