"""Which predicted domain looks like which known label: for colours, never for scores."""

from __future__ import annotations

from triptych.core.protocols import Codes
from triptych.maths.matching import one_to_one, shared


def match(truth: Codes, guess: Codes) -> dict[int, int]:
    """One-to-one assignment with the largest overlap (Kuhn 1955, the Hungarian method).

    Parameters
    ----------
    truth, guess
        Codes, shape (n,); -1 = missing.

    Returns
    -------
    dict
        Code of the guess → code of the truth, for the pairs that share at least one observation.
    """
    types = one_to_one(shared(truth, guess))
    return {cluster: int(found) for cluster, found in enumerate(types) if found >= 0}
