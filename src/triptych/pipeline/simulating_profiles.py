"""Profiles of cells on a panel of genes, for simulated transcripts: from a reference of single cells.

A reference of lymph nodes has no epithelium. Epithelial cells are made: what all types have in common, from
the profile of a stromal cell, and an epithelial programme over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final

import numpy as np
import scipy.sparse as sp
from anndata import AnnData, read_h5ad
from numpy.typing import NDArray

from triptych.core.checks import Faults, listing, nearest
from triptych.core.errors import DataError
from triptych.core.protocols import Indices, Matrix
from triptych.maths.variable_genes import highly_variable

CLASSES: Final = ("inflammatory", "connective", "epithelial", "neoplastic")
FROM_REFERENCE: Final = CLASSES[:2]
LYMPH: Final[Mapping[str, tuple[str, ...]]] = {  # of the lymph node reference that the manual names
    "inflammatory": (
        "B", "B_Plasma", "DC", "ILC", "Macrophages", "Monocytes", "NK", "T_CD4", "T_CD8",
    ),
    "connective": ("Endo", "VSMC"),
}  # fmt: skip
# Glandular epithelium in the single-cell atlas of the Human Protein Atlas (Karlsson et al. 2021,
# doi:10.1126/sciadv.abh2169).
EPITHELIAL: Final = (
    "EPCAM", "KRT8", "KRT18", "KRT19", "CDH1", "CLDN4", "CLDN7", "ELF3", "TACSTD2", "MUC1", "KRT7",
    "SPINT2", "CLDN3", "ESRP1", "CDX2", "VIL1", "ESR1", "PIGR", "AGR2", "RAB25",
)  # fmt: skip
# S and G2/M programmes of cycling tumour cells (Tirosh et al. 2016, doi:10.1126/science.aad0501), then genes
# that carcinomas raise (Uhlén et al. 2017, doi:10.1126/science.aan2507).
NEOPLASTIC: Final = (
    "MKI67", "TOP2A", "PCNA", "TYMS", "CDK1", "UBE2C", "BIRC5", "CENPF", "TPX2", "CEACAM5", "CEACAM6",
    "MYC", "LCN2", "S100P", "SOX9",
)  # fmt: skip
# What panels hold for these lineages (the same atlas); how much of them a cell has, the reference says.
ON_PANEL: Final = (
    ("PTPRC", "CD3D", "CD3E", "CD2", "CD8A", "IL7R", "MS4A1", "CD79A", "MZB1", "CD68", "CD14", "LYZ",
     "CD163", "NKG7", "GNLY", "ITGAX", "FCER1G", "AIF1", "CD4", "CCR7"),
    ("PECAM1", "VWF", "CDH5", "CLDN5", "ACTA2", "TAGLN", "MYH11", "COL1A1", "COL1A2", "COL3A1", "DCN",
     "LUM", "PDGFRB", "PDGFRA", "RGS5", "NOTCH3", "PLVAP", "KDR", "FN1", "THY1"),
)  # fmt: skip
CELLS: Final = 60  # epithelial and neoplastic cells that are made
OWN: Final = 0.5  # share of a cell's own counts in its profile; the rest is the mean of its type
EPITHELIAL_SHARE, NEOPLASTIC_SHARE, SPREAD = 0.35, 0.15, 0.3
PRIVATE: Final = 0.6  # log-scale standard deviation of the genes of one tumour around those of all


@dataclass(frozen=True, eq=False)
class Profiles:
    """Frequencies of the genes of a panel in cells of known class.

    Parameters
    ----------
    genes
        Shape (g,).
    values
        Shape (p, g), rows add to 1; the last row is the mean of the classes, for nuclei of unknown type.
    rows
        Class → the rows of its cells.
    """

    genes: NDArray[np.str_]
    values: Matrix
    rows: Mapping[str, Indices]

    def private(self, rng: np.random.Generator) -> Profiles:
        """The same with neoplastic cells of one tumour, whose genes differ from those of others."""
        values = self.values.copy()
        tumour = values[self.rows["neoplastic"]] * np.exp(rng.normal(0, PRIVATE, len(self.genes)))
        values[self.rows["neoplastic"]] = tumour / tumour.sum(axis=1, keepdims=True)
        return replace(self, values=values)

    def drawn(self, name: str, number: int, rng: np.random.Generator) -> Indices:
        """A row for each of some nuclei of a class; that of unknown ones where the name is empty."""
        rows = self.rows[name] if name else np.array([len(self.values) - 1])
        return rng.choice(rows, number)


def read_profiles(
    path: Path, column: str, types: Mapping[str, tuple[str, ...]], genes: int, rng: np.random.Generator
) -> Profiles:
    """Profiles on a panel of markers and the most variable genes.

    Parameters
    ----------
    path
        Raw counts of single cells, ``.h5ad``.
    column
        Of its obs, with the types.
    types
        Class → the types of the reference that it has.
    genes
        Of the panel.
    rng
        Draws the cells that are made.

    Raises
    ------
    DataError
        When the file cannot be read, or lacks the column, a type, or raw counts; all faults together.
    """
    table = _read(path, column, types)
    counts = sp.csr_matrix(table.X)
    counts.sum_duplicates()
    label = table.obs[column].astype(str).to_numpy()
    names = _panel(counts, table.var_names.astype(str), genes)
    where = table.var_names.get_indexer(names)
    on_panel = np.asarray(counts[:, np.maximum(where, 0)].todense(), float) * (where >= 0)
    cells: list[Matrix] = []
    means: list[Matrix] = []
    rows: dict[str, Indices] = {}
    for name in FROM_REFERENCE:
        made = [_cells(on_panel[label == one]) for one in types[name]]
        means += [group.mean(axis=0) for group in made]
        rows[name] = _number(cells) + np.arange(_number(made))
        cells.append(np.vstack(made))
    shared = np.minimum(cells[1], np.median(means, axis=0)) + 1e-9  # of all types, not of stroma only
    base = shared[rng.integers(len(shared), size=CELLS)]
    for name, parts in (
        ("epithelial", ((EPITHELIAL, EPITHELIAL_SHARE),)),
        ("neoplastic", ((EPITHELIAL, EPITHELIAL_SHARE), (NEOPLASTIC, NEOPLASTIC_SHARE))),
    ):
        rows[name] = _number(cells) + np.arange(CELLS)
        cells.append(_made(base, names, parts, rng))
    unknown = np.mean([group.mean(axis=0) for group in cells], axis=0, keepdims=True)
    return Profiles(names, np.vstack([*cells, unknown]), rows)


def _number(groups: list[Matrix]) -> int:
    return sum(len(group) for group in groups)


def _read(path: Path, column: str, types: Mapping[str, tuple[str, ...]]) -> AnnData:
    try:
        table = read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"The reference {path} cannot be read ({error}).", "Give raw counts as .h5ad."
        ) from error
    faults = Faults(path.name)
    if faults.check(column in table.obs, f"obs has no column {column}; it has {listing(table.obs)}"):
        known = set(table.obs[column].astype(str))
        for one in chain(*types.values()):
            faults.check(one in known, f"obs:{column} has no type {one}; {nearest(one, sorted(known))}")
    for name in FROM_REFERENCE:
        faults.check(bool(types.get(name)), f"the map of types names none for {name}")
    values = table.X.data if sp.issparse(table.X) else np.asarray(table.X)
    raw = bool(values.size) and bool(np.all(values >= 0)) and bool(np.all(values == np.round(values)))
    faults.check(raw, "its X holds no raw counts, whole and not negative")
    faults.check(table.var_names.is_unique, "names of genes occur more than once")
    faults.raise_if_any()
    return table


def _panel(counts: sp.csr_matrix, known: NDArray[np.str_], number: int) -> NDArray[np.str_]:
    """Markers of every class in turn, then the most variable of the other genes of the reference."""
    there = set(known)
    lists = [EPITHELIAL, *([gene for gene in group if gene in there] for group in ON_PANEL), NEOPLASTIC]
    markers = [gene for gene in dict.fromkeys(chain(*zip_longest(*lists))) if gene is not None][:number]
    rest = np.flatnonzero(~np.isin(known, markers))
    more = min(number - len(markers), len(rest))
    best = highly_variable(counts[:, rest], more, np.zeros(counts.shape[0], np.int64)) if more else rest[:0]
    return np.array([*markers, *np.asarray(known)[rest[best]]], dtype=str)


def _cells(counts: Matrix) -> Matrix:
    """Profiles of the cells of one type: their own frequencies, drawn towards the mean of the type."""
    counts = counts[counts.sum(axis=1) > 0]
    if not len(counts):
        raise DataError(
            "A type of the reference has no counts on the panel.", "Take more genes with --genes."
        )
    own = counts / counts.sum(axis=1, keepdims=True)
    drawn: Matrix = OWN * own + (1 - OWN) * own.mean(axis=0)
    return drawn


def _made(
    base: Matrix, names: NDArray[np.str_], parts: tuple[tuple[tuple[str, ...], float], ...],
    rng: np.random.Generator,
) -> Matrix:  # fmt: skip
    """Cells with programmes of about these shares over a background."""
    base = base / base.sum(axis=1, keepdims=True)
    left = np.ones((len(base), 1))
    made = np.zeros_like(base)
    for genes, share in parts:
        column = np.flatnonzero(np.isin(names, genes))
        level = rng.lognormal(0, 0.8, len(column)) * rng.lognormal(0, SPREAD, (len(base), len(column)))
        taken = np.clip(share * rng.lognormal(0, SPREAD, (len(base), 1)), 0, 0.45) * bool(len(column))
        made[:, column] += taken * level / np.maximum(level.sum(axis=1, keepdims=True), 1e-12)
        left = left - taken
    return made + left * base
