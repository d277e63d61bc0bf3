"""AnnData files: one, or a folder of them as one study; also tables that triptych wrote."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final
from warnings import warn

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata.io import read_h5ad
from anndata.utils import make_index_unique

from triptych.core.checks import listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.slots import UNS
from triptych.readers.counting import looks_like_counts
from triptych.readers.delimited import readable
from triptych.readers.door import admit
from triptych.readers.joining import choose, gather
from triptych.readers.layouts import SCHEMA, ReadOptions
from triptych.readers.lost import without_lost_files
from triptych.readers.pictures import STORE
from triptych.readers.scales import VISIUM_PITCH_UM, VISIUM_SPOT_UM, array_positions, visium_mpp
from triptych.readers.sections import About, about_frame

DONORS: Final = ("donor", "subject", "patient", "individual")
SUFFIX: Final = ".h5ad"


@dataclass(frozen=True)
class H5ad:
    """Counts from layers:counts, raw or X; obsm:spatial; sample, donor and labels from obs.

    Spots whose array positions are those of Visium get its scale, measured from their pixels.
    """

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def recognises(self, path: Path) -> bool:
        """Whether it is such a file, or a folder with some in it."""
        return path.suffix == SUFFIX if path.is_file() else path.is_dir() and any(path.glob(f"*{SUFFIX}"))

    def read(self, path: Path, options: ReadOptions) -> ad.AnnData:
        """Read the samples asked for.

        Raises
        ------
        DataError
            With every fault of every sample.
        """
        files = [path] if path.is_file() else sorted(path.glob(f"*{SUFFIX}"))
        if len(files) > 1:
            by_stem = {file.stem: file for file in files}
            stems = choose(by_stem, options, str(path))
            return gather(stems, lambda stem, _: load(by_stem[stem]), options, str(path))
        try:
            table = load(files[0])
        except DataError as error:
            raise DataError(f"{files[0]}: {error.message}", error.hint) from error
        wanted = choose([str(s) for s in table.uns[UNS]["samples"].index], options, str(path))
        return admit(pick(table, wanted), options, str(path))


def load(path: Path) -> ad.AnnData:
    """One file in the form that the door checks.

    Raises
    ------
    DataError
        When it is damaged, no AnnData, or has no raw counts.
    """
    if not path.is_file():
        raise DataError(f"the file {path.name} is missing")
    with readable(path):
        with h5py.File(path, "r") as file:
            if not {"obs", "var"} <= set(file):
                raise DataError(f"the file {path.name} is no AnnData; it holds {listing(file)}")
        try:
            table = read_h5ad(path)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the file {path.name} is no AnnData ({error})") from error
    libraries = list(table.uns["spatial"]) if isinstance(table.uns.get("spatial"), dict) else []
    return with_pictures(adopt(table, path.stem), path, libraries)


def with_pictures(table: ad.AnnData, path: Path, libraries: list[str]) -> ad.AnnData:
    """Name the pictures that the file itself holds, as scanpy stores Visium's: ``FILE.h5ad::uns/spatial/…``.

    The finest picture of a sample is taken, with its own scale; a sample that has an image keeps it. A single
    picture of a single sample may have any name in the file.
    """
    about = table.uns[UNS]["samples"]
    pictures = table.uns.get("spatial")
    for sample in about.index if isinstance(pictures, dict) and "image" in about else []:
        library = pictures.get(sample) or {}
        scales = library.get("scalefactors", {})
        finest = next((r for r in ("hires", "lowres") if r in library.get("images", {})), "")
        if finest and not about.loc[sample, "image"] and f"tissue_{finest}_scalef" in scales:
            name = sample if sample in libraries else libraries[0]
            inside = f"uns/spatial/{name}/images/{finest}"
            about.loc[sample, "image"] = f"{path.resolve()}{STORE}{inside}"
            about.loc[sample, "image_scale"] = float(scales[f"tissue_{finest}_scalef"])
    return table


def adopt(table: ad.AnnData, stem: str) -> ad.AnnData:
    """A table of triptych as it is, one from elsewhere with the slots that it needs."""
    known = table.uns.get(UNS)
    if isinstance(known, dict) and "schema" in known:
        if known["schema"] != SCHEMA:
            raise DataError(
                f"its uns:{UNS} has schema {known['schema']}, this version of triptych reads {SCHEMA}",
                "Install the version of triptych that wrote it, or remove uns:triptych.",
            )
        if not isinstance(known.get("samples"), pd.DataFrame):
            raise DataError(f"its uns:{UNS} has no table «samples», so it is no whole table of triptych")
        return without_lost_files(table)
    return foreign(table, stem)


def pick(table: ad.AnnData, wanted: list[str]) -> ad.AnnData:
    """The rows of some samples, in the order asked for."""
    about = table.uns[UNS]["samples"]
    if wanted == [str(sample) for sample in about.index]:
        return table
    codes = pd.Index(wanted).get_indexer(table.obs["sample"].astype(str))
    order = np.argsort(np.where(codes < 0, len(wanted), codes), kind="stable")[: int((codes >= 0).sum())]
    chosen = table[order].copy()
    chosen.uns[UNS] = {**table.uns[UNS], "samples": about.loc[wanted]}
    return chosen


def foreign(table: ad.AnnData, stem: str) -> ad.AnnData:
    """Give a table from elsewhere the slots of triptych.

    Parameters
    ----------
    table
        As read.
    stem
        Name of the sample if obs has none.
    """
    counts, var = _counts(table)
    obs = table.obs.copy()
    region = table.uns.get("spatialdata_attrs", {}).get("region_key", "")
    if "sample" in obs:
        obs["sample"] = obs["sample"].astype(object).where(obs["sample"].isna(), obs["sample"].astype(str))
    else:
        obs["sample"] = obs[region].astype(str) if region in obs and obs[region].nunique() > 1 else stem
    obs = obs.drop(columns={region} & set(obs.columns) - {"sample"})  # a place in a store is no label
    donor = next((column for name in DONORS for column in obs.columns if str(column).lower() == name), "")
    obs["donor"] = obs[donor].astype(str) if donor else obs["sample"]
    pictures = {"spatial": table.uns["spatial"]} if "spatial" in table.uns else {}
    made = ad.AnnData(obs=obs, var=var, obsm=_views(table), layers={"counts": counts}, uns=pictures)
    made = _in_tissue(made)
    made.uns[UNS] = {"schema": SCHEMA, "truth_column": "", "samples": _abouts(made)}
    return made


def _counts(table: ad.AnnData) -> tuple[sp.csr_matrix, pd.DataFrame]:
    """Raw counts with their genes, from the first place that has whole numbers."""
    places: dict[str, tuple[Any, pd.DataFrame]] = {}
    if "counts" in table.layers:
        places["layers:counts"] = (table.layers["counts"], table.var)
    if table.raw is not None:
        places["raw.X"] = (table.raw.X, table.raw.var)
    if table.X is not None:
        places["X"] = (table.X, table.var)
    named = "layers:counts" in places  # who names counts means them: the door says what is wrong with them
    found = next((p for p in places if named or looks_like_counts(places[p][0])), "")
    if not found:
        raise DataError(
            f"there are no raw counts: looked in layers:counts, raw.X and X; "
            f"{' and '.join(places) or 'none of them'} "
            + ("exists but has values that are no whole numbers ≥ 0" if places else "exists")
        )
    matrix, var = places[found]
    return sp.csr_matrix(matrix), _var(var)


def _var(var: pd.DataFrame) -> pd.DataFrame:
    var = var.copy()
    ids = next((column for column in ("gene_id", "gene_ids") if column in var), "")
    if ids and not var.index.is_unique:  # as Space Ranger writes them: two genes may have one symbol
        var.index = make_index_unique(var.index.astype(str))
    return var.rename(columns={ids: "gene_id"}) if ids else var


def _views(table: ad.AnnData) -> dict[str, Any]:
    return {
        key: np.asarray(value)[:, :2] if key == "spatial" else value
        for key, value in table.obsm.items()
        if isinstance(value, np.ndarray | pd.DataFrame)
    }


def _in_tissue(table: ad.AnnData) -> ad.AnnData:
    """Without the spots beside the tissue, if the table still has them; says so."""
    if "in_tissue" not in table.obs:
        return table
    outside = pd.to_numeric(table.obs["in_tissue"], errors="coerce").to_numpy() == 0
    if not outside.any() or outside.all():
        return table
    warn(f"{int(outside.sum())} spots beside the tissue are left out.", TriptychWarning, stacklevel=2)
    return table[~outside].copy()


def _abouts(table: ad.AnnData) -> pd.DataFrame:
    """What is known of each sample, its scale measured if its array is that of Visium."""
    measure = partial(_about, table, array_positions(table.obs))
    groups = table.obs.groupby(table.obs["sample"].astype(str), sort=True).indices
    abouts = {str(sample): measure(rows) for sample, rows in groups.items()}
    if not abouts:
        abouts = {"": About()}
    pictures = table.uns.get("spatial")
    if len(abouts) == 1 and isinstance(pictures, dict) and len(pictures) == 1:
        table.uns["spatial"] = dict(zip(abouts, pictures.values(), strict=True))
    return about_frame(abouts)


def _about(table: ad.AnnData, grid: tuple[Any, Any] | None, rows: np.ndarray) -> About:
    donor = str(table.obs["donor"].iloc[rows[0]])
    if grid is None or "spatial" not in table.obsm:
        return About(donor=donor)
    px = np.asarray(table.obsm["spatial"], float)[rows]
    mpp = visium_mpp(grid[0][rows], grid[1][rows], px)
    if np.isnan(mpp):
        return About(donor=donor, lattice="square")
    return About(donor=donor, mpp=mpp, spot_um=VISIUM_SPOT_UM, pitch_um=VISIUM_PITCH_UM, lattice="hex")
