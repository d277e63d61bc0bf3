"""Sections → one study: choosing, collecting faults, sharing genes, stacking rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.slots import UNS
from triptych.readers.door import complete, inspect
from triptych.readers.layouts import SCHEMA, ReadOptions

FEW = 50
FRACTION = 0.1


def choose(samples: Iterable[str], options: ReadOptions, where: str) -> list[str]:
    """The samples to read, in the order asked for.

    Raises
    ------
    DataError
        When one does not exist, or there is none at all.
    """
    samples = list(samples)
    faults = Faults(where)
    faults.check(bool(samples), "there is no sample in it")
    for name in options.samples:
        faults.check(name in samples, f"there is no sample {name}; there is {listing(samples)}")
    doubles = sorted({name for name in options.samples if options.samples.count(name) > 1})
    faults.check(not doubles, f"the samples {listing(doubles)} are asked for more than once")
    faults.raise_if_any()
    return list(options.samples) or samples


def gather(
    samples: Iterable[str], read_one: Callable[[str, Faults], AnnData], options: ReadOptions, where: str
) -> AnnData:
    """Read each sample, show the faults of all of them together, and join them.

    Parameters
    ----------
    samples
        Names of the samples.
    read_one
        Reads one; notes faults, or raises DataError when it cannot go on.
    options
        Passed to the door.
    where
        Opens the messages.
    """
    faults, sections = Faults(where), []
    for sample in samples:
        found = Faults(sample)
        try:
            section = read_one(sample, found)
        except DataError as error:
            found.add(error.message)
        else:
            inspect(section, faults)
            sections.append(section)
        faults.found += [f"{sample}: {fault}" for fault in found.found]
    return join(sections, options, faults)


def join(sections: Sequence[AnnData], options: ReadOptions, faults: Faults) -> AnnData:
    """Stack inspected sections over the genes that they share, and complete the table.

    Raises
    ------
    DataError
        With the faults found so far, or because no gene is shared.
    """
    faults.raise_if_any()
    if len(sections) == 1:
        return complete(sections[0], options, faults.where)
    genes = shared_genes(sections, faults)
    faults.raise_if_any(hint="Read them apart, or give them names of one kind (symbols or Ensembl ids).")
    abouts = pd.concat([section.uns[UNS]["samples"] for section in sections])
    if not abouts.index.is_unique:
        doubles = abouts.index[abouts.index.duplicated()].unique()
        faults.add(f"the samples {listing(doubles)} are there more than once")
        faults.raise_if_any()
    table = AnnData(
        obs=_stack_obs(sections),
        var=_shared_var(sections, genes),
        layers={"counts": sp.vstack([_on_genes(section, genes) for section in sections], format="csr")},
    )
    for key, value in _stack_obsm(sections).items():
        table.obsm[key] = (
            value.set_axis(table.obs_names, axis=0) if isinstance(value, pd.DataFrame) else value
        )
    columns = {str(section.uns[UNS]["truth_column"]) for section in sections}
    column = columns.pop() if len(columns) == 1 else ""
    table.uns[UNS] = {"schema": SCHEMA, "truth_column": column, "samples": abouts}
    pictures = {key: value for section in sections for key, value in section.uns.get("spatial", {}).items()}
    if pictures:
        table.uns["spatial"] = pictures
    return complete(table, options, faults.where)


def shared_genes(sections: Sequence[AnnData], faults: Faults) -> pd.Index:
    """The genes that all sections have, in the order of the first; warns when they are few."""
    genes: pd.Index = reduce(lambda a, b: a[a.isin(b)], [section.var_names for section in sections])
    sizes = [section.n_vars for section in sections]
    names = [listing(section.uns[UNS]["samples"].index) for section in sections]
    if len(genes) == 0:
        had = "; ".join(
            f"{name}: {listing(section.var_names, 2)}" for name, section in zip(names, sections, strict=True)
        )
        faults.add(f"the samples share no gene ({had})")
    elif len(genes) < max(sizes) and (len(genes) < FEW or len(genes) < FRACTION * min(sizes)):
        warnings.warn(
            f"The samples {listing(names)} share only {len(genes)} genes, "
            f"of {min(sizes)} to {max(sizes)} each.",
            TriptychWarning,
            stacklevel=2,
        )
    return genes


def _on_genes(section: AnnData, genes: pd.Index) -> sp.csr_matrix:
    counts = section.layers["counts"]
    if genes.equals(section.var_names):
        return counts
    return counts[:, section.var_names.get_indexer(genes)]


def _shared_var(sections: Sequence[AnnData], genes: pd.Index) -> pd.DataFrame:
    """Columns that say the same of these genes in all sections."""
    first, *others = [section.var.loc[genes] for section in sections]
    same = [c for c in first.columns if all(c in other and first[c].equals(other[c]) for other in others)]
    var: pd.DataFrame = first[same].copy()
    return var


def _stack_obs(sections: Sequence[AnnData]) -> pd.DataFrame:
    """Columns of all sections; missing where a section has no such column."""
    obs: pd.DataFrame = pd.concat([section.obs for section in sections], join="outer")
    obs.index = pd.Index([f"{s}_{i}" for s, i in zip(obs["sample"].astype(str), obs.index, strict=True)])
    return obs


def _um(section: AnnData) -> Any:
    """Places in µm as the section has them, for its files share their frame; else measured, or None."""
    if "spatial_um" in section.obsm:
        return section.obsm["spatial_um"]
    mpp = section.uns[UNS]["samples"]["mpp"].astype(float)
    if mpp.isna().any():
        return None
    factor = mpp.loc[section.obs["sample"].astype(str)].to_numpy()
    return np.asarray(section.obsm["spatial"], float) * factor[:, None]


def _stack_obsm(sections: Sequence[AnnData]) -> dict[str, Any]:
    """Views of all sections; frames may be missing in some, matrices may not."""
    stacked: dict[str, Any] = {}
    keys = dict.fromkeys(key for section in sections for key in section.obsm)
    for key in keys:
        values = [section.obsm.get(key) for section in sections]
        if key == "spatial_um":
            values = [_um(section) for section in sections]
            if any(value is None for value in values):
                continue  # the door tells who has no scale
        if any(isinstance(value, pd.DataFrame) for value in values):
            stacked[key] = pd.concat(
                [
                    value if isinstance(value, pd.DataFrame) else pd.DataFrame(index=section.obs_names)
                    for value, section in zip(values, sections, strict=True)
                ]
            )
        elif any(value is None for value in values) or len({np.shape(value)[1:] for value in values}) > 1:
            warnings.warn(
                f"obsm:{key} is left out: not all samples have it in the same width.",
                TriptychWarning,
                stacklevel=2,
            )
        else:
            stacked[key] = np.concatenate(values)
    return stacked
