"""A marker file of three classes, and cells that express its programmes."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.protocols import Counts

FILE = """
organism: mouse-like
sources: {book: "A book, 10.1000/book"}
classes:
  inflammatory:
    programmes:
      t_cell: {positive: [T1, T2, T3, Cd45], negative: [E1], source: book}
      b_cell: {positive: [B1, B2, B3, Cd45], source: [book]}
  connective:
    programmes:
      fibroblast: {positive: [F1, F2, F3, F4], negative: [E1], source: book}
  epithelial:
    programmes:
      luminal: {positive: [E1, E2, E3, E4], negative: [Cd45], source: book}
      guard: {positive: [G1, G2, G3, E4], source: book}
  dead:
    if_asked: true
    programmes:
      apoptosis: {positive: [D1, D2], source: book}
neoplastic:
  of: epithelial
  normal: [guard]
  programmes:
    proliferation: {positive: [P1, P2, P3], source: book}
    tumour: {positive: [X1, X2], source: book}
"""
KINDS = {
    "t_cell": ["T1", "T2", "T3", "Cd45"],
    "b_cell": ["B1", "B2", "B3", "Cd45"],
    "fibroblast": ["F1", "F2", "F3", "F4"],
    "luminal": ["E1", "E2", "E3", "E4"],
    "guard": ["G1", "G2", "G3", "E4"],
}
GENES = np.array(
    [*dict.fromkeys(g for genes in KINDS.values() for g in genes), "D1", "D2", "P1", "P2", "P3", "X1", "X2"]
    + [f"N{i}" for i in range(40)]
)


@pytest.fixture
def markers(tmp_path):
    path = tmp_path / "markers.yaml"
    path.write_text(FILE)
    return str(path)


def profile(kind, more=()):
    """Shares of the molecules of a cell of that kind: its genes, others of its own, and all a little."""
    share = np.full(len(GENES), 0.3)
    share[np.isin(GENES, ["D1", "D2", "P1", "P2", "P3", "X1", "X2"])] = 0.03
    share[np.isin(GENES, KINDS.get(kind, KINDS["luminal"]))] = 3.0
    share[np.isin(GENES, list(more))] = 1.5
    own = np.flatnonzero(np.char.startswith(GENES, "N"))
    share[np.random.default_rng(sum(map(ord, kind))).choice(own, 6, replace=False)] = 2.5
    return share / share.sum()


def truth_of(kinds):
    """The class of each kind; tumours are epithelial."""
    immune, fibroblast = np.isin(kinds, ["t_cell", "b_cell"]), kinds == "fibroblast"
    return np.select([immune, fibroblast], ["inflammatory", "connective"], "epithelial")


@pytest.fixture
def tissue():
    """Counts of cells of five kinds, with half to twice as many molecules as asked for, and their classes."""

    def made(n=600, molecules=40, seed=5, kinds=tuple(KINDS)):
        rng = np.random.default_rng(seed)
        kinds = rng.choice(kinds, n)
        shares = {kind: profile(kind) for kind in KINDS}
        total = molecules * np.exp2(rng.uniform(-1, 1, n))
        matrix = rng.poisson(np.array([shares[kind] for kind in kinds]) * total[:, None])
        return Counts(sp.csr_matrix(matrix.astype(float)), GENES, np.zeros(n, int)), truth_of(kinds)

    return made


@pytest.fixture
def donors():
    """Donors who share normal epithelium and stroma, and have a tumour each.

    Without ``marks`` a tumour differs from normal epithelium only by genes that mark nothing.
    """

    def made(count=3, *, marks=True):
        rng = np.random.default_rng(6)
        more = ("P1", "P2", "P3", "X1", "X2") if marks else ()
        rows = [
            (kind, donor)
            for donor in range(count)
            for kind in rng.choice(["luminal", "fibroblast", "t_cell", f"tumour{donor}"], 250)
        ]
        kinds, sample = np.array([kind for kind, _ in rows]), np.array([donor for _, donor in rows])
        shares = {kind: profile(kind, more if kind.startswith("tumour") else ()) for kind in set(kinds)}
        matrix = rng.poisson(np.array([shares[kind] for kind in kinds]) * 80)
        counts = Counts(sp.csr_matrix(matrix.astype(float)), GENES, np.zeros(len(kinds), int))
        return counts, sample, np.where(np.char.startswith(kinds, "tumour"), "neoplastic", truth_of(kinds))

    return made
