"""Identities: what a value is made of, as sha256 of canonical JSON or of bytes.

Device, threads, executor and paths are provenance and never enter an identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

SCHEMA = 1
CHUNK = 1 << 22


def of_json(value: Any) -> str:
    """Digest of plain values, whatever the order of mappings."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()


def of_step(
    step: tuple[str, str, int], params: Mapping[str, Any], inputs: Iterable[tuple[str, str]], seed: int | None
) -> str:
    """Identity of what a step makes.

    Parameters
    ----------
    step
        Verb, component, revision.
    params
        Validated parameters, so that ``1`` and ``1.0`` give one identity.
    inputs
        (role, identity) pairs: by role, or two views could be swapped unnoticed.
    seed
        The recipe's seed; None for a component that draws no random numbers.
    """
    return of_json([SCHEMA, *step, dict(params), sorted(inputs), seed])


def of_file(path: Path) -> str:
    """Digest of a file's bytes, or of a folder's file names, sizes and bytes."""
    if path.is_dir():
        files = sorted(item for item in path.rglob("*") if item.is_file())
        return of_json([[str(item.relative_to(path)), of_file(item)] for item in files])
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def of_array(value: Any) -> str:
    """Digest of an array, a CSR matrix or a column: type, shape and values."""
    digest = hashlib.sha256()
    if sp.issparse(value):
        value = value.tocsr()
        if not value.has_canonical_format:
            value = value.copy()
            value.sum_duplicates()
        parts = [np.asarray(value.shape), value.indptr.astype(np.int64), value.indices.astype(np.int64)]
        parts.append(value.data)
    elif isinstance(value, pd.DataFrame):
        parts = [value.columns.to_numpy().astype(str), value.to_numpy()]
    elif isinstance(value, pd.Series):
        missing = value.isna().to_numpy()
        parts = [missing, value.astype(object).where(~missing, "").to_numpy().astype(str)]
    else:
        parts = [np.asarray(value)]
    for part in parts:
        digest.update(f"{part.dtype.str}{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).view(np.uint8).data if part.size else b"")
    return digest.hexdigest()
