"""Which clusters of epithelium are neoplastic: what they express, and whether one sample has them alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Matrix, Vector

PSEUDO: Final = 500.0  # molecules of the baseline added to each cluster, so that few cells show little
PROLIFERATION: Final = "proliferation"
FOLD: Final = 1.0  # log₂ of what is no evidence either way: twice the baseline
LEAST: Final = -0.5  # of log₂ beyond it: not to divide says little against a tumour
MOST: Final = 3.0


class Evidence(NamedTuple):
    """What is known of each of k clusters.

    Attributes
    ----------
    proliferation
        log₂ of the share of its molecules that are of the cell cycle, relative to other classes, less `FOLD`.
    tumour
        Of programmes of tumours, the highest: log₂ relative to other epithelium and to other classes,
        whichever have more, less `FOLD`; at least 0, for no tumour has all programmes.
    private
        From -1, samples share it as they share epithelium, to 1, one sample has it alone.
    normal
        Less the share of its epithelium in programmes of normal cells, -1 … 0.
    """

    proliferation: Vector
    tumour: Vector
    private: Vector
    normal: Vector


def evidence(
    x: sp.csr_matrix,
    codes: Codes,
    sample: Codes,
    suspect: Mapping[str, NDArray[np.bool_]],
    normal: Vector,
) -> Evidence:
    """Evidence for each cluster; 0 of a kind that the data do not have.

    Parameters
    ----------
    x
        Counts of all cells, CSR of shape (n, g).
    codes
        Cluster of the epithelial cells, -1 for other cells, shape (n,).
    sample
        Code of the section, or the donor, of each cell, shape (n,).
    suspect
        Programme → which genes it has, shape (g,).
    normal
        Of each cell, the part of its epithelial programmes that is of normal cells, 0 … 1, shape (n,).
    """
    k = int(codes.max()) + 1
    proliferation = _dividing(x, codes, suspect[PROLIFERATION]) if PROLIFERATION in suspect else np.zeros(k)
    folds = [_tumour(x, codes, members) for name, members in suspect.items() if name != PROLIFERATION]
    tumour = np.max(folds, axis=0) if folds else np.zeros(k)
    mine = codes >= 0
    spared = np.bincount(codes[mine], normal[mine], k) / np.maximum(np.bincount(codes[mine], minlength=k), 1)
    return Evidence(proliferation, tumour, _private(codes, sample), -spared)


def _shares(x: sp.csr_matrix, codes: Codes, members: NDArray[np.bool_]) -> tuple[Vector, Vector, Vector]:
    """Share of a programme in the molecules of each cluster, of the other clusters, and of other lineages."""
    total, of = np.asarray(x.sum(axis=1)).ravel(), np.asarray(x @ members.astype(np.float64)).ravel()
    mine = codes >= 0
    rest = ~mine if total[~mine].any() else np.ones(len(codes), bool)
    base = (of[rest].sum() + 1) / (total[rest].sum() + x.shape[1])  # no programme is quite absent
    of, total = np.bincount(codes[mine], of[mine]), np.bincount(codes[mine], total[mine])
    others = (of.sum() - of + PSEUDO * base) / (total.sum() - total + PSEUDO)
    return (of + PSEUDO * base) / (total + PSEUDO), others, np.full(len(of), base)


def _dividing(x: sp.csr_matrix, codes: Codes, members: NDArray[np.bool_]) -> Vector:
    """How much more each cluster divides than other lineages: all epithelium of a section may be tumour."""
    share, _, rest = _shares(x, codes, members)
    return np.asarray(np.clip(np.log2(share / rest) - FOLD, LEAST, MOST))


def _tumour(x: sp.csr_matrix, codes: Codes, members: NDArray[np.bool_]) -> Vector:
    """How much more of a programme each cluster has than other epithelium, which has it too, and the rest."""
    share, others, rest = _shares(x, codes, members)
    if len(share) < 2:
        return np.zeros(len(share))
    return np.asarray(np.clip(np.log2(share / np.maximum(others, rest)) - FOLD, 0, MOST))


def _private(codes: Codes, sample: Codes) -> Vector:
    """Whether one sample has a cluster more than it has epithelium, from -1 to 1; 0 of a single sample."""
    mine = codes >= 0
    _, of = np.unique(sample[mine], return_inverse=True)
    k, s = int(codes.max()) + 1, int(of.max()) + 1
    if s < 2:
        return np.zeros(k)
    table = np.bincount(codes[mine] * s + of, minlength=k * s).reshape(k, s).astype(np.float64)
    expected = table.sum(axis=0) / table.sum()
    share = (table + expected) / (table.sum(axis=1, keepdims=True) + 1)
    over = np.maximum((share - expected) / (1 - expected), 0).max(axis=1)
    return np.asarray(2 * over - 1)


def chance_of(found: Evidence, weights: tuple[float, float, float, float], prior: float) -> Vector:
    """Chance that each cluster is neoplastic, from a weighted sum of the evidence on the logit scale.

    Parameters
    ----------
    found
        The evidence.
    weights
        Of proliferation, tumour programmes, privacy and normal programmes.
    prior
        Chance without evidence.
    """
    parts: Matrix = np.stack(found)
    logit = np.log(prior / (1 - prior)) + np.asarray(weights) @ parts
    return np.asarray(1 / (1 + np.exp(-logit)))
