"""The content-addressed cache: identity → array, written under a temporary name and renamed.

A killed run leaves at most temporary folders, which never count as entries; so the next run resumes
with every finished step, and nothing half-written is ever read.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from triptych.core.abundance import Abundance
from triptych.core.errors import CacheError
from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Array
from triptych.maths.overlaps import as_arrays, from_arrays
from triptych.pipeline import cached_tables
from triptych.pipeline.identity import of_file

log = logging.getLogger(__name__)
TEMPORARY = ".tmp-"
MODEL = "model"
PLANES = "planes"  # folder in which compressed stains lie decoded
STALE_S = 86_400


@dataclass(frozen=True)
class Entry:
    """One cached value.

    Parameters
    ----------
    key
        Identity.
    bytes
        Size on disk.
    used
        Last use, seconds since the epoch.
    about
        Verb, component and unit that made it.
    """

    key: str
    bytes: int
    used: float
    about: dict[str, Any]


@dataclass(frozen=True)
class Cache:
    """Arrays in a folder, by identity.

    Parameters
    ----------
    folder
        Made when first written to.
    """

    folder: Path

    def _place(self, key: str) -> Path:
        return self.folder / "steps" / key[:2] / key

    def has(self, key: str, *, model: bool = False) -> bool:
        """Whether there is an entry; with ``model``, one that keeps a fitted model too."""
        place = self._place(key)
        return (place / "entry.json").is_file() and (not model or (place / MODEL).is_dir())

    def model(self, key: str) -> Path:
        """The folder of the fitted model of an entry that `has` one; `get` has checked its digests."""
        return self._place(key) / MODEL

    def get(self, key: str) -> Array | Abundance | Overlaps | pd.DataFrame | None:
        """The value; None when there is none or when the entry is damaged, which is logged."""
        place = self._place(key)
        if not self.has(key):
            return None
        try:
            entry = json.loads((place / "entry.json").read_text("utf-8"))
            for name, digest in entry["files"].items():
                if of_file(place / name) != digest:
                    raise ValueError(f"{name} was changed")
            names = [name for name in entry["files"] if "/" not in name]
            arrays = {name.removesuffix(".npy"): np.load(place / name, allow_pickle=False) for name in names}
        except (OSError, ValueError, KeyError) as error:
            log.warning("cache entry %s is damaged (%s) and is made again", key[:12], error)
            return None
        os.utime(place / "entry.json")
        if "value" in arrays:
            return arrays["value"]
        if "classes" in arrays:
            return from_arrays(arrays)
        if "types" in arrays:
            return Abundance(
                arrays["values"], tuple(map(str, arrays["types"])), arrays.get("low"), arrays.get("high")
            )
        if cached_tables.NAMES in arrays:
            return cached_tables.from_arrays(arrays)
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        return sp.csr_matrix(parts, shape=tuple(arrays["shape"]))

    def about(self, key: str) -> dict[str, Any]:
        """What is known of an entry: what made it, what the user was told, how many seconds it took."""
        about: dict[str, Any] = json.loads((self._place(key) / "entry.json").read_text("utf-8"))["about"]
        return about

    def put(self, key: str, value: Any, about: Mapping[str, Any], model: Any = None) -> None:
        """Store an array, an abundance or a table, and the fitted model that made it where there is one.

        Raises
        ------
        CacheError
            When the folder cannot be written.
        """
        place = self._place(key)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=place.parent))
            for name, array in _parts(value).items():
                np.save(made / f"{name}.npy", array, allow_pickle=False)
            if model is not None:
                model.save(made / MODEL)
            found = sorted(path for path in made.rglob("*") if path.is_file())
            files = {path.relative_to(made).as_posix(): of_file(path) for path in found}
            (made / "entry.json").write_text(json.dumps({"files": files, "about": dict(about)}), "utf-8")
            if place.exists():
                shutil.rmtree(place)
            made.rename(place)
        except OSError as error:
            raise CacheError(
                f"The cache at {self.folder} cannot be written: {error}.",
                "Set TRIPTYCH_CACHE_DIR to a folder that can.",
            ) from error

    def entries(self) -> Iterator[Entry]:
        """Every entry."""
        for path in sorted(self.folder.glob("steps/*/*/entry.json")):
            if path.parent.name.startswith(TEMPORARY):
                continue
            size = sum(item.stat().st_size for item in path.parent.rglob("*") if item.is_file())
            try:
                about = json.loads(path.read_text("utf-8"))["about"]
            except (ValueError, KeyError):
                about = {"do": "damaged"}
            yield Entry(path.parent.name, size, path.stat().st_mtime, about)

    def prune(self, *, older_s: float = 0.0) -> tuple[int, int]:
        """Remove entries and decoded stains not used for ``older_s`` seconds, and what killed runs left.

        Returns
        -------
        How many, and how many bytes.
        """
        now, count, size = time.time(), 0, 0
        for entry in list(self.entries()):
            if now - entry.used >= older_s:
                shutil.rmtree(self._place(entry.key))
                count, size = count + 1, size + entry.bytes
        for left in self.folder.glob(f"steps/*/{TEMPORARY}*"):
            if now - left.stat().st_mtime > min(older_s, STALE_S):
                shutil.rmtree(left)
        for plane in list(self.folder.glob(f"{PLANES}/*")):
            if now - plane.stat().st_atime >= older_s:
                count, size = count + 1, size + plane.stat().st_size
                plane.unlink()
        return count, size


def _parts(value: Any) -> dict[str, np.ndarray[Any, Any]]:
    if isinstance(value, pd.DataFrame):
        return cached_tables.to_arrays(value)
    if isinstance(value, Overlaps):
        return as_arrays(value)
    if isinstance(value, Abundance):
        ends = {name: part for name in ("low", "high") if (part := getattr(value, name)) is not None}
        return {"values": value.values, "types": np.array(value.types, np.str_), **ends}
    if not sp.issparse(value):
        return {"value": np.ascontiguousarray(value)}
    shape = np.asarray(value.shape)
    return {"data": value.data, "indices": value.indices, "indptr": value.indptr, "shape": shape}
