"""The door: what every table must satisfy, and the one form that it then has."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.slots import UNS
from triptych.readers.counting import as_counts, count_faults
from triptych.readers.layouts import SCHEMA, ReadOptions
from triptych.readers.pictures import image_size
from triptych.readers.sections import COLUMNS, FILES, About, about_of, with_files
from triptych.readers.stains import inspect_stains
from triptych.readers.truths import truth_of


def admit(table: AnnData, options: ReadOptions, where: str) -> AnnData:
    """Check a table of one or more samples and give it the form that the other rooms rely on.

    Parameters
    ----------
    table
        With layers:counts, obs:sample, obsm:spatial and uns:triptych; completed in place. A table without
        genes, as of a slide alone, needs no counts.
    options
        Which column is the truth and which of its values are no labels.
    where
        The path or name to open messages with.

    Raises
    ------
    DataError
        With every fault of every sample.
    """
    faults = Faults(where)
    inspect(table, faults)
    faults.raise_if_any()
    return complete(table, options, where)


def inspect(table: AnnData, faults: Faults) -> None:
    """Note every fault of the table, sample by sample."""
    form = Faults(faults.where)
    if not _has_form(table, form):
        faults.found += form.found
        return
    genes = table.var_names
    if not genes.is_unique:
        doubles = genes[genes.duplicated()].unique()
        faults.add(f"{len(doubles)} gene names are there more than once: {listing(doubles, 5)}")
    names = table.obs["sample"].astype(str).to_numpy()
    about = table.uns[UNS]["samples"]
    for sample in pd.Index(about.index).union(pd.unique(names), sort=False):
        found = Faults(str(sample))
        _inspect_sample(table, np.flatnonzero(names == sample), about_of(about, sample), found)
        faults.found += [f"{sample}: {fault}" for fault in found.found]


def _has_form(table: AnnData, faults: Faults) -> bool:
    """Whether the parts are there that the checks of each sample look at."""
    slots = [f"layers:{k}" for k in table.layers] + [f"obsm:{k}" for k in table.obsm]
    counted = "counts" in table.layers or not table.n_vars
    faults.check(counted, f"there is no layers:counts; there is {listing(slots)}")
    if "spatial" not in table.obsm:
        faults.add(f"there are no coordinates obsm:spatial; there is {listing(slots)}")
    elif np.shape(table.obsm["spatial"])[1:] != (2,):
        faults.add(
            f"obsm:spatial has shape {np.shape(table.obsm['spatial'])}, not x and y for each observation"
        )
    if "sample" not in table.obs or table.obs["sample"].isna().any():
        faults.add("some observations have no obs:sample")
    for column in sorted({"array_row", "array_col"} & set(table.obs.columns)):
        place = pd.to_numeric(table.obs[column].astype(object), errors="coerce")
        odd = (place.isna() & table.obs[column].notna()) | (place % 1 > 0)
        faults.check(not odd.any(), f"obs:{column} has {int(odd.sum())} values that are no whole numbers")
    known = table.uns.get(UNS, {})
    about = known.get("samples") if isinstance(known, dict) else None
    if not isinstance(about, pd.DataFrame) or not set(COLUMNS) - set(FILES) <= set(about.columns):
        faults.add(f"uns:{UNS} has no table «samples» with the columns {', '.join(COLUMNS)}")
    elif "sample" in table.obs:
        absent = set(table.obs["sample"].dropna().astype(str)) - set(about.index)
        faults.check(not absent, f"uns:{UNS} does not describe the samples {listing(sorted(absent))}")
    return not faults.found


def _inspect_sample(table: AnnData, rows: np.ndarray, about: About, faults: Faults) -> None:
    if not faults.check(len(rows) > 0, "it has no observations"):
        return
    ids = table.obs_names[rows]
    if not ids.is_unique:
        doubles = ids[ids.duplicated()].unique()
        faults.add(f"{len(doubles)} ids are there more than once: {listing(doubles, 5)}")
    if "counts" in table.layers:
        _inspect_counts(table, rows, faults)
    xy = np.asarray(table.obsm["spatial"])[rows].astype(float)
    bad = ~np.all(np.isfinite(xy), axis=1)
    if bad.any():
        faults.add(f"{int(bad.sum())} observations have no finite coordinates: {listing(ids[bad], 5)}")
    if about.image:
        _inspect_image(about, xy[~bad], ids[~bad], faults)
    inspect_stains(about, faults)


def _inspect_counts(table: AnnData, rows: np.ndarray, faults: Faults) -> None:
    counts = table.layers["counts"].tocsr()
    counts = counts if len(rows) == table.n_obs else counts[rows]
    faults.found += count_faults(counts, table.obs_names[rows], table.var_names)
    faults.check(counts.count_nonzero() > 0, "all counts are zero")


def _inspect_image(about: About, xy: np.ndarray, ids: pd.Index, faults: Faults) -> None:
    try:
        width, height = image_size(about.image)
    except DataError as error:
        faults.add(error.message)
        return
    outside = np.any((xy < 0) | (xy * about.image_scale > (width, height)), axis=1)
    if outside.any():
        faults.add(
            f"{int(outside.sum())} of {len(ids)} observations lie outside the image of "
            f"{width} × {height} px (image px per coordinate: {about.image_scale:g}): "
            f"{listing(ids[outside], 3)}"
        )


def complete(table: AnnData, options: ReadOptions, where: str) -> AnnData:
    """Give a table without faults its one form.

    Raises
    ------
    DataError
        When the truth that the options name does not exist.
    """
    faults = Faults(where)
    name, labels = truth_of(table.obs, options, faults)
    faults.raise_if_any(hint="Name another column as the truth, or none.")
    if labels is not None:
        table.obs["truth"] = labels
    elif "truth" in table.obs:
        del table.obs["truth"]
    _complete_obs(table)
    table.X = None
    table.raw = None
    if "counts" in table.layers:
        table.layers["counts"] = as_counts(table.layers["counts"])
    known = table.uns[UNS]
    earlier = known.get("truth_column", "") if name == "truth" else ""
    samples = with_files(known["samples"])
    table.uns[UNS] = {**known, "samples": samples, "schema": SCHEMA, "truth_column": earlier or name}
    _complete_places(table)
    return table


def _complete_obs(table: AnnData) -> None:
    obs = table.obs
    samples = table.uns[UNS]["samples"].index
    obs["sample"] = pd.Categorical(obs["sample"].astype(str), categories=list(samples))
    for column in ("donor", "batch"):
        text = obs[column] if column in obs else obs["sample"]
        obs[column] = pd.Categorical(text.astype(object).where(text.notna(), obs["sample"]).astype(str))
    for column in {"array_row", "array_col"} & set(obs.columns):
        place = pd.to_numeric(obs[column].astype(object))
        obs[column] = place.astype("Int64" if place.isna().any() else np.int64)
    _complete_types(obs)
    if len(samples) > 1:
        prefix = obs["sample"].astype(str) + "_"
        done = [name.startswith(start) for name, start in zip(obs.index, prefix, strict=True)]
        table.obs_names = pd.Index(np.where(done, obs.index, prefix.to_numpy() + obs.index))


def _complete_types(obs: pd.DataFrame) -> None:
    """A column of several types becomes text, as no other can be written to a file."""
    for column in obs.select_dtypes(object).columns:
        kind = pd.api.types.infer_dtype(obs[column], skipna=True)
        if kind == "boolean":
            obs[column] = obs[column].astype("boolean")
        elif kind != "string":
            obs[column] = obs[column].astype(str).where(obs[column].notna())


def _complete_places(table: AnnData) -> None:
    """Coordinates in float64, and in µm where every sample has a scale."""
    table.obsm["spatial"] = np.asarray(table.obsm["spatial"], dtype=np.float64)
    if "spatial_um" in table.obsm:
        table.obsm["spatial_um"] = np.asarray(table.obsm["spatial_um"], dtype=np.float64)
        return
    mpp = table.uns[UNS]["samples"]["mpp"].astype(float)
    if mpp.notna().all():
        factor = mpp.loc[table.obs["sample"].astype(str)].to_numpy()
        table.obsm["spatial_um"] = table.obsm["spatial"] * factor[:, None]
    elif mpp.notna().any():
        _without_scale(table, mpp)


def _without_scale(table: AnnData, mpp: pd.Series) -> None:
    """Say that the study has no scale; stains and transcripts that are placed in µm are of no use then."""
    about = table.uns[UNS]["samples"]
    lost = [c for c in ("stains", "transcripts") if (about.loc[mpp.notna(), c] != "").any()]
    about.loc[mpp.notna(), ["stains", "stain_matrix", "transcripts"]] = ""
    unused = f"; {' and '.join(lost)} of the others, placed in µm, are left out" if lost else ""
    warnings.warn(
        f"The samples {listing(mpp.index[mpp.isna()])} have no scale in µm, so the study has none{unused}.",
        TriptychWarning,
        stacklevel=2,
    )
