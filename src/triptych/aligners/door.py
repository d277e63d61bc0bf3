"""What every aligner refuses on the way in."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from triptych.core.checks import Faults, listing
from triptych.core.protocols import Array, Codes, Matrix


def faults_of(aligner: str, x: Array, batch: Codes) -> Faults:
    """Look for what no aligner of a view can use; the caller adds its own faults, and raises.

    Parameters
    ----------
    aligner
        Its name, to open the message.
    x
        Should be dense, of shape (n, d), and finite.
    batch
        Code of the batch of each row, shape (n,); none may be missing.
    """
    faults = Faults(aligner)
    if sp.issparse(x):
        faults.add("it takes a dense view, and this is sparse. Encode the counts first, e.g. with pca.")
        faults.raise_if_any()
    if not faults.check(x.ndim == 2 and x.size > 0, f"the view has shape {x.shape}; it needs (n, d)."):
        faults.raise_if_any()
    faults.check(bool(np.isfinite(x).all()), "some values are not finite. Remove those rows.")
    check_batch(faults, x, batch)
    return faults


def check_batch(faults: Faults, x: Array, batch: Codes) -> None:
    """Note when the codes do not fit the rows, or are missing.

    Parameters
    ----------
    faults
        Where to.
    x
        Shape (n, d), dense or CSR.
    batch
        Code of the batch of each row, shape (n,).
    """
    faults.check(x.shape[0] == len(batch), f"{x.shape[0]} rows but {len(batch)} batch codes.")
    faults.check(not bool((batch < 0).any()), "some rows have no batch. Fill in obs:batch.")


def check_sizes(faults: Faults, batch: Codes, least: int, remedy: str) -> None:
    """Note the batches that are too small.

    Parameters
    ----------
    faults
        Where to.
    batch
        Code of the batch of each row, shape (n,).
    least
        Rows that every batch needs.
    remedy
        What to do, as a sentence.
    """
    codes, sizes = np.unique(batch[batch >= 0], return_counts=True)
    small = [f"{code} ({size})" for code, size in zip(codes, sizes, strict=True) if size < least]
    few = f"every batch needs {least} rows, but fewer are in batch {listing(small)}. {remedy}"
    faults.check(not small, few)


def check_directions(faults: Faults, x: Matrix) -> None:
    """Note rows that are all zero, where the angle between rows matters.

    Parameters
    ----------
    faults
        Where to.
    x
        Shape (n, d).
    """
    zero = int((~x.any(axis=1)).sum())
    faults.check(zero == 0, f"{zero} rows are all zero and have no direction. Remove them.")
