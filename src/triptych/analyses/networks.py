"""Networks: which genes a pathway moves, how much and in which direction, read from a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from triptych.core.checks import SHOWN, Faults, listing, nearest
from triptych.core.errors import DataError, WeightsError

NEEDED: Final = ("source", "target", "weight")
SIGNIFICANCE: Final = ("p_value", "padj")  # columns by which the targets of a source may be ordered
SEPARATORS: Final = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
LARGEST: Final = 100 * 2**20  # bytes; the largest public networks have a tenth of it
HOW: Final = (
    "PROGENy, for one, is written by decoupler.op.progeny(organism='human').to_csv('progeny.csv'); "
    "mind the licence of the network."
)
ENSEMBL: Final = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?")


@dataclass(frozen=True, eq=False)
class Network:
    """Weighted targets of sources.

    Parameters
    ----------
    name
        Of the file.
    edges
        Columns ``source``, ``target``, ``weight`` and, where the file has one, ``p_value``; one row for each
        pair.
    """

    name: str
    edges: pd.DataFrame

    def top(self, targets: int) -> Network:
        """Only the first targets of each source: by p-value where there is one, else by absolute weight.

        Parameters
        ----------
        targets
            Of each source, at most; 0 keeps all. Ties go by the order of the file.
        """
        if targets == 0:
            return self
        ordered = "p_value" in self.edges
        key = self.edges["p_value"] if ordered else -self.edges["weight"].abs()
        kept = self.edges.loc[key.sort_values(kind="stable").index].groupby("source").head(targets)
        return Network(self.name, kept.sort_index())

    def within(self, genes: Iterable[str], fewest: int) -> tuple[Network, list[str]]:
        """The targets among the genes, of sources that have enough of them, and the names of the others.

        Parameters
        ----------
        genes
            Names of what was measured.
        fewest
            Targets of a source, at least.

        Raises
        ------
        DataError
            When no source has enough.
        """
        genes = list(genes)
        edges = self.edges[self.edges["target"].isin(set(genes))]
        size = edges["source"].value_counts()
        enough = size.index[size >= fewest]
        if not len(enough):
            raise DataError(*self._apart(genes, int(size.max()) if len(size) else 0, fewest))
        kept = edges[edges["source"].isin(enough)]
        return Network(self.name, kept), sorted(set(self.edges["source"]) - set(enough))

    def _apart(self, genes: list[str], most: int, fewest: int) -> tuple[str, str]:
        """Why no source has enough targets, and what to do about it."""
        targets = self.edges["target"].unique()
        if most:
            fact = f"{self.name}: no source has {fewest} targets among the {len(genes)} genes; most: {most}."
            return fact, "Lower min_targets, raise top_targets, or measure more genes."
        fact = (
            f"{self.name}: none of its {len(targets)} targets is among the {len(genes)} genes. "
            f"The genes are {style(genes)}, the targets {style(targets)}."
        )
        if {name.upper() for name in genes} & {name.upper() for name in targets}:
            return fact, "They differ by case only: take the network of the organism of the data."
        return fact, "Give a network with names of the same kind, of the same organism."


def style(names: Iterable[str]) -> str:
    """What kind of names they are, with the first one: Ensembl ids, Entrez ids or symbols."""
    some = list(names)[:1000]
    for kind, pattern in (("Ensembl ids", ENSEMBL), ("Entrez ids", re.compile(r"\d+"))):
        matching = [name for name in some if pattern.fullmatch(name)]
        if 2 * len(matching) > len(some):
            version = " with versions" if kind[:2] == "En" and "." in matching[0] else ""
            return f"{kind}{version} ({matching[0]})"
    return f"symbols ({some[0]})" if some else "none"


def fingerprint(path: str) -> str:
    """The sha256 of a network's file, in hexadecimal.

    Raises
    ------
    WeightsError
        When there is no such file, or it cannot be read.
    """
    return sha256(_bytes(path)).hexdigest()


def read_network(path: str) -> Network:
    """Read a table of sources, targets and weights, separated by commas (.csv) or tabs (.tsv, .txt).

    Raises
    ------
    WeightsError
        When there is no such file, or it cannot be read.
    DataError
        When it is no such table; all faults together.
    """
    from io import BytesIO

    name, faults = Path(path).name, Faults(f"network {Path(path).name}")
    separator = SEPARATORS.get(Path(path).suffix.lower())
    if separator is None:
        raise DataError(
            f"The network {name} is no table of text: its name must end in {' or '.join(SEPARATORS)}.", HOW
        )
    try:
        table = pd.read_csv(
            BytesIO(_bytes(path)), sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"The network {name} cannot be read as a table: {error}.", HOW) from error
    lacking = [column for column in NEEDED if column not in table]
    for column in lacking:
        faults.add(f"there is no column {column}. {nearest(column, map(str, table.columns))}")
    faults.raise_if_any(hint=f"It needs the columns {', '.join(NEEDED)}.")
    return Network(name, _checked(table, faults))


def _bytes(path: str) -> bytes:
    """The content of a plain file."""
    file = Path(path).expanduser()
    try:
        if not file.is_file():
            raise WeightsError(f"There is no network file {path}.", HOW)
        if file.stat().st_size > LARGEST:
            raise WeightsError(f"The network {path} has more than {LARGEST // 2**20} MiB.", HOW)
        return file.read_bytes()
    except (PermissionError, ValueError) as error:
        raise WeightsError(f"The network {path!r} cannot be read: {error}.", HOW) from error


def _checked(table: pd.DataFrame, faults: Faults) -> pd.DataFrame:
    """The columns in use, numbers as numbers."""
    edges = pd.DataFrame({column: table[column].str.strip() for column in ("source", "target")})
    edges["weight"] = pd.to_numeric(table["weight"], errors="coerce").astype(np.float64)
    faults.check(len(edges) > 0, "it has no rows.")
    for column in ("source", "target"):
        faults.check(bool((edges[column] != "").all()), f"some rows have no {column}.")
    wrong = table["weight"][~np.isfinite(edges["weight"])].unique()
    faults.check(not len(wrong), f"some weights are no finite numbers: {listing(map(repr, wrong))}.")
    twice = edges[edges.duplicated(["source", "target"])]
    pairs = [f"{row.source}–{row.target}" for row in twice.head(SHOWN + 1).itertuples()]
    faults.check(
        not pairs, f"{len(twice)} rows repeat a pair of source and target, e.g. {listing(pairs, 3)}."
    )
    for column in [name for name in SIGNIFICANCE if name in table][:1]:
        edges["p_value"] = pd.to_numeric(table[column], errors="coerce").astype(np.float64)
        good = bool(edges["p_value"].between(0, 1).all())
        faults.check(good, f"some values of {column} are no numbers from 0 to 1.")
    faults.raise_if_any(hint="Correct the file.")
    return edges
