"""Whether a confidence means what it says: how often guesses of each confidence are right."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core.protocols import Vector


def reliability(confidence: Vector, right: NDArray[np.bool_], bins: int = 10) -> pd.DataFrame:
    """Compare confidence with accuracy, bin by bin.

    Parameters
    ----------
    confidence
        From 0 to 1, shape (n,); NaN, where nothing is said, takes no part.
    right
        Whether the guess was right, shape (n,).
    bins
        Of equal width; a border belongs to the bin above it, 1 to the last.

    Returns
    -------
    One row per bin: ``low`` and ``high`` (its borders), ``confidence`` (mean), ``accuracy`` (share that is
    right), both NaN in an empty bin, and ``n``.
    """
    said = np.isfinite(confidence)
    confidence, right = np.asarray(confidence)[said], np.asarray(right, bool)[said]
    of = np.clip((confidence * bins).astype(np.int64), 0, bins - 1)
    n = np.bincount(of, minlength=bins)
    filled = np.where(n, n, np.nan)
    return pd.DataFrame(
        {
            "low": np.arange(bins) / bins,
            "high": np.arange(1, bins + 1) / bins,
            "confidence": np.bincount(of, confidence, bins) / filled,
            "accuracy": np.bincount(of, right, bins) / filled,
            "n": n,
        }
    )


def calibration_error(table: pd.DataFrame) -> float:
    """Expected calibration error, Σ n · |accuracy - confidence| / Σ n (Guo et al. 2017, arXiv:1706.04599).

    Parameters
    ----------
    table
        From `reliability`.

    Returns
    -------
    From 0 to 1; NaN where nothing was said.
    """
    n = table["n"].to_numpy(np.float64)
    gap = (table["accuracy"] - table["confidence"]).abs().fillna(0.0).to_numpy()
    return float(gap @ n / n.sum()) if n.any() else float("nan")
